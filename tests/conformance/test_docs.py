"""The examples of the user guide and the README run as they stand."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Pages that the build of the docs makes are not ours to run.
MADE = {"_build", "generated", "auto_examples"}
PAGES = sorted(p for p in (ROOT / "docs").rglob("*.rst") if MADE.isdisjoint(p.parts))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_examples_of_the_docs_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(
        str(page), module_relative=False, optionflags=OPTIONS, encoding="utf-8"
    )
    assert results.failed == 0


def test_readme_commands_are_those_of_the_docs_and_of_ci():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (test_command,) = re.findall(r"^python3 -m venv .* pytest$", readme, flags=re.M)
    (first_command,) = re.findall(r"^python3 -m venv .*quickstart.py$", readme, flags=re.M)
    assert "constraints.txt" in test_command
    assert "constraints.txt" in first_command
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
