"""Whether a release can run on the schema that the database has now."""

from typing import assert_never

from tasks.core.delivery_settings import Migrations


def why_not_on(migrations: Migrations, *, wanted: str, now: str) -> str:
    """Why the release recorded with schema `wanted` must not run on `now`; empty when it may."""
    if wanted == now:
        return ""
    match migrations:
        case Migrations.COMPATIBLE | Migrations.REVERSIBLE:
            return ""
        case Migrations.FORWARD:
            return (
                f"it was released with schema {wanted or 'none'}, the database has {now or 'none'}, and its migrations "
                "are not declared compatible or reversible ([delivery.database] migrations); restore a backup by hand"
            )
        case _:
            assert_never(migrations)
