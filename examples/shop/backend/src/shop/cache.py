"""The list of products, kept for a moment in Redis, which may be away at any time."""

import json
import logging
from collections.abc import Callable
from typing import Any, cast

import redis

log = logging.getLogger("shop.cache")
KEY = "shop:products"
KEPT_SECONDS = 2
ANSWER_SECONDS = 0.2


class ProductCache:
    """Without an address nothing is kept."""

    def __init__(self, url: str) -> None:
        self._redis = (
            redis.Redis.from_url(
                url,
                socket_timeout=ANSWER_SECONDS,
                socket_connect_timeout=ANSWER_SECONDS,
            )
            if url
            else None
        )

    def products(self, read: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """What is kept, else what is read, which is then kept."""
        if (kept := self._get()) is not None:
            return kept
        found = read()
        self._put(found)
        return found

    def forget(self) -> None:
        """After a change everybody must see it."""
        if self._redis is not None:
            try:
                self._redis.delete(KEY)
            except redis.RedisError as away:
                log.warning("the cache is away: %s", type(away).__name__)

    def _get(self) -> list[dict[str, Any]] | None:
        if self._redis is None:
            return None
        try:
            kept = cast("bytes | None", self._redis.get(KEY))
            return cast("list[dict[str, Any]]", json.loads(kept)) if kept is not None else None
        except (redis.RedisError, ValueError) as away:
            log.warning("the cache is away: %s", type(away).__name__)
            return None

    def _put(self, products: list[dict[str, Any]]) -> None:
        if self._redis is None:
            return
        try:
            self._redis.set(KEY, json.dumps(products), ex=KEPT_SECONDS)
        except redis.RedisError as away:
            log.warning("the cache is away: %s", type(away).__name__)
