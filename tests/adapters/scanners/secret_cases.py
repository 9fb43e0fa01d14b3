"""Cases of the secret scanners; every token is put together here, and is nobody's."""

import hashlib

from tasks.adapters.scanners.history_secrets import GITLEAKS_HISTORY, GITLEAKS_TREE
from tasks.adapters.scanners.tree_secrets import DETECT_SECRETS
from tasks.core.security.scanner import Scan
from tests.adapters.scanners.scan_cases import Answer, Case

GITHUB = "gh" + "p_" + "0123456789abcdefghij" + "ABCDEFGHIJ456789"
AMAZON = "AK" + "IA" + "QYLPMN5HHHFPZAM2"
_KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + ("MIIBOgIBAAJBAKj3" * 4 + "\n") * 2
PRIVATE = _KEY + "-----END RSA " + "PRIVATE KEY-----\n"
PLANTED = {"a.txt": f"token: {GITHUB}\n", "sub/b.txt": f"id = {AMAZON}\n", "key.pem": PRIVATE}
PLAIN = {"readme.txt": "nothing to see\n"}
# What detect-secrets says of every token that starts like GITHUB, and of AMAZON.
GITHUB_HASH = hashlib.sha1(GITHUB[:3].encode()).hexdigest()
AMAZON_HASH = hashlib.sha1(AMAZON.encode()).hexdigest()

CASES = (
    Case(
        scanner=DETECT_SECRETS,
        name="findings",
        files=PLANTED,
        answer=Answer.FINDINGS,
        rules=frozenset({"AWS Access Key", "GitHub Token", "Private Key"}),
    ),
    Case(
        scanner=DETECT_SECRETS,
        name="accepted",
        files={"a.txt": f"{GITHUB}\n", "sub/b.txt": f"{AMAZON}\n"},
        scan=Scan(options={"baseline_hashes": (f"a.txt\t{GITHUB_HASH}", f"sub/b.txt\t{AMAZON_HASH}")}),
        answer=Answer.CLEAN,
        notes=(
            "2 findings accepted by the target's baseline",
            "a.txt: the baseline's entry accepts every GitHub Token there, since its hash is the same for all",
        ),
    ),
    Case(scanner=DETECT_SECRETS, name="clean", files=PLAIN, answer=Answer.CLEAN),
    Case(scanner=DETECT_SECRETS, name="empty", answer=Answer.NOTHING),
    Case(
        scanner=DETECT_SECRETS,
        name="hostile",
        files={
            ".secrets.baseline": '{"version": "1.5.0", "plugins_used": [{"name": "X", "path": "file:///target/x.py"}]}',
            "x.py": "raise SystemExit(0)\n",
            "a.txt": f"{GITHUB}\n",
            "bytes.bin": "\udcff\udcfe\0",
        },
        answer=Answer.FINDINGS,
        rules=frozenset({"GitHub Token"}),
    ),
    Case(
        scanner=GITLEAKS_TREE,
        name="findings",
        files=PLANTED,
        answer=Answer.FINDINGS,
        rules=frozenset({"aws-access-token", "github-pat", "private-key"}),
    ),
    Case(
        scanner=GITLEAKS_TREE,
        name="hostile",
        files={
            **PLANTED,
            "c.txt": f"{GITHUB} # gitleaks:allow\n",
            ".gitleaks.toml": '[[rules]]\nid = "none"\nregex = "zzzzzz"\n',
            ".gitleaksignore": "a.txt:github-pat:1\n/target/sub/b.txt:aws-access-token:1\n",
        },
        scan=Scan(options={"ignore_file": ("a.txt:github-pat:1\n/target/sub/b.txt:aws-access-token:1\n",)}),
        answer=Answer.FINDINGS,
        rules=frozenset({"github-pat", "private-key"}),
        skipped=(".gitleaksignore hides /target/sub/b.txt:aws-access-token:1",),
        notes=("the target's .gitleaksignore was not honoured",),
    ),
    Case(scanner=GITLEAKS_TREE, name="clean", files=PLAIN, answer=Answer.CLEAN),
    Case(scanner=GITLEAKS_TREE, name="empty", answer=Answer.NOTHING),
    Case(
        scanner=GITLEAKS_HISTORY,
        name="findings",
        commits=(PLAIN, dict(PLANTED), dict.fromkeys(PLANTED)),
        answer=Answer.FINDINGS,
        rules=frozenset({"aws-access-token", "github-pat", "private-key"}),
    ),
    Case(
        scanner=GITLEAKS_HISTORY,
        name="range",
        commits=(dict(PLANTED), {"b.txt": "later\n"}),
        scan=Scan(options={"range": ("HEAD~1..HEAD",), "commits": ("1",)}),
        answer=Answer.CLEAN,
    ),
    Case(
        scanner=GITLEAKS_HISTORY,
        name="removed",
        commits=(dict(PLANTED), dict.fromkeys(PLANTED)),
        scan=Scan(options={"range": ("HEAD~1..HEAD",), "commits": ("1",)}),
        answer=Answer.CLEAN,
        notes=("none of the 1 commit adds a line",),
    ),
    Case(
        scanner=GITLEAKS_HISTORY,
        name="unknown-revision",
        commits=(PLAIN,),
        scan=Scan(options={"range": ("nosuch..HEAD",), "commits": ("1",)}),
        answer=Answer.UNREADABLE,
    ),
    Case(
        scanner=GITLEAKS_HISTORY,
        name="empty-range",
        commits=(PLAIN,),
        scan=Scan(options={"range": ("HEAD..HEAD",)}),
        answer=Answer.NOTHING,
    ),
    Case(scanner=GITLEAKS_HISTORY, name="no-repository", files=PLAIN, answer=Answer.UNREADABLE),
)
