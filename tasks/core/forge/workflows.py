"""Thin GitHub Actions workflows that call the commands people have on their own machine.

It solves that a team without a server of its own wants the same gates on a runner. It promises actions pinned by
commit, the least permissions, no credentials left in the checkout, and that nothing a stranger wrote (a title, a
branch's name) is ever part of a script. A pull request from a fork runs with GitHub's read-only token.
"""

from collections.abc import Mapping

# Looked up on 2026-11-25; a team's Dependabot renews them.
_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
_PYTHON = "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0"
_NODE = "actions/setup-node@49933ea5288caeca8642d1e84afbd3f7d6820020 # v4.4.0"
_UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2"

_HEAD = """# Written by `towpath init --github`. The same command runs on your own machine: {command}
name: {name}
on:
{events}
permissions: {{}}
concurrency:
  group: {name}-${{{{ github.ref }}}}
  cancel-in-progress: {is_cancelled}
jobs:
  {job}:
    name: {job}
    runs-on: {runner}
    timeout-minutes: {minutes}
    permissions:
{permissions}
    steps:
      - uses: {checkout}
        with:
          fetch-depth: 0
          persist-credentials: false
      - uses: {python}
        with:
          python-version: "3.12"
      - uses: {node}
        with:
          node-version: "22"
      - name: install Towpath
        run: |
          {install}
{before}      - name: {job}
        run: |
          {run}
{environment}      - name: keep the report
        if: always()
        uses: {upload}
        with:
          name: towpath-{job}
          path: towpath-report.json
          if-no-files-found: error
"""
# A runner remembers no earlier run, so that both sides are measured first. What fails there is told by its own job,
# and annotations of the base would be taken for the pull request's.
_COVERAGE = """      - name: measure the coverage of both sides
        run: |
          GITHUB_ACTIONS="" towpath ci . --ref "$BASE" --plain --allow-missing docker || [ $? -eq 1 ]
          GITHUB_ACTIONS="" towpath ci . --ref HEAD --plain --allow-missing docker || [ $? -eq 1 ]
        env:
          BASE: ${{ github.event.pull_request.base.sha }}
"""
_READ = ("contents: read",)
_TITLED_PULL_REQUESTS = "[opened, synchronize, reopened, edited]"


def workflows(*, install: str, branch: str) -> Mapping[str, str]:
    """The files by their path; `install` is a shell command, `branch` the one that is delivered."""
    push = f"  push:\n    branches: [{branch}]\n"
    reports = "--plain --json towpath-report.json"
    return {
        ".github/workflows/ci.yml": _workflow(
            "ci", f"towpath ci . {reports}", events=f"{push}  pull_request:", install=install
        ),
        ".github/workflows/security.yml": _workflow(
            "security",
            f'towpath security . ${{BASE:+--base "$BASE"}} --set security.github.upload="$UPLOAD" {reports}',
            events=f'{push}  pull_request:\n  schedule:\n    - cron: "17 3 * * *"',
            install=install,
            permissions=(*_READ, "security-events: write # the Security tab"),
            environment={
                "BASE": "${{ github.event.pull_request.base.sha }}",
                # A fork's token may not write there, and says so itself by being read-only.
                "UPLOAD": "${{ github.event_name != 'pull_request' }}",
                "GITHUB_TOKEN": "${{ github.token }}",
            },
        ),
        ".github/workflows/pr-checks.yml": _workflow(
            "pr-checks",
            f'towpath pr . --base "$BASE" --title "$TITLE" {reports}',
            events=f"  pull_request:\n    types: {_TITLED_PULL_REQUESTS}",
            install=install,
            before=_COVERAGE,
            environment={
                "BASE": "${{ github.event.pull_request.base.sha }}",
                "TITLE": "${{ github.event.pull_request.title }}",
            },
        ),
        ".github/workflows/cd.yml": _workflow(
            "cd",
            f"towpath cd . {reports}",
            events=push.rstrip("\n"),
            install=install,
            # What runs in an environment, and the records of it, outlive a hosted runner.
            runner="self-hosted",
            is_cancelled=False,
        ),
    }


def _workflow(
    job: str,
    run: str,
    *,
    events: str,
    install: str,
    permissions: tuple[str, ...] = _READ,
    environment: Mapping[str, str] | None = None,
    before: str = "",
    runner: str = "ubuntu-24.04",
    is_cancelled: bool = True,
) -> str:
    variables = "".join(f"          {name}: {value}\n" for name, value in (environment or {}).items())
    return _HEAD.format(
        name=job,
        job=job,
        command=" ".join(run.split()[:3]),
        events=events,
        runner=runner,
        minutes=60,
        is_cancelled="true" if is_cancelled else "false",
        permissions="\n".join(f"      {permission}" for permission in permissions),
        checkout=_CHECKOUT,
        python=_PYTHON,
        node=_NODE,
        upload=_UPLOAD,
        install=install,
        run=run,
        before=before,
        environment=f"        env:\n{variables}" if variables else "",
    )
