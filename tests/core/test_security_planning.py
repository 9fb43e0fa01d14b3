"""Which scans a target gets, by tables: nothing is forgotten, and what is not looked at is said."""

import json

import pytest

from tasks.core.discovery import discover
from tasks.core.outcome import Verdict
from tasks.core.projects import Texts
from tasks.core.security.infrastructure_files import infrastructure_of
from tasks.core.security.scan_plan import PlannedScan, ScanPlan
from tasks.core.security.scan_planning import WHEN_AVAILABLE, Circumstances, Found, known_secrets, plan_scans
from tasks.core.settings import ProjectSettings, Settings, SettingsRefused

LOCK = '[[package]]\nname = "jinja2"\nversion = "3.1.2"\nsource = { registry = "r" }\n'
SHOP = {
    "backend/pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n',
    "backend/uv.lock": LOCK,
    "backend/src/shop/app.py": "",
    "backend/Dockerfile": "FROM scratch\n",
    "frontend/package.json": '{"dependencies": {"a": "1"}}',
    "frontend/package-lock.json": "{}",
    "frontend/src/main.ts": "",
    "infra/main.tf": "",
    "deploy/base/kustomization.yaml": "resources:\n- web.yaml\n",
    "deploy/base/web.yaml": "apiVersion: v1\nkind: Service\n",
    "deploy/production/kustomization.yaml": "resources:\n- ../base\n",
    "loose.yaml": "apiVersion: v1\nkind: Pod\n",
    "chart/pod.yaml": "apiVersion: v1\nkind: Pod\nname: {{ .Values.name }}\n",
}


def planned(files: dict[str, str], circumstances: Circumstances | None = None, **settings: object) -> ScanPlan:
    texts = Texts(frozenset(files), files)
    found = Found(discovery=discover(texts, ProjectSettings()), files=frozenset(files), contents=files)
    return plan_scans(found, Settings.model_validate(settings), circumstances or Circumstances(head="c0ffee"))


def named(plan: ScanPlan, scan_id: str) -> PlannedScan:
    return next(scan for scan in plan.scans if scan.id == scan_id)


def test_the_shop_gets_every_scanner() -> None:
    """Each kind of file gets the scans that fit it, under names that say what and where."""
    assert {scan.id for scan in planned(SHOP).to_run()} == {
        "dependency/pip-audit@backend",
        "dependency/npm-audit@frontend",
        "dependency/trivy-fs",
        "code/bandit",
        "container/trivy-image:backend",
        "secret/detect-secrets",
        "secret/gitleaks-tree",
        "secret/gitleaks-history",
        "iac/checkov:terraform",
        "iac/checkov:kubernetes",
    }


def test_what_is_absent_is_not_covered() -> None:
    """The optional scanners and unrendered templates are skipped, and open the report with how to cover them."""
    plan = planned(SHOP)
    assert {gap.what for gap in plan.not_covered()} == {
        "dependency/safety@backend",
        "code/codeql:python",
        "code/codeql:javascript",
        "secret/trufflehog",
        "iac/checkov:templates",
    }
    assert all(gap.why and gap.remedy for gap in plan.not_covered())


def test_an_empty_target_says_for_each_scanner_why_not() -> None:
    """A target with a text file gets the secret scanners, and every other scanner with its reason."""
    plan = planned({"notes.txt": ""})
    assert {scan.scanner for scan in plan.to_run()} == {"detect-secrets", "gitleaks-tree", "gitleaks-history"}
    assert all(scan.settled and scan.settled.reason for scan in plan.scans if scan not in plan.to_run())


@pytest.mark.parametrize("scanner", sorted(WHEN_AVAILABLE))
def test_a_required_scanner_that_is_absent_is_an_error(scanner: str) -> None:
    """`required` turns absence from a gap into an error; being there turns it into a scan."""
    missing = [scan for scan in planned(SHOP, security={"required": [scanner]}).scans if scan.scanner == scanner]
    assert {scan.settled.verdict for scan in missing if scan.settled} == {Verdict.ERROR}
    here = planned(SHOP, Circumstances(head="c0ffee", available=frozenset({scanner})))
    assert all(scan.settled is None for scan in here.scans if scan.scanner == scanner)


def test_a_scanner_that_is_switched_off_is_a_gap_with_its_reason() -> None:
    """Switching off needs a reason, which the report opens with."""
    scan = named(planned(SHOP, security={"disabled": {"bandit": "we use another"}}), "code/bandit")
    assert scan.settled is not None
    assert scan.settled.verdict is Verdict.SKIPPED
    assert "we use another" in scan.settled.reason
    assert scan.is_uncovered


def test_a_misspelt_scanner_is_refused() -> None:
    """A required scanner that does not exist would be a gate that is off."""
    with pytest.raises(SettingsRefused, match="there is no scanner bandti"):
        planned(SHOP, security={"required": ["bandti"]})


