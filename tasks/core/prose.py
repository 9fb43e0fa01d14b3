"""Text as it stands in reports: on one line, and safe in a Markdown table."""


def flat(text: str) -> str:
    """The text on one line."""
    return " ".join(text.split())


def cell(text: str, limit: int = 0) -> str:
    """The text as one cell of a Markdown table, cut at `limit` characters where one is given."""
    line = flat(text)
    return (f"{line[: limit - 1]}…" if 0 < limit < len(line) else line).replace("|", "\\|").replace("<", "&lt;")


def last_line(text: str) -> str:
    """The last line that says something; empty when none does."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
