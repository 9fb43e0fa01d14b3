"""A description for products, and orders found by date.

Only adds: the release before this one runs on the result, so a canary and a rollback can.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "products",
        sa.Column("description", sa.String(1000), nullable=False, server_default=""),
    )
    op.create_index("ix_orders_created_at", "orders", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_orders_created_at", "orders")
    op.drop_column("products", "description")
