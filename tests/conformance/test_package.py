"""What holds for the package as a whole."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skgeo

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numba", "cv2", "matplotlib", "skorch", "pynndescent", "pandas")


def test_import_is_light():
    code = f"import sys, skgeo; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    # scikit-learn itself may look for pandas; nothing else of the list may come along.
    assert out.strip() in ("[]", "['pandas']")


def public_names():
    for package in pkgutil.iter_modules(skgeo.__path__, "skgeo."):
        if not package.name.rpartition(".")[2].startswith("_"):
            module = importlib.import_module(package.name)
            for name in module.__all__:
                yield f"{package.name}.{name}", getattr(module, name)


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*found, id=found[0]) for found in public_names()]
)
def test_public_callables_have_a_runnable_example(name, thing):
    if not callable(thing):
        return
    doc = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and issubclass(thing, (Exception, tuple)):
        assert doc, name
        return
    assert ">>>" in doc, name
    assert "Parameters" in doc or not inspect.signature(thing).parameters, name


def test_every_estimator_can_be_had_from_the_top():
    from sklearn.base import BaseEstimator

    for name, thing in public_names():
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator):
            assert getattr(skgeo, name.rpartition(".")[2]) is thing
    assert callable(skgeo.make_geo_pipeline)


def test_imports_flow_one_way():
    """A package may only import those above it in this list."""
    order = [
        "images",
        "features",
        "cluster",
        "pairs",
        "embedding",
        "neighbors",
        "metrics",
        "model_selection",
        "plotting",
        "datasets",
        "persistence",
        "_cli",
    ]
    # Data sets read images; nothing of the library proper reads data sets.
    rank = {name: i for i, name in enumerate(order)}
    for path in (ROOT / "skgeo").rglob("*.py"):
        package = path.relative_to(ROOT / "skgeo").parts[0]
        if package not in rank:
            continue
        # Without docstrings, whose examples may import what users would.
        source = re.sub(r'"""(?:.|\n)*?"""', "", path.read_text(encoding="utf-8"))
        imported = re.findall(r"(?:from|import) (?:skgeo\.|\.\.)(\w+)", source)
        for name in imported:
            if name in rank and name != package:
                assert rank[name] < rank[package], f"{path} imports {name}"


def test_no_module_outgrows_a_reader():
    for path in (ROOT / "skgeo").rglob("*.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 450, f"{path} has {lines} lines: it is asking to be two"
