"""Reading what a registry has to say of where an image comes from, and holding it to what a release says."""

import asyncio
from typing import Any

from tasks.adapters.image_registry import PushFailed, Registry
from tasks.core.provenance import ProvenanceRefused, attested, must_fit, provenance_in, statements


async def verify_provenance(registry: Registry, digest: str, *, revision: str, builder: str) -> None:
    """Every platform's image is attested as built from the revision by the builder. Raises PushFailed."""
    try:
        pairs = attested(await _read(registry, digest))
        await asyncio.gather(*(_verify(registry, *pair, revision=revision, builder=builder) for pair in pairs.items()))
    except ProvenanceRefused as refused:
        raise PushFailed(f"the provenance of {registry.name}@{digest} does not fit: {refused}") from refused


async def _verify(registry: Registry, image: str, attestation: str, *, revision: str, builder: str) -> None:
    told = statements(await _read(registry, attestation))
    found = [provenance_in(await registry.document_of("blobs", each)) for each in told]
    must_fit(found, image, revision=revision, builder=builder)


async def _read(registry: Registry, digest: str) -> Any:
    return await registry.document_of("manifests", digest)
