"""The files of a feature store, written in an order that no interruption can break.

A chunk of rows counts from the moment its line stands in the journal. Before that its vectors and
its lines of the index have been flushed to the disk, so what the journal names is there. Whatever
lies behind the last line of the journal was being written when the process ended, and is
overwritten by the next one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["INDEX_COLUMNS", "Chunk", "StoreFiles", "exclusive", "npy_header"]

FORMAT = 1
INDEX_COLUMNS = ("name", "fingerprint", "error", "latitude", "longitude")

_MANIFEST, _FEATURES, _INDEX, _JOURNAL = "store.json", "features.npy", "index.csv", "chunks.csv"
_ESTIMATOR, _LOCK = "estimator.joblib", "lock"
_OWN_FILES = (_MANIFEST, _FEATURES, _INDEX, _JOURNAL, _ESTIMATOR, _LOCK)

_JOURNAL_HEADER = b"start,stop,data_sha256,index_end,index_sha256,crc32\n"


class Chunk(NamedTuple):
    """A line of the journal: rows that are on the disk, and how to recognise them."""

    start: int
    stop: int
    data_sha256: str
    index_end: int
    index_sha256: str


def npy_header(n_rows: int, n_columns: int, dtype: np.dtype[Any]) -> bytes:
    """Head of a .npy file; NumPy pads it so that its length is the same for any number of rows."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": dtype.str, "fortran_order": False, "shape": (n_rows, n_columns)}
    )
    return buffer.getvalue()


