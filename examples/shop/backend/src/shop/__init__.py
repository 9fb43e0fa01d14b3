"""A small shop: products with a stock, orders that take from it."""
