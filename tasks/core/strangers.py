"""What a run of a stranger's change is given when it runs on this machine: a home of its own, and none of our secrets.

Results, installed environments and builds are remembered by home, so what a stranger's change leaves behind is never
found by a run that is trusted. No secret is handed on instead: it would pass through the Prefect server's database.
"""

from collections.abc import Mapping

# Emptied and not taken away: a worker adds what it is told to what it has itself.
_EMPTIED = (
    "CODECOV_TOKEN",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "NODE_AUTH_TOKEN",
    "NPM_TOKEN",
    "SAFETY_API_KEY",
    "TOWPATH_DATABASE_URL",
    "TOWPATH_GITHUB_APP_ID",
    "TOWPATH_GITHUB_APP_KEY",
    "TOWPATH_GITHUB_TOKEN",
    "TOWPATH_NOTIFY_URL",
    "TOWPATH_WEBHOOK_SECRETS",
)


def variables_for_strangers(home: str) -> Mapping[str, str]:
    """The variables of such a run, over those of its worker; `home` is Towpath's own."""
    apart = f"{home}/untrusted"
    return {
        "TOWPATH_HOME": apart,
        "PREFECT_LOCAL_STORAGE_PATH": f"{apart}/results/untrusted",
        **dict.fromkeys(_EMPTIED, ""),
    }
