"""How far a run is trusted, as the name of the place where it may leave something behind.

What a stranger's pull request leaves (results, builds, installed environments) is found by later runs of that same pull
request and by no other. It must never be found by a run that is trusted.
"""

import hashlib
import re

from tasks.core.origin import Origin

TRUSTED = ""


def tier_of(origin: Origin | None) -> str:
    """Empty for a run of the team's own, else a name that a folder may have, of one pull request."""
    if origin is None or origin.is_trusted:
        return TRUSTED
    whole = f"{origin.repository}#{origin.pull_request or origin.commit}".casefold()
    readable = re.sub(r"[^a-z0-9]+", "-", whole).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