@pytest.mark.parametrize(
    ("files", "scan_id", "words"),
    [
        ({"pyproject.toml": "[project]\nname='a'\nversion='1'"}, "dependency/pip-audit", "fixes no versions"),
        ({"package.json": '{"dependencies": {"a": "1"}}'}, "dependency/npm-audit", "no lock file"),
        (
            {"pyproject.toml": "[project]\nname='a'\nversion='1'", "uv.lock": "package = 3"},
            "dependency/pip-audit",
            "cannot be read",
        ),
    ],
)
def test_dependencies_that_are_not_fixed_are_an_error(files: dict[str, str], scan_id: str, words: str) -> None:
    """Without a readable lock file nothing can be said, and that is not silence."""
    scan = named(planned(files), scan_id)
    assert scan.settled is not None
    assert scan.settled.verdict is Verdict.ERROR
    assert words in scan.settled.reason


def test_pins_reach_the_scanner_and_what_is_no_pin_is_skipped() -> None:
    """The requirements handed to pip-audit are the lock's, and what it cannot look up is named."""
    lock = LOCK + '[[package]]\nname = "forked"\nversion = "1"\nsource = { git = "g" }\n'
    scan = named(planned({**SHOP, "backend/uv.lock": lock}), "dependency/pip-audit@backend")
    assert scan.scan.files["requirements.txt"] == "jinja2==3.1.2\n"
    assert scan.skipped == ("forked: installed from git, which no advisory names",)


def test_a_forked_lock_is_scanned_whole() -> None:
    """Two versions of one package are two scans, since an auditor refuses both in one file."""
    lock = LOCK + LOCK.replace("3.1.2", "3.1.6")
    scans = [scan for scan in planned({**SHOP, "backend/uv.lock": lock}).scans if scan.scanner == "pip-audit"]
    assert [scan.id for scan in scans] == ["dependency/pip-audit@backend", "dependency/pip-audit@backend:2"]
    assert [scan.scan.files["requirements.txt"] for scan in scans] == ["jinja2==3.1.2\n", "jinja2==3.1.6\n"]


def test_the_history_is_read_from_the_base_on() -> None:
    """With a base only the commits since are read; where there is no commit, or none between, it says so."""
    scan = named(planned(SHOP, Circumstances(base="aaa", head="bbb")), "secret/gitleaks-history")
    assert scan.scan.option("range") == ("aaa..bbb",)
    whole = named(planned(SHOP, Circumstances(head="bbb")), "secret/gitleaks-history")
    assert whole.scan.option("range") == ()
    for nothing in (
        Circumstances(),
        Circumstances(base="bbb", head="bbb"),
        Circumstances(head="b", reads_history=False),
    ):
        settled = named(planned(SHOP, nothing), "secret/gitleaks-history").settled
        assert settled is not None
        assert settled.verdict is Verdict.SKIPPED


def test_images_may_be_left_out_where_there_is_no_engine() -> None:
    """Allowed absence of an engine is a gap that is said, not a scan that passed."""
    plan = planned(SHOP, Circumstances(head="c", lacks_engine="no container engine found"))
    scan = named(plan, "container/trivy-image:backend")
    assert scan.is_uncovered
    assert scan.settled is not None


def test_a_scanner_of_your_own_joins_by_configuration() -> None:
    """[scanners.NAME] gives a scan over the files it names, and says when it has none."""
    own = {"command": ["semgrep"], "inputs": ["*.ts"]}
    assert named(planned(SHOP, scanners={"semgrep": own}), "code/semgrep").inputs == ("frontend/src/main.ts",)
    nothing = named(planned({"a.txt": ""}, scanners={"semgrep": own}), "code/semgrep").settled
    assert nothing is not None
    assert nothing.verdict is Verdict.SKIPPED


def test_infrastructure_is_told_apart() -> None:
    """Overlays that others include, their files and templates are not scanned by themselves."""
    files = infrastructure_of(SHOP, SHOP)
    assert files.terraform == ("infra",)
    assert files.overlays == ("deploy/production",)
    assert files.manifests == ("loose.yaml",)
    assert files.templates == ("chart/pod.yaml",)


def test_the_baseline_of_detect_secrets_is_read_as_data() -> None:
    """Only file and hash are taken from the target's baseline; one that cannot be read knows nothing."""
    baseline = {
        "results": {"a.py": [{"hashed_secret": "ab", "line_number": 3}]},
        "filters_used": [{"path": "file://x"}],
    }
    assert known_secrets(json.dumps(baseline)) == ("a.py\tab",)
    assert known_secrets("{") == ()
    assert known_secrets('{"results": {"a": [3]}}') == ()
