"""Taking turns at a database that is not there."""

import asyncio

import pytest

from tasks.adapters.database_turns import DatabaseAway, turn_at


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    """Who cannot get in is told where, and what to look at; the password in the address is not said."""

    async def enter() -> None:
        async with turn_at("postgresql+asyncpg://prefect:a-password@127.0.0.1:1/prefect", wait_seconds=0):
            pytest.fail("nobody listens there")

    with pytest.raises(DatabaseAway, match=r"127\.0\.0\.1:1 did not let us in") as away:
        asyncio.run(enter())
    assert "a-password" not in str(away.value)
