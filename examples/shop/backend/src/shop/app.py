"""The application: routes, the middleware that measures and misbehaves, start and stop."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from shop import api, chaos, health
from shop.cache import ProductCache
from shop.database import connect
from shop.metrics import Metrics
from shop.settings import Settings

log = logging.getLogger("shop.requests")
Next = Callable[[Request], Awaitable[Response]]


def create_app(settings: Settings) -> FastAPI:
    app = FastAPI(title="Shop", version=settings.release, lifespan=_lifespan)
    app.state.settings = settings
    app.state.engine = connect(settings.database_url)
    app.state.cache = ProductCache(settings.redis_url)
    app.state.metrics = Metrics(settings.release)
    app.state.chaos = chaos.Chaos(settings.misbehaviour, random.Random())
    app.include_router(api.router)
    app.include_router(health.router)
    if settings.is_chaos_enabled:
        app.include_router(chaos.router)
    app.middleware("http")(observe)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # The port opens after this: a slow start is a server that does not answer yet.
    await asyncio.sleep(app.state.chaos.now.slow_start_seconds)
    yield
    app.state.engine.dispose()


async def observe(request: Request, answer: Next) -> Response:
    """Count, time and log the customers' requests; probes and scrapes are not theirs."""
    if not request.url.path.startswith("/api/"):
        return await answer(request)
    started = time.perf_counter()
    response = await _answer_or_fail(request, answer)
    seconds = time.perf_counter() - started
    facts = {"method": request.method, "route": _route(request), "status": response.status_code}
    request.app.state.metrics.record(**facts, seconds=seconds)
    log.info("request", extra={"facts": {**facts, "seconds": round(seconds, 6)}})
    return response


async def _answer_or_fail(request: Request, answer: Next) -> Response:
    faults: chaos.Chaos = request.app.state.chaos
    await faults.delay()
    if faults.should_fail():
        return JSONResponse({"detail": "failed on demand"}, status_code=500)
    try:
        return await answer(request)
    except Exception:
        log.exception("unhandled error")
        return JSONResponse({"detail": "internal error"}, status_code=500)


def _route(request: Request) -> str:
    """The template, not the path: ids in labels would make a time series per product."""
    return getattr(request.scope.get("route"), "path", "unmatched")
