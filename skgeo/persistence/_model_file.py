"""Models in a file that holds data and no code, with what is needed to judge it before loading.

The file is skops' (a zip archive of arrays and a schema), with one more member that says who wrote
it: format, versions, types and a digest of all the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import warnings
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from .._whole_file import temporary_beside
from ._archive import FORMAT, HEADER, content_digest, opened, schema_types
from ._errors import ModelFileError, ModelVersionWarning, UntrustedTypeError
from ._trust import CODE_TYPES, untrusted

__all__ = ["ModelInfo", "inspect_model", "load_model", "save_model"]

_LIBRARIES = ("skgeo", "scikit-learn", "numpy", "scipy", "torch", "skops")

#: Libraries whose other minor version may give another model from the same file.
_DECISIVE = ("skgeo", "scikit-learn")


class ModelInfo(NamedTuple):
    """What a model file says of itself.

    Attributes
    ----------
    model_class : str
        Module and name of the model's class.
    description : str
        What the writer said of it.
    created : str
        Time of writing, ISO 8601, UTC.
    versions : dict of str to str
        Of Python and the libraries that wrote it.
    types : list of str
        All types that it holds, as its schema lists them.
    untrusted_types : list of str
        Those that `load_model` refuses unless ``trusted`` names them.
    digest : str
        SHA-256 of the content.
    """

    model_class: str
    description: str
    created: str
    versions: dict[str, str]
    types: list[str]
    untrusted_types: list[str]
    digest: str


def save_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    description: str = "",
    overwrite: bool = False,
) -> ModelInfo:
    """Write a fitted model into a file that can be shared.

    Unlike a pickle (joblib), the file runs no code when it is read. It holds the types that the
    model is made of, the versions of the libraries and a digest, and appears under its name only
    when it is complete.

    Parameters
    ----------
    model : object
        A fitted estimator or Pipeline; also a dict, list or tuple of such.
    path : str or Path
        The file. The ending ``.skgeo`` is customary.
    description : str, default=""
        What a reader should know: the collection, the date, the licence.
    overwrite : bool, default=False
        Whether a file of this name may be replaced.

    Returns
    -------
    ModelInfo
        What was written.

    Raises
    ------
    FileExistsError
        If there is such a file and ``overwrite`` is False.
    ImportError
        If skops is not installed (``pip install "skgeo[share]"``).
    TypeError
        If the model holds something that is no data: a function, a torch module of yours, a
        callback. The message says what.

    See Also
    --------
    load_model : Reads it.
    inspect_model : Says what it holds without loading it.

    Notes
    -----
    A digest tells damage, not malice: who alters a file can alter its digest. Trust the types
    instead, which are checked one by one before anything is loaded.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skgeo import KNNGeoRegressor
    >>> from skgeo.persistence import load_model, save_model
    >>> knn = KNNGeoRegressor().fit([[0.0], [3.0]], [[48.9, 2.3], [52.5, 13.4]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.skgeo")
    ...     info = save_model(knn, path, description="Two photos")
    ...     load_model(path).predict([[2.0]])
    array([[52.5, 13.4]])
    >>> info.model_class
    'skgeo.neighbors._knn.KNNGeoRegressor'
    """
    skops_io = _skops()
    path = Path(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; expected a new name, or overwrite=True.")
    with temporary_beside(path) as name:
        try:
            skops_io.dump(model, name)
        except Exception as error:
            # skops raises nearly anything on what it cannot take apart.
            raise TypeError(
                f"A {type(model).__name__} cannot be written without code: {error}. Leave out "
                "functions, callbacks and modules of your own, or use joblib among those who "
                "trust each other."
            ) from error
        with zipfile.ZipFile(name) as archive:
            types = schema_types(archive)
            nameless = [kind for kind in types if "<" in kind]
            if nameless:
                raise TypeError(
                    f"A {type(model).__name__} holds {', '.join(nameless)}, which cannot be found "
                    "again: expected functions and classes that a module defines."
                )
            if CODE_TYPES & set(types):
                raise TypeError(
                    f"A {type(model).__name__} holds callbacks, which are code: set callbacks=None "
                    "before it is written."
                )
            digest = content_digest(archive)
        kind = type(model)
        header = {
            "format": FORMAT,
            "model_class": f"{kind.__module__}.{kind.__qualname__}",
            "description": description,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": _versions(),
            "digest": digest,
        }
        with zipfile.ZipFile(name, "a") as archive:
            archive.writestr(HEADER, json.dumps(header, indent=1))
        os.replace(name, path)
    return _info(header, types, skops_io.get_untrusted_types(file=path))


def inspect_model(path: str | os.PathLike[str]) -> ModelInfo:
    """Say what a model file holds; nothing of it is loaded.

    Parameters
    ----------
    path : str or Path
        A file of `save_model`.

    Returns
    -------
    ModelInfo
        Class, versions, types, digest.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If it is no model file, or damaged.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skgeo import POIMeanShift
    >>> from skgeo.persistence import inspect_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pois.skgeo")
    ...     _ = save_model(POIMeanShift().fit([[48.9, 2.3], [48.9, 2.3]]), path)
    ...     info = inspect_model(path)
    >>> info.untrusted_types
    []
    """
    with opened(path) as (file, header, types):
        return _info(header, types, _skops().get_untrusted_types(file=file))


def load_model(path: str | os.PathLike[str], *, trusted: Iterable[str] = ()) -> Any:
    """Read a model that `save_model` wrote.

    Before anything is loaded, the content is compared with its digest, and every type in it with
    what is trusted: scikit-learn's, NumPy's and SciPy's data types, skgeo's estimators, and the
    types that you name.

    Parameters
    ----------
    path : str or Path
        The file.
    trusted : iterable of str, default=()
        Further types to accept, by module and name, as the message of `UntrustedTypeError` or
        ``inspect_model(path).untrusted_types`` lists them. Look at what they are first.

    Returns
    -------
    object
        The model.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UntrustedTypeError
        If it holds types that are not trusted.
    ModelFileError
        If it is no model file (a pickle, for example), is damaged, or was written in a format or by
        a version that this one cannot read.

    Warns
    -----
    ModelVersionWarning
        If skgeo or scikit-learn has another minor version than the one that wrote the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skgeo import BlockScaler
    >>> from skgeo.persistence import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "scaler.skgeo")
    ...     _ = save_model(BlockScaler().fit([[0.0, 1.0], [2.0, 3.0]]), path)
    ...     load_model(path)
    BlockScaler()
    """
    from sklearn.exceptions import InconsistentVersionWarning

    skops_io = _skops()
    with opened(path) as (file, header, _):
        asked_for = skops_io.get_untrusted_types(file=file)
        refused = untrusted(asked_for, trusted)
        if refused:
            raise UntrustedTypeError(
                f"{str(path)!r} holds types that are not trusted: {', '.join(refused)}. "
                "Nothing was loaded. If you know them and trust who made the file, pass "
                f"trusted={refused}."
            )
        wrote, here = header["versions"], _versions()
        differences = [
            f"{name} {wrote[name]} (here {here.get(name, 'none')})"
            for name in _DECISIVE
            if name in wrote and _minor(wrote[name]) != _minor(here.get(name, ""))
        ]
        if differences:
            warnings.warn(
                f"{str(path)!r} was written by {', '.join(differences)}. It may answer otherwise "
                "than it did there; compare, or fit it again.",
                ModelVersionWarning,
                stacklevel=2,
            )
        file.seek(0)
        try:
            with warnings.catch_warnings():
                # Said above, once and for the whole file.
                warnings.simplefilter("ignore", InconsistentVersionWarning)
                return skops_io.load(file, trusted=asked_for)
        except Exception as error:
            raise ModelFileError(
                f"{str(path)!r}, written by skgeo {wrote.get('skgeo', '?')}, cannot be loaded by "
                f"skgeo {here['skgeo']}: {type(error).__name__}: {error}. Load it with the version "
                "that wrote it, or fit the model again."
            ) from error


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            'Model files without code need skops: pip install "skgeo[share]" (or skops).'
        ) from error
    return skops.io


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _minor(text: str) -> list[str]:
    return text.split(".")[:2]


def _info(header: dict[str, Any], types: list[str], asked_for: list[str]) -> ModelInfo:
    return ModelInfo(
        header["model_class"],
        header["description"],
        header["created"],
        header["versions"],
        types,
        untrusted(asked_for),
        header["digest"],
    )
