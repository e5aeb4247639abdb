"""The examples in docstrings (`>>>`) and in the documentation show what really comes out."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def having_examples(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if ">>> " in path.read_text(encoding="utf-8"))


MODULES = [".".join(path.relative_to(parent).with_suffix("").parts).removesuffix(".__init__")
           for parent, package in ((ROOT, "babe2_fx"), (ROOT / "host", "babe2_host"))
           for path in having_examples(parent / package, "*.py")]
PAGES = [path.relative_to(ROOT).as_posix() for path in having_examples(ROOT / "docs", "*.md")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert not doctest.testmod(importlib.import_module(name), optionflags=FLAGS).failed


@pytest.mark.parametrize("page", PAGES)
def test_examples_on_pages(page):
    text = re.sub(r"^```.*$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)  # fences end an output
    examples = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert not doctest.DocTestRunner(optionflags=FLAGS).run(examples).failed


def test_the_operator_in_contributing_is_one_of_ours():
    shown, = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown in (ROOT / "babe2_fx" / "operators" / "filters.py").read_text(encoding="utf-8")
