"""What an image is called in a registry: its repository, the tags that people find it by, and its labels.

Nothing downstream uses a tag: a release speaks of digests. A tag is for people and for going on from a cache, and must
never say more than is true: `latest` and a bare version stand for the default branch and for releases alone.
"""

import re
from collections.abc import Mapping

_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_TAG_LENGTH = 128
_REVISION_LENGTH = 12


def repository_of(prefix: str, target: str, component: str) -> str:
    """Lower case, as the OCI distribution specification wants the names of repositories."""
    name = re.sub(r"[^a-z0-9]+", "-", f"{target}-{component}".lower()).strip("-")
    return f"{prefix.rstrip('/').lower()}/{name}"


def tags_of(*, revision: str, version: str = "", branch: str = "", is_default_branch: bool = False) -> tuple[str, ...]:
    """The tags of one build, the one that never moves first. A pre-release gets its whole version alone."""
    found = [f"sha-{revision[:_REVISION_LENGTH]}"]
    if version and (match := _VERSION.fullmatch(version)) is not None:
        whole = version.removeprefix("v").replace("+", "_")
        found += [whole] if match[4] else [whole, f"{match[1]}.{match[2]}", match[1]]
    if branch and (name := tag_of(branch)):
        found.append(name)
    if is_default_branch:
        found.append("latest")
    return tuple(dict.fromkeys(found))


def tag_of(name: str) -> str:
    """A branch's name as a tag may be written: word characters, dots and dashes, 128 at most, no dot or dash first."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).lstrip(".-")[:_TAG_LENGTH]


def labels_of(*, title: str, source: str, revision: str, version: str, created: str) -> Mapping[str, str]:
    """The predefined annotation keys of the OCI image specification."""
    known = {"title": title, "source": source, "revision": revision, "version": version, "created": created}
    return {f"org.opencontainers.image.{key}": value for key, value in known.items() if value}
