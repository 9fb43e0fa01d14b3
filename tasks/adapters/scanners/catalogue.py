"""Every scanner Towpath knows, by name.

It solves that the plan, the runner and the doctor must speak of the same scanners. It promises one entry for each name
the plan may hold. A scanner of the user's own must never take the place of one of these.
"""

from collections.abc import Mapping

from tasks.adapters.scanners.code_queries import CODEQL
from tasks.adapters.scanners.history_secrets import GITLEAKS_HISTORY, GITLEAKS_TREE
from tasks.adapters.scanners.image_advisories import TRIVY_FS, TRIVY_IMAGE
from tasks.adapters.scanners.infrastructure import CHECKOV
from tasks.adapters.scanners.node_advisories import BUN_AUDIT, NPM_AUDIT, PNPM_AUDIT, YARN_AUDIT
from tasks.adapters.scanners.own_scanner import own_scanner
from tasks.adapters.scanners.python_advisories import PIP_AUDIT
from tasks.adapters.scanners.python_flaws import BANDIT
from tasks.adapters.scanners.safety_advisories import SAFETY
from tasks.adapters.scanners.tree_secrets import DETECT_SECRETS
from tasks.adapters.scanners.verified_secrets import TRUFFLEHOG
from tasks.core.security.scanner import Scanner
from tasks.core.settings import Settings

_ALL = (
    *(PIP_AUDIT, SAFETY, NPM_AUDIT, PNPM_AUDIT, YARN_AUDIT, BUN_AUDIT),
    *(BANDIT, CODEQL, TRIVY_IMAGE, TRIVY_FS),
    *(GITLEAKS_HISTORY, GITLEAKS_TREE, TRUFFLEHOG, DETECT_SECRETS, CHECKOV),
)
SCANNERS: Mapping[str, Scanner] = {scanner.name: scanner for scanner in _ALL}


def scanner_named(name: str, settings: Settings) -> Scanner:
    """One of these, else one of the configuration's own. Raises KeyError."""
    return SCANNERS[name] if name in SCANNERS else own_scanner(name, settings.scanners[name])
