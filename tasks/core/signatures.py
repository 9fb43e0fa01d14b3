"""Whether a delivery was signed by somebody who knows a secret: HMAC-SHA256, as GitHub does it.

Every secret is tried, and each comparison takes the same time whatever it finds, so that an answer's delay tells a
forger nothing about how near he came.
"""

import hashlib
import hmac
import re

from tasks.core.door_settings import Secrets

_FORM = re.compile(r"^sha256=[0-9a-f]{64}$")


def is_signature(header: str) -> bool:
    """Whether it has the form of one; what has not need not be read on."""
    return bool(_FORM.match(header))


def is_signed(body: bytes, header: str, secrets: Secrets) -> bool:
    if not is_signature(header):
        return False
    given = header.removeprefix("sha256=").encode()
    found = [hmac.compare_digest(_signature(body, secret), given) for secret in secrets.values]
    return any(found)


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
