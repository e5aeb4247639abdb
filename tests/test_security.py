"""SECURITY.md says what is so: its limits are those of the code, and the tests that it names are there."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
UNITS = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20}
LIMITS = re.findall(r"^\| .* \| ([\d,]+) ?(\w*) \| `([\w.]+)\.(\w+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("number, unit, module, name", LIMITS)
def test_limits_are_those_of_the_code(number, unit, module, name):
    assert int(number.replace(",", "")) * UNITS[unit] == getattr(importlib.import_module(module), name)


def test_all_rows_of_limits_are_compared():
    table = TEXT.split("## Limits")[1].split("\n## ")[0]
    assert len(LIMITS) == table.count("\n| ") - 1 > 20


def test_the_tests_that_it_names_are_there():
    named = re.findall(r"(?:tests|benchmarks)/[\w/.]+", TEXT)
    assert len(named) > 15 and all((ROOT / path).exists() for path in named)
