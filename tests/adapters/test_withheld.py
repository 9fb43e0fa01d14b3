"""Secrets that configuration only names."""

from pathlib import Path

import pytest

from tasks.adapters.withheld import FILE, SecretMissing, with_secrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text("# of the team\nDB_PASSWORD=a=b c\n\n TOKEN =t\n")
    (tmp_path / FILE).chmod(0o600)
    return tmp_path


def test_a_secret_takes_its_place(folder: Path) -> None:
    """A named secret stands in the variable's value; everything else is left as it is."""
    variables = {"URL": "postgres://shop:{secret:DB_PASSWORD}@db", "T": "{secret:TOKEN}", "X": "{port} {secret}"}

    assert with_secrets(variables, folder) == {"URL": "postgres://shop:a=b c@db", "T": "t", "X": "{port} {secret}"}


def test_without_secrets_no_file_is_needed(tmp_path: Path) -> None:
    """Configuration that names no secret needs no file of them."""
    assert with_secrets({"A": "1"}, tmp_path) == {"A": "1"}


def test_a_secret_that_is_not_there(folder: Path) -> None:
    """A missing secret is named, and no other secret is shown."""
    with pytest.raises(SecretMissing, match="the secret API_KEY is not in") as missing:
        with_secrets({"A": "{secret:API_KEY}"}, folder)

    assert "a=b c" not in str(missing.value)


def test_a_file_that_others_may_read(folder: Path) -> None:
    """Secrets that others could have read are not used."""
    (folder / FILE).chmod(0o644)

    with pytest.raises(SecretMissing, match="can be read by others: chmod 600"):
        with_secrets({"A": "{secret:TOKEN}"}, folder)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is said to be missing, with its form."""
    with pytest.raises(SecretMissing, match="cannot be read: make it"):
        with_secrets({"A": "{secret:TOKEN}"}, tmp_path)
