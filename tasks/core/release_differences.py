"""What changes for the users when one release takes the place of another, a line each."""

from collections.abc import Iterator, Mapping

from tasks.core.release import Release

_SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "CREDENTIAL", "KEY", "DSN")


def differences(old: Release | None, new: Release) -> tuple[str, ...]:
    """Lines for people; of a first release, what it is."""
    if old is None:
        return (f"{new.version} is the first release here, commit {new.revision[:12]}",)
    return tuple(_lines(old, new)) or ("nothing differs between the two releases",)


def _lines(old: Release, new: Release) -> Iterator[str]:
    if old.version != new.version:
        yield f"version {old.version} -> {new.version}"
    if old.revision != new.revision:
        yield f"commit {old.revision[:12]} -> {new.revision[:12]}"
    if old.artifact != new.artifact:
        yield f"build {old.artifact[:19]} -> {new.artifact[:19]}"
    yield from _changed_variables(old, new)
    for name in sorted({*old.replicas, *new.replicas}):
        before, after = old.replicas.get(name, 0), new.replicas.get(name, 0)
        if before != after:
            yield f"instances of {name}: {before} -> {after}"


def _changed_variables(old: Release, new: Release) -> Iterator[str]:
    for component in sorted({*old.configuration, *new.configuration}):
        before, after = old.configuration.get(component, {}), new.configuration.get(component, {})
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{component} {name}: {_shown(name, before)} -> {_shown(name, after)}"


def _shown(name: str, variables: Mapping[str, str]) -> str:
    """A value that may be a secret is told to differ, and not shown, unless it only names one."""
    value = variables.get(name, "unset")
    is_secret = any(word in name.upper() for word in _SECRET_WORDS) and not value.startswith("{secret:")
    return "***" if is_secret and name in variables else value
