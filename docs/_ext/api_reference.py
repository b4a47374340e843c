"""Write the pages of the API reference from the names that the packages make public.

For each package of skgeo a page docs/reference/generated/skgeo.<package>.rst with its docstring
and tables of its classes, functions and constants; from those tables autosummary makes a page for
each name. Nothing is listed by hand, so nothing is forgotten, and a name without a docstring stops
the build.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import skgeo

# In the order in which data flows through them.
ORDER = [
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
]


def public_packages() -> list[str]:
    """Find every package of skgeo that is public, the known ones in their order."""
    found = {
        info.name
        for info in pkgutil.iter_modules(skgeo.__path__)
        if info.ispkg and not info.name.startswith("_")
    }
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def table(names: list[str], *options: str) -> list[str]:
    """Write an autosummary of names of the current module."""
    if not names:
        return []
    return [".. autosummary::", *(f"   {o}" for o in options), "", *(f"   {n}" for n in names), ""]


def section(title: str, names: list[str]) -> list[str]:
    """Write a section with a table whose names get pages of their own."""
    return (
        [title, "-" * len(title), "", *table(names, ":toctree: .", ":nosignatures:")]
        if names
        else []
    )


def constants(module: ModuleType, names: list[str]) -> list[str]:
    """Write a section with constants, whose docstrings are comments in the source."""
    if not names:
        return []
    lines = ["Constants", "---------", ""]
    for name in names:
        comment = documented_constants(module).get(name)
        if not comment:
            raise RuntimeError(f"{module.__name__}.{name} is public and has no #: comment.")
        value = getattr(module, name)
        shown = dict(value) if isinstance(value, Mapping) else value
        lines += [f".. py:data:: {name}", f"   :value: {shown!r}", ""]
        lines += [f"   {line}" for line in comment] + [""]
    return lines


def documented_constants(module: ModuleType) -> dict[str, list[str]]:
    """Read the comments above constants in the private modules of a package."""
    found = {}
    for info in pkgutil.iter_modules(module.__path__):
        analyzer = ModuleAnalyzer.for_module(f"{module.__name__}.{info.name}")
        for (scope, name), comment in analyzer.find_attr_docs().items():
            if not scope:
                found[name] = comment
    return found


def sort(module: ModuleType, names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Split public names into classes, functions and constants."""
    classes, functions, others = [], [], []
    for name in sorted(names, key=str.lower):
        value: Any = getattr(module, name)
        if inspect.ismodule(value):
            continue
        if inspect.isclass(value):
            classes.append(name)
        elif callable(value):
            functions.append(name)
        else:
            others.append(name)
        if callable(value) and not inspect.getdoc(value):
            raise RuntimeError(f"{module.__name__}.{name} is public and has no docstring.")
    return classes, functions, others


def package_page(name: str) -> str:
    """Write the page of one package."""
    full = f"skgeo.{name}"
    module = importlib.import_module(full)
    classes, functions, others = sort(module, list(module.__all__))
    lines = [full, "=" * len(full), "", f".. py:module:: {full}", f".. currentmodule:: {full}", ""]
    lines += [inspect.cleandoc(module.__doc__ or ""), ""]
    lines += section("Classes", classes)
    lines += section("Functions", functions)
    lines += constants(module, others)
    return "\n".join(lines)


def top_page(packages: list[str]) -> str:
    """Write the page of what ``skgeo`` itself offers."""
    homes = {n: p for p in packages for n in importlib.import_module(f"skgeo.{p}").__all__}
    classes, functions, _ = sort(skgeo, list(skgeo.__all__))
    own = [name for name in classes + functions if name not in homes]
    also = [name for name in classes + functions if name in homes]
    lines = ["skgeo", "=====", "", ".. py:module:: skgeo", ".. currentmodule:: skgeo", ""]
    lines += [inspect.cleandoc(skgeo.__doc__ or ""), ""]
    lines += section("Functions", own)
    lines += ["Also to be had from skgeo", "-------------------------", ""]
    lines += ["Each of these is the same object as in its package:", ""]
    lines += [f"- `~skgeo.{homes[name]}.{name}`" for name in also]
    return "\n".join([*lines, ""])


def overview(packages: list[str]) -> str:
    """Write what reference/index.rst includes: all names at a glance, and where their pages are."""
    homes = {n for p in packages for n in importlib.import_module(f"skgeo.{p}").__all__}
    lines = [".. toctree::", "   :hidden:", "", "   generated/skgeo"]
    lines += [*(f"   generated/skgeo.{name}" for name in packages), ""]
    for full in ["skgeo", *(f"skgeo.{name}" for name in packages)]:
        module = importlib.import_module(full)
        classes, functions, others = sort(module, list(module.__all__))
        names = classes + functions + others
        if full == "skgeo":
            names = [name for name in names if name not in homes]
        text = inspect.cleandoc(module.__doc__ or "").split("\n\n")[0]
        lines += [
            f"`{full}`",
            "-" * (len(full) + 2),
            "",
            f".. currentmodule:: {full}",
            "",
            text,
            "",
        ]
        lines += table([name for name in names if name not in others], ":nosignatures:")
        lines += [f"- `{full}.{name}`" for name in others] + [""]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Leave unchanged pages alone, so that Sphinx does not read them again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def generate(app: Any, _config: Any) -> None:
    """Write all pages, before Sphinx looks for sources."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    packages = public_packages()
    write(folder / "skgeo.rst", top_page(packages))
    for name in packages:
        write(folder / f"skgeo.{name}.rst", package_page(name))
    write(folder / "overview.rst", overview(packages))


def skip(_app: Any, _what: str, name: str, obj: Any, *_rest: Any) -> bool | None:
    """Leave out what scikit-learn adds to every estimator; its own pages describe that."""
    module = getattr(inspect.unwrap(obj) if callable(obj) else obj, "__module__", None) or ""
    if module.partition(".")[0] == "sklearn" or (
        name.startswith("set_") and name.endswith("_request")
    ):
        return True
    return None


_FIELD = re.compile(r"^(\s*[\w*, ]+ : )(.+)$")
_FITTED = re.compile(r"(?<![`\w])(\w+_)(?![`\w])")


def quote_fitted(*event: Any) -> None:
    """Quote fitted attributes in the types of fields: ``shape_`` alone would be a reference."""
    lines: list[str] = event[-1]
    for i, line in enumerate(lines):
        field = _FIELD.match(line)
        if field:
            lines[i] = field[1] + _FITTED.sub(r"``\1``", field[2])


def setup(app: Any) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("config-inited", generate)
    app.connect("autodoc-skip-member", skip)
    # Before numpydoc, which connects at the default priority of 500.
    app.connect("autodoc-process-docstring", quote_fitted, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
