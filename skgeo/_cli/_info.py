"""``skgeo info``: what a model says of itself; nothing of it is loaded."""

from __future__ import annotations

import argparse
import json
import sys

from ._console import DONE


def info(options: argparse.Namespace) -> int:
    """Print what `inspect_model` finds."""
    from skgeo.persistence import inspect_model

    found = inspect_model(options.model)
    if options.json:
        sys.stdout.write(json.dumps(found._asdict(), indent=1, ensure_ascii=False) + "\n")
        return DONE
    lines = [f"{options.model}: {found.model_class}"]
    if found.description:
        lines.append(f"  {found.description}")
    lines.append(f"  written {found.created}")
    lines += [f"  {name} {version}" for name, version in found.versions.items()]
    lines.append(f"  sha256 {found.digest}")
    if found.untrusted_types:
        lines.append("  types that must be trusted before it is loaded (--trust):")
        lines += [f"    {name}" for name in found.untrusted_types]
    else:
        lines.append(f"  {len(found.types)} types, all trusted")
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE
