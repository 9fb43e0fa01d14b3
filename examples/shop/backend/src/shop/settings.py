"""What the environment may set, read once at start."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_DATABASE_URL = "sqlite:///shop.db"


@dataclass(frozen=True)
class Misbehaviour:
    """Faults on demand, so that a delivery pipeline can be shown a bad release."""

    error_rate: float = 0.0
    latency_ms: float = 0.0
    slow_start_seconds: float = 0.0
    refuse_readiness: bool = False


@dataclass(frozen=True)
class Settings:
    database_url: str = DEFAULT_DATABASE_URL
    release: str = "dev"
    is_chaos_enabled: bool = False
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    redis_url: str = ""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    return Settings(
        database_url=driver_url(environment.get("DATABASE_URL") or DEFAULT_DATABASE_URL),
        redis_url=environment.get("REDIS_URL") or "",
        release=environment.get("RELEASE") or "dev",
        is_chaos_enabled=_flag(environment, "SHOP_CHAOS"),
        misbehaviour=Misbehaviour(
            error_rate=min(1.0, _number(environment, "SHOP_ERROR_RATE")),
            latency_ms=_number(environment, "SHOP_LATENCY_MS"),
            slow_start_seconds=_number(environment, "SHOP_SLOW_START_SECONDS"),
            refuse_readiness=_flag(environment, "SHOP_REFUSE_READINESS"),
        ),
    )


def driver_url(url: str) -> str:
    """Name the psycopg driver in the plain URLs that hosting platforms hand out."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return "postgresql+psycopg://" + url.removeprefix(plain)
    return url


def _flag(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


def _number(environment: Mapping[str, str], name: str) -> float:
    text = environment.get(name) or "0"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} must be zero or more, not {text!r}")
    return number
