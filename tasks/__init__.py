"""Prefect tasks: each gets facts from an adapter, lets core decide, and returns a value."""
