"""Every case of every scanner."""

from tests.adapters.scanners import (
    code_cases,
    dependency_cases,
    image_cases,
    infrastructure_cases,
    own_cases,
    secret_cases,
)
from tests.adapters.scanners.scan_cases import Case

CASES: tuple[Case, ...] = (
    *code_cases.CASES,
    *secret_cases.CASES,
    *dependency_cases.CASES,
    *image_cases.CASES,
    *infrastructure_cases.CASES,
    *own_cases.CASES,
)
