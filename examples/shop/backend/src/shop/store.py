"""What the shop does with its tables: list, add, sell."""

from collections.abc import Mapping, Sequence
from typing import cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from shop.models import Order, OrderLine, Product


class UnknownProductError(Exception):
    def __init__(self, product_id: int) -> None:
        super().__init__(f"no product {product_id}")


class OutOfStockError(Exception):
    def __init__(self, product_id: int) -> None:
        super().__init__(f"not enough of product {product_id} in stock")


SAMPLES = (
    Product(
        name="Walking boots", description="Waterproof, half height.", price_cents=12900, stock=40
    ),
    Product(
        name="Thermos flask", description="Keeps tea hot for a day.", price_cents=2450, stock=120
    ),
    Product(name="Canal map", description="All towpaths, 1:50,000.", price_cents=990, stock=300),
)


def list_products(session: Session) -> Sequence[Product]:
    return session.scalars(select(Product).order_by(Product.name)).all()


def list_orders(session: Session, *, limit: int) -> Sequence[Order]:
    newest_first = select(Order).order_by(Order.created_at.desc(), Order.id.desc())
    return session.scalars(newest_first.limit(limit)).all()


def seed(session: Session) -> int:
    """Add the sample products to an empty shop."""
    if list_products(session):
        return 0
    for sample in SAMPLES:
        session.add(
            Product(
                name=sample.name,
                description=sample.description,
                price_cents=sample.price_cents,
                stock=sample.stock,
            )
        )
    session.commit()
    return len(SAMPLES)


def place_order(session: Session, customer: str, quantities: Mapping[int, int]) -> Order:
    """Take each quantity from the stock at today's price, all of them or none."""
    # Always in the same order, so that two orders never wait for each other's rows.
    lines = [
        _take(session, product_id, quantities[product_id]) for product_id in sorted(quantities)
    ]
    order = Order(customer=customer, lines=lines)
    session.add(order)
    session.commit()
    return order


def _take(session: Session, product_id: int, quantity: int) -> OrderLine:
    product = session.get(Product, product_id)
    if product is None:
        raise UnknownProductError(product_id)
    # The condition is in the statement: two buyers of the last one cannot both get it.
    taken = session.execute(
        update(Product)
        .where(Product.id == product_id, Product.stock >= quantity)
        .values(stock=Product.stock - quantity)
    )
    if cast("CursorResult[object]", taken).rowcount != 1:
        raise OutOfStockError(product_id)
    return OrderLine(product_id=product_id, quantity=quantity, unit_price_cents=product.price_cents)
