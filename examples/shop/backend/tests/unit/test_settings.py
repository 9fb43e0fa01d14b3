"""What the environment may set."""

import pytest

from shop.settings import Misbehaviour, Settings, read_settings


def test_an_empty_environment_gives_a_well_behaved_shop_on_sqlite() -> None:
    assert Settings() == read_settings({})


def test_every_switch_is_read() -> None:
    settings = read_settings(
        {
            "DATABASE_URL": "sqlite://",
            "RELEASE": "r7",
            "SHOP_CHAOS": "1",
            "SHOP_ERROR_RATE": "0.25",
            "SHOP_LATENCY_MS": "120",
            "SHOP_SLOW_START_SECONDS": "3",
            "SHOP_REFUSE_READINESS": "yes",
        }
    )

    assert Settings("sqlite://", "r7", True, Misbehaviour(0.25, 120, 3, True)) == settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgres_url_names_the_driver(scheme: str) -> None:
    settings = read_settings({"DATABASE_URL": f"{scheme}://shop@db/shop"})

    assert settings.database_url == "postgresql+psycopg://shop@db/shop"


@pytest.mark.parametrize("value", ["often", "-1", "nan", "inf"])
def test_a_switch_that_is_no_number_stops_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="SHOP_ERROR_RATE"):
        read_settings({"SHOP_ERROR_RATE": value})


def test_an_error_rate_over_one_is_one() -> None:
    assert read_settings({"SHOP_ERROR_RATE": "7"}).misbehaviour.error_rate == 1.0
