"""What the supervisor and the guard are given of the environment of whoever starts them."""

import json
from pathlib import Path

import pytest

from tasks.adapters import keepers

OURS, NAMED = "http://127.0.0.1:4200/api", "https://prefect.example.org/api"


@pytest.mark.parametrize(("api", "given"), [(NAMED, NAMED), (OURS, None), (None, None)])
def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: str | None, given: str | None) -> None:
    """A named Prefect server is handed on with what it asks for; our own is found by its record, other tokens stay."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "server.json").write_text(json.dumps({"url": OURS}))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if api:
        monkeypatch.setenv("PREFECT_API_URL", api)
    monkeypatch.setenv("PREFECT_API_KEY", "a-key")
    monkeypatch.setenv("GITHUB_TOKEN", "a-token")
    found = keepers._environment(tmp_path)

    assert found.get("PREFECT_API_URL") == given
    assert found["PREFECT_API_KEY"] == "a-key"
    assert "GITHUB_TOKEN" not in found
