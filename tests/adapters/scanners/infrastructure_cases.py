"""Cases of Checkov."""

from dataclasses import replace

from tasks.adapters.scanners.infrastructure import CHECKOV
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.scan_cases import Answer, Case

assert CHECKOV.bait
_OPEN = CHECKOV.bait.files["main.tf"]
_POD = CHECKOV.bait.scan.files["rendered/bait.yaml"]
_TERRAFORM = Scan(paths=("infra",), options={"framework": ("terraform",)})
_POLICY = (
    '{"Statement": [{"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["*"], '
    '"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]}'
)
_TIDY = f"""resource "aws_kms_key" "one" {{
  enable_key_rotation = true
  policy              = <<POLICY
{_POLICY}
POLICY
}}
"""
_GROUP = frozenset({"CKV_AWS_24", "CKV_AWS_23", "CKV2_AWS_5"})


def _manifests(**files: str) -> Scan:
    named = {f"rendered/{name}/manifests.yaml": text for name, text in files.items()}
    return Scan(options={"framework": ("kubernetes",)}, files=named)


_POD_RULES = frozenset(
    f"CKV_K8S_{number}" for number in (8, 9, 10, 11, 12, 13, 14, 16, 20, 22, 23, 28, 29, 31, 37, 38, 40, 43)
) | {"CKV2_K8S_6"}

CASES = (
    Case(
        scanner=CHECKOV,
        name="terraform",
        files={"infra/main.tf": _OPEN},
        scan=_TERRAFORM,
        answer=Answer.FINDINGS,
        rules=_GROUP,
    ),
    Case(
        scanner=CHECKOV,
        name="folders",
        files={"infra/main.tf": _OPEN, "more/main.tf": _TIDY, "more/bad.tf": 'resource "x" {{{\n'},
        scan=replace(_TERRAFORM, paths=("infra", "more")),
        answer=Answer.FINDINGS,
        rules=_GROUP,
        skipped=("more/bad.tf: it cannot be parsed",),
    ),
    Case(
        scanner=CHECKOV,
        name="hostile",
        files={
            "infra/main.tf": _OPEN,
            "infra/.checkov.yaml": "skip-check: [CKV_AWS_24]\nexternal-checks-dir: [/target/infra/checks]\n",
            ".checkov.yaml": "skip-check: [CKV_AWS_23]\n",
            "infra/checks/__init__.py": "raise SystemExit(0)\n",
        },
        scan=_TERRAFORM,
        answer=Answer.FINDINGS,
        rules=_GROUP,
    ),
    Case(
        scanner=CHECKOV,
        name="suppressed",
        files={"infra/main.tf": _OPEN.replace("{\n", "{\n  #checkov:skip=CKV_AWS_24:for a test\n", 1)},
        scan=_TERRAFORM,
        answer=Answer.FINDINGS,
        rules=_GROUP - {"CKV_AWS_24"},
        notes=("1 finding suppressed by checkov:skip comments",),
    ),
    Case(scanner=CHECKOV, name="clean", files={"infra/main.tf": _TIDY}, scan=_TERRAFORM, answer=Answer.CLEAN),
    Case(
        scanner=CHECKOV,
        name="broken",
        files={"infra/main.tf": 'resource "x" {{{\n'},
        scan=_TERRAFORM,
        answer=Answer.GAPS,
        skipped=("infra/main.tf: it cannot be parsed",),
    ),
    Case(
        scanner=CHECKOV, name="missing-folder", scan=_TERRAFORM, answer=Answer.GAPS, skipped=("infra: it is not there",)
    ),
    Case(scanner=CHECKOV, name="kubernetes", scan=_manifests(staging=_POD), answer=Answer.FINDINGS, rules=_POD_RULES),
    Case(
        scanner=CHECKOV,
        name="broken-manifest",
        scan=_manifests(staging=_POD, production=_POD + "  broken: [1\n"),
        answer=Answer.FINDINGS,
        rules=_POD_RULES,
        skipped=("production/manifests.yaml: no check speaks of it",),
    ),
)