@dataclass(frozen=True)
class StoreFiles:
    """The folder of a store.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    """

    folder: Path

    # --- reading ----------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a store: its manifest is written last."""
        return (self.folder / _MANIFEST).is_file()

    def foreign_files(self) -> list[str]:
        """Names in the folder that no store would have put there."""
        if not self.folder.is_dir():
            return []
        own = {*_OWN_FILES, *(_temporary(name) for name in _OWN_FILES)}
        return sorted(name for name in os.listdir(self.folder) if name not in own)

    def read_manifest(self) -> dict[str, Any]:
        """Read what the store was begun with."""
        path = self.folder / _MANIFEST
        if not path.is_file():
            raise FileNotFoundError(f"there is no feature store in {str(self.folder)!r}.")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            version = manifest["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{str(path)!r} is damaged: it is no manifest of a store.") from error
        if version != FORMAT:
            raise ValueError(
                f"{str(path)!r} is of format {version}; this version of skgeo reads {FORMAT}."
            )
        return dict(manifest)

    def read_journal(self) -> list[Chunk]:
        """Read the chunks that are done; a torn last line was never done."""
        path = self.folder / _JOURNAL
        lines = path.read_bytes().splitlines(keepends=True)
        if not lines or lines[0] != _JOURNAL_HEADER:
            raise ValueError(f"{str(path)!r} is damaged in line 1.")
        chunks: list[Chunk] = []
        for number, line in enumerate(lines[1:], start=1):
            chunk = _parse_line(line, chunks[-1].stop if chunks else 0)
            if chunk is None:
                if number == len(lines) - 1:
                    break
                raise ValueError(f"{str(path)!r} is damaged in line {number + 1}.")
            chunks.append(chunk)
        return chunks

    def read_index(self, chunks: Sequence[Chunk]) -> Iterator[list[str]]:
        """Go through the lines of the index that belong to chunks that are done."""
        end = chunks[-1].index_end if chunks else len(_index_header())
        with (self.folder / _INDEX).open("rb") as file:
            data = file.read(end)
        if len(data) < end:
            raise ValueError(f"{str(self.folder / _INDEX)!r} is shorter than it was written.")
        text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
        rows = csv.reader(text)
        next(rows)
        yield from rows

    def map_rows(
        self, chunks: Sequence[Chunk], n_columns: int, dtype: np.dtype[Any]
    ) -> npt.NDArray[Any]:
        """Map the rows that are done into memory, read-only."""
        if not chunks:
            return np.empty((0, n_columns), dtype=dtype)
        path = self.folder / _FEATURES
        offset = len(npy_header(0, n_columns, dtype))
        expected = offset + chunks[-1].stop * n_columns * dtype.itemsize
        size = path.stat().st_size
        if size < expected:
            raise ValueError(
                f"{str(path)!r} has {size} bytes; {expected} belong to the rows that are done."
            )
        shape = (chunks[-1].stop, n_columns)
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)

    def is_intact(self, chunks: Sequence[Chunk], position: int, row_bytes: int, head: int) -> bool:
        """Whether the vectors and the index of one chunk are what was written."""
        chunk = chunks[position]
        index_start = chunks[position - 1].index_end if position else len(_index_header())
        for name, start, end, digest in (
            (_FEATURES, head + chunk.start * row_bytes, head + chunk.stop * row_bytes,
             chunk.data_sha256),
            (_INDEX, index_start, chunk.index_end, chunk.index_sha256),
        ):  # fmt: skip
            with (self.folder / name).open("rb") as file:
                file.seek(start)
                data = file.read(end - start)
            if hashlib.sha256(data).hexdigest() != digest:
                return False
        return True

    def load_estimator(self) -> Any:
        """Unpickle the estimator."""
        import joblib

        return joblib.load(self.folder / _ESTIMATOR)

    # --- writing ----------------------------------------------------------------------------

    def create(
        self, manifest: dict[str, Any], estimator: bytes, n_columns: int, dtype: np.dtype[Any]
    ) -> None:
        """Write a store without rows; the manifest comes last and makes it one."""
        self._replace(_ESTIMATOR, estimator)
        self._replace(_INDEX, _index_header())
        self._replace(_FEATURES, npy_header(0, n_columns, dtype))
        self._replace(_JOURNAL, _JOURNAL_HEADER)
        self.write_manifest(manifest)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest: a reader sees the old one or the new one, nothing between."""
        text = json.dumps({"format": FORMAT, **manifest}, indent=1, ensure_ascii=True) + "\n"
        self._replace(_MANIFEST, text.encode("ascii"))

    def recover(self, n_columns: int, dtype: np.dtype[Any]) -> list[Chunk]:
        """Cut off what was being written when the last process ended, and return what is done."""
        chunks = self.read_journal()
        head, row_bytes = len(npy_header(0, n_columns, dtype)), n_columns * dtype.itemsize
        # A disk that lost its power may have kept the journal and lost what it had acknowledged
        # before; only the end of the files can be concerned.
        while chunks and not self.is_intact(chunks, len(chunks) - 1, row_bytes, head):
            chunks.pop()
        n_rows = chunks[-1].stop if chunks else 0
        self._truncate(_JOURNAL, len(_JOURNAL_HEADER) + sum(len(_line(chunk)) for chunk in chunks))
        self._truncate(_INDEX, chunks[-1].index_end if chunks else len(_index_header()))
        self._truncate(_FEATURES, head + n_rows * row_bytes)
        self._write_head(n_rows, n_columns, dtype)
        return chunks

    def append(
        self, chunks: list[Chunk], rows: npt.NDArray[Any], index: Sequence[Sequence[str]]
    ) -> None:
        """Write a chunk of rows behind the others; it counts when this has returned."""
        start = chunks[-1].stop if chunks else 0
        index_start = chunks[-1].index_end if chunks else len(_index_header())
        n_columns, dtype = rows.shape[1], rows.dtype
        data, lines = rows.tobytes(), _index_lines(index)
        head = len(npy_header(0, n_columns, dtype))
        self._write_at(_FEATURES, head + start * n_columns * dtype.itemsize, data)
        self._write_at(_INDEX, index_start, lines)
        stop = start + len(rows)
        # np.load sees the new rows from here on. They are on the disk, done or not.
        self._write_head(stop, n_columns, dtype)
        chunk = Chunk(
            start,
            stop,
            hashlib.sha256(data).hexdigest(),
            index_start + len(lines),
            hashlib.sha256(lines).hexdigest(),
        )
        self._write_at(_JOURNAL, None, _line(chunk))
        chunks.append(chunk)

    def _write_head(self, n_rows: int, n_columns: int, dtype: np.dtype[Any]) -> None:
        self._write_at(_FEATURES, 0, npy_header(n_rows, n_columns, dtype))

    def _write_at(self, name: str, position: int | None, data: bytes) -> None:
        """Write at a position, or at the end."""
        with (self.folder / name).open("r+b") as file:
            file.seek(*((0, os.SEEK_END) if position is None else (position, os.SEEK_SET)))
            file.write(data)
            _sync(file)

    def _truncate(self, name: str, size: int) -> None:
        with (self.folder / name).open("r+b") as file:
            file.truncate(size)
            _sync(file)

    def _replace(self, name: str, data: bytes) -> None:
        temporary = self.folder / _temporary(name)
        with temporary.open("wb") as file:
            file.write(data)
            _sync(file)
        os.replace(temporary, self.folder / name)
        _sync_folder(self.folder)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keep other processes from writing to the same store; the system frees the lock at any end."""
    with (folder / _LOCK).open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(
                f"another process is writing to the feature store in {str(folder)!r}."
            ) from error
        yield


def _temporary(name: str) -> str:
    return f".{name}.tmp"


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if sys.platform != "win32":  # There a folder cannot be opened, and a rename needs no help.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _line(chunk: Chunk) -> bytes:
    text = ",".join(str(value) for value in chunk)
    return f"{text},{zlib.crc32(text.encode('ascii')):08x}\n".encode("ascii")


def _parse_line(line: bytes, start: int) -> Chunk | None:
    """Read a line of the journal; None if it is not wholly what was written."""
    try:
        first, last, data, end, index, _ = line.decode("ascii").rstrip("\n").split(",")
        chunk = Chunk(int(first), int(last), data, int(end), index)
    except ValueError:
        return None
    return chunk if _line(chunk) == line and start == chunk.start < chunk.stop else None


def _index_header() -> bytes:
    return _index_lines([INDEX_COLUMNS])


def _index_lines(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    # Quotes around everything keep whatever a file name may contain, line feeds included.
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
