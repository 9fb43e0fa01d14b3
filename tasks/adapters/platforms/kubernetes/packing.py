"""Text as a Secret holds it: packed, and refused where it is more than one takes."""

import base64
import gzip

from tasks.core.platform import PlatformTrouble

# etcd takes no more than 1.5 MiB, and a Secret's data is base64.
_MOST_BYTES = 1_000_000


def packed(text: str, what: str) -> str:
    """The same text is packed the same."""
    made = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    if len(made) > _MOST_BYTES:
        raise PlatformTrouble(f"{what} are {len(made)} bytes packed, and a Secret takes 1 MB")
    return made


def unpacked(data: str) -> str:
    return gzip.decompress(base64.b64decode(data)).decode()
