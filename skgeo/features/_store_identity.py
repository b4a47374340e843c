"""What makes a feature store's rows what they are: the images, and the fitted estimator."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
from joblib.hashing import NumpyHasher
from PIL import Image

from ..images import ImageError, load_image

__all__ = [
    "CheckFiles",
    "different_parameters",
    "estimator_digest",
    "fingerprint",
    "image_name",
    "library_versions",
    "readable_parameters",
]

CheckFiles = Literal["stat", "content"]

#: Parameters that say how to work, not what comes out. A run may be resumed with others.
_NEUTRAL = ("n_jobs", "verbose", "memory", "on_error")

_READ_BYTES = 1 << 20


def image_name(source: Any) -> str:
    """Path of an image as it was given, or an empty string."""
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    name = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return name if isinstance(name, str) and not isinstance(source, np.ndarray) else ""


def fingerprint(source: Any, check_files: CheckFiles) -> str:
    """Text that is another one for another image, or another version of a file.

    Parameters
    ----------
    source : str, Path, bytes, binary file object, PIL image, array or missing value
        The image.
    check_files : {"stat", "content"}
        Whether a file is known by its size and time of change, or by its bytes. What is no path is
        always known by its bytes.

    Returns
    -------
    str
        A word.
    """
    if isinstance(source, str | os.PathLike):
        try:
            if check_files == "stat":
                status = os.stat(source)
                return f"stat:{status.st_size}:{status.st_mtime_ns}"
            with open(source, "rb") as file:
                return _file_digest(file)
        except (OSError, ValueError):  # ValueError: a zero byte in the path.
            return "unreadable"
    if isinstance(source, bytes | bytearray | memoryview):
        return _digest(source)
    if hasattr(source, "read") and hasattr(source, "seek"):
        with _restored(source):
            return _file_digest(source)
    if isinstance(source, Image.Image):
        try:
            source = load_image(source)
        except ImageError:
            return "unreadable"
    array = np.asarray(source)
    if array.dtype.hasobject:  # None, NaT and other forms of "no image".
        return f"value:{source!r}"
    return _digest(array.tobytes(), f"{array.dtype.str} {array.shape} ")


def _digest(data: Any, head: str = "") -> str:
    digest = hashlib.sha256(head.encode("ascii"))
    digest.update(data)
    return "sha256:" + digest.hexdigest()


def _file_digest(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return "sha256:" + digest.hexdigest()


@contextmanager
def _restored(file: Any) -> Iterator[None]:
    """Read a file object from its start and put it back where it stood."""
    position = file.tell()
    file.seek(0)
    try:
        yield
    finally:
        file.seek(position)


class _StateHasher(NumpyHasher):
    """joblib's hash of a Python object, which also knows the values of torch tensors.

    A pickled tensor holds the address of its storage, which is another one in every process.
    """

    def save(self, obj: Any) -> None:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(obj, torch.Tensor):
            values = obj.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            obj = ("torch", str(obj.dtype), tuple(obj.shape), values)
        super().save(obj)


def estimator_digest(estimator: Any) -> tuple[str, bytes]:
    """Hash a fitted estimator, its parameters and all that it learned.

    How many processes work, whether a bar is shown, where results are cached and what is done
    with images that cannot be read do not count.

    Returns
    -------
    digest : str
        Hexadecimal.
    pickled : bytes
        The estimator.

    Raises
    ------
    ValueError
        If the estimator cannot be pickled.
    """
    try:
        pickled = pickle.dumps(estimator)
        # An estimator that comes from a file differs in ways that mean nothing, such as arrays
        # that were views before. This one always comes from a pickle.
        copy = pickle.loads(pickled)
    except Exception as error:
        raise ValueError(
            f"the estimator cannot be pickled, so the store could not know it again "
            f"({type(error).__name__}: {error}). Functions have to be defined in a module."
        ) from error
    if hasattr(copy, "get_params"):
        neutral = [key for key in copy.get_params(deep=True) if _is_neutral(key)]
        copy.set_params(**dict.fromkeys(neutral))
    return str(_StateHasher("sha1", coerce_mmap=True).hash(copy)), pickled


def readable_parameters(estimator: Any) -> dict[str, str]:
    """Parameters of the estimator as people read them, to say in which of them two differ."""
    if not hasattr(estimator, "get_params"):
        return {}
    parameters = estimator.get_params(deep=True)
    return {
        key: repr(parameters[key])
        for key in sorted(parameters)
        # The parts of a composition are told apart by their own parameters.
        if not _is_neutral(key)
        and not key.endswith(("steps", "transformer_list", "transformers"))
        and not hasattr(parameters[key], "get_params")
    }


def different_parameters(stored: dict[str, str], given: dict[str, str]) -> str:
    """Say which parameters differ, or nothing."""
    return ", ".join(
        f"{key} was {stored.get(key, 'absent')} and is {given.get(key, 'absent')}"
        for key in sorted(stored.keys() | given.keys())
        if stored.get(key) != given.get(key)
    )


#: What computes the vectors, by the names under which it is installed.
_DISTRIBUTIONS = (
    "skgeo",
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "Pillow",
    "torch",
)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that make the numbers, whether they are loaded yet or not."""
    return {name: version(name) for name in _DISTRIBUTIONS if _is_installed(name)}


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:  # OpenCV is distributed under several names
        return False
    return True


def _is_neutral(parameter: str) -> bool:
    return parameter.rpartition("__")[2] in _NEUTRAL
