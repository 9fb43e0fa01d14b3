"""The one table of checks: what CI and the pre-commit hook run is looked up here, so that they cannot differ."""

from collections.abc import Mapping

from tasks.core.tools.contract import Tool
from tasks.core.tools.formatting import BLACK, RUFF, RUFF_FORMAT
from tasks.core.tools.javascript import BIOME, ESLINT, JEST, PRETTIER, SCRIPT, TYPESCRIPT, VITEST
from tasks.core.tools.own import OWN
from tasks.core.tools.secrets_and_flaws import BANDIT, DETECT_SECRETS
from tasks.core.tools.testing_python import PYTEST
from tasks.core.tools.typing_python import MYPY

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        BANDIT,
        BIOME,
        BLACK,
        DETECT_SECRETS,
        ESLINT,
        JEST,
        MYPY,
        OWN,
        PRETTIER,
        PYTEST,
        RUFF,
        RUFF_FORMAT,
        SCRIPT,
        TYPESCRIPT,
        VITEST,
    )
}
