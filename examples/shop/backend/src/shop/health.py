"""The questions an orchestrator asks: alive, ready, and in numbers."""

from fastapi import APIRouter, HTTPException, Request, Response, status
from prometheus_client import CONTENT_TYPE_LATEST

from shop.database import NotReadyError, check_ready

router = APIRouter()


@router.get("/healthz")
async def healthz(request: Request) -> dict[str, str]:
    """Alive. Says nothing of the database: a restart would not mend it."""
    return {"status": "alive", "release": request.app.state.settings.release}


@router.get("/readyz")
def readyz(request: Request) -> dict[str, str]:
    """Worth sending traffic to: the database answers and is migrated."""
    if request.app.state.chaos.now.refuse_readiness:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, "readiness refused on demand")
    try:
        check_ready(request.app.state.engine)
    except NotReadyError as error:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    return Response(request.app.state.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
