"""The zip archive of a model: opened once, checked to be whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from ._errors import ModelFileError

#: Raised when files of the earlier format can no longer be read as they are.
FORMAT = 1

#: The member that says who wrote the file.
HEADER = "skgeo-model.json"

_SCHEMA = "schema.json"
_READ_SIZE = 2**20


@contextlib.contextmanager
def opened(
    path: str | os.PathLike[str],
) -> Iterator[tuple[BinaryIO, dict[str, Any], list[str]]]:
    """Open a model file once, for all that is done with it, and check that it is whole."""
    path = Path(path)
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        if not zipfile.is_zipfile(file):
            hint = "It is damaged or something else."
            if start[:1] == b"\x80" or start[:2] in (b"\x78\x01", b"\x78\x9c", b"\x1f\x8b"):
                hint = (
                    "It may be a pickle (joblib), which runs code when it is read: use joblib.load "
                    "if you trust who made it."
                )
            raise ModelFileError(f"{str(path)!r} is no model file of skgeo. {hint}")
        try:
            with zipfile.ZipFile(file) as archive:
                header = _read_header(archive, path)
                types = schema_types(archive)
                if content_digest(archive) != header["digest"]:
                    raise ModelFileError(
                        f"{str(path)!r} is not what was written: its digest differs. Copy it again."
                    )
        except (zipfile.BadZipFile, EOFError, OSError, KeyError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"{str(path)!r} is damaged: {error}.") from error
        file.seek(0)
        yield file, header, types


def _read_header(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ModelFileError(f"{str(path)!r} holds two members of one name: it was altered.")
    if HEADER not in names:
        raise ModelFileError(
            f"{str(path)!r} is a zip archive, but no model file of skgeo: it has no {HEADER}."
        )
    header: dict[str, Any] = json.loads(archive.read(HEADER))
    if header["format"] > FORMAT:
        raise ModelFileError(
            f"{str(path)!r} has format {header['format']}, written by skgeo "
            f"{header['versions'].get('skgeo', '?')}; this is skgeo {version('skgeo')}, which "
            f"reads up to format {FORMAT}. Upgrade skgeo."
        )
    return header


def content_digest(archive: zipfile.ZipFile) -> str:
    """SHA-256 over the names, sizes and bytes of all members but the header."""
    digest = hashlib.sha256()
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        if info.filename == HEADER:
            continue
        digest.update(f"{len(info.filename)} {info.filename} {info.file_size}\n".encode())
        with archive.open(info) as member:
            while block := member.read(_READ_SIZE):
                digest.update(block)
    return digest.hexdigest()


def schema_types(archive: zipfile.ZipFile) -> list[str]:
    """Every type that the schema names."""
    found: set[str] = set()
    stack = [json.loads(archive.read(_SCHEMA))]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            module, name = node.get("__module__"), node.get("__class__")
            if isinstance(module, str) and isinstance(name, str):
                found.add(f"{module}.{name}")
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return sorted(found)
