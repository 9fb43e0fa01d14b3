"""Which of the user's environment variables a tool may see: a short list, and what its declared needs add.

A token of the user must never reach a tool that was not declared to need it.
"""

import os
from collections.abc import Mapping
from enum import StrEnum


class Need(StrEnum):
    """What a tool is declared to need from the user's environment beyond the common allow-list."""

    NETWORK = "network"
    REGISTRY = "registry"
    ENGINE = "engine"


_COMMON = frozenset(
    ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "USER", "LOGNAME", "CI", "XDG_CACHE_HOME")
)
_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_NETWORK = frozenset((*_AUTHORITIES, "PIP_CERT", "GIT_SSL_CAINFO", *_PROXIES, *map(str.upper, _PROXIES)))
_REGISTRY_PREFIXES = ("UV_", "PIP_", "npm_config_", "NPM_CONFIG_", "YARN_", "BUN_CONFIG_", "POETRY_", "PDM_")
_REGISTRY = frozenset({"NODE_AUTH_TOKEN", "NPM_TOKEN", "NETRC"})
_ENGINE_PREFIXES = ("DOCKER_", "BUILDX_")
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")


def is_secret(name: str) -> bool:
    """Whether a variable of this name may hold one."""
    return name == "NETRC" or any(word in name.upper() for word in _SECRET_WORDS)


def _is_allowed(name: str, needs: frozenset[Need]) -> bool:
    if name in _COMMON:
        return True
    if Need.REGISTRY in needs and (name in _REGISTRY or name.startswith(_REGISTRY_PREFIXES)):
        return True
    if is_secret(name):
        return False
    if name.startswith("LC_"):
        return True
    if needs & {Need.NETWORK, Need.REGISTRY} and name in _NETWORK:
        return True
    return Need.ENGINE in needs and name.startswith(_ENGINE_PREFIXES)


def clean_environment(
    *, needs: frozenset[Need], extras: Mapping[str, str], base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What a tool may see: a short list, what its declared needs add, and the extras, whatever their names."""
    return {name: value for name, value in base.items() if _is_allowed(name, needs)} | dict(extras)
