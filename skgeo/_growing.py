"""New photos for a fitted Pipeline: every step that can learn from them does, in order, or none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .neighbors._base import check_gallery_places
from .neighbors._gallery import GalleryMixin

#: Old photos that are encoded at once.
_BATCH = 4096


def partial_fit_pipeline(
    pipeline: Pipeline,
    X: Any,
    y: Any,
    *,
    update: str = "gallery",
    gallery_X: Any = None,
) -> Pipeline:
    """Let new photos join a fitted pipeline, all its steps or none of them.

    With ``update="gallery"`` the photos join the gallery of the last step; the transformers before
    it stay as they are, so that old and new photos are encoded alike. With ``update="all"`` every
    transformer that has ``partial_fit`` learns from the new photos as well, in order, each from
    what the updated ones before it give; then the whole gallery is encoded anew, as it must be:
    vectors of two embeddings cannot be compared.

    Steps without ``partial_fit`` stay as they are in both: feature extractors, which learn nothing
    or a dictionary, and `BlockScaler`, whose means are the frame in which the embedding was
    trained.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        As from `make_geo_pipeline` or made by hand, also ``search.best_estimator_`` of a grid
        search. One that is not fitted yet is fitted on ``X`` and ``y``.
    X : sequence of length n_samples
        The new photos, as the pipeline takes them: images, paths or vectors.
    y : array-like of shape (n_samples, 2)
        Their latitudes and longitudes in degrees.
    update : {"gallery", "all"}, default="gallery"
        What learns from them.
    gallery_X : sequence or None, default=None
        Only for ``update="all"`` and needed there, unless no transformer has ``partial_fit``: the
        photos of the gallery so far, as the pipeline takes them, in the order of the gallery. It is
        read in batches, so that it may be a memory map, such as ``FeatureStore.X`` for a
        pipeline over stored vectors. A pipeline does not keep them itself.

    Returns
    -------
    sklearn.pipeline.Pipeline
        ``pipeline``, whose steps are still the same objects.

    Raises
    ------
    ValueError
        If ``update`` is unknown, ``gallery_X`` is missing or given in vain or has not as many
        photos as the gallery, or a step refuses the photos; the message then names the step.
        Whatever is raised, also by an interruption, every step is as it was before the call.
    TypeError
        If this is no pipeline, or its last step cannot learn from new photos or, for "all",
        keeps no gallery.

    Notes
    -----
    Steps are updated on copies, which take the place of the old state when all have succeeded. A
    ``memory`` of the pipeline is not touched: what it has cached are the transformers of `fit`.

    To take photos out, call ``pipeline[-1].remove(indices)``
    (`skgeo.neighbors.KNNGeoRegressor.remove`).

    Why a function and no class: it works on the pipelines that people have, also those that
    `GridSearchCV` made or that were stored long ago.

    References
    ----------
    S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS Estimation",
    IEEE Trans. Big Data, 2017, section 4.6.

    Examples
    --------
    >>> from skgeo import MarginalFisherTransformer, make_geo_pipeline, partial_fit_pipeline
    >>> from skgeo.datasets import make_geo_world
    >>> world = make_geo_world(random_state=0)
    >>> X, y = world.data, world.coordinates
    >>> layer = MarginalFisherTransformer(n_pca_components=50)
    >>> pipeline = make_geo_pipeline(features="passthrough", dgae=layer).fit(X[:2000], y[:2000])
    >>> pipeline = partial_fit_pipeline(pipeline, X[2000:2100], y[2000:2100])
    >>> pipeline["knn"].n_samples_fit_
    2100
    >>> pipeline = partial_fit_pipeline(
    ...     pipeline, X[2100:2200], y[2100:2200], update="all", gallery_X=X[:2100]
    ... )
    >>> len(pipeline["dgae"].pairs_.labels_), pipeline["knn"].n_samples_fit_
    (2100, 2200)
    """
    if not isinstance(pipeline, Pipeline):
        raise TypeError(
            f"pipeline is a {type(pipeline).__name__}; expected a sklearn.pipeline.Pipeline. Of a "
            "grid search pass best_estimator_."
        )
    if update not in ("gallery", "all"):
        raise ValueError(f"update is {update!r}; expected 'gallery' or 'all'.")
    name, last = pipeline.steps[-1]
    if not hasattr(last, "partial_fit"):
        raise TypeError(
            f"step {name!r} ({type(last).__name__}) has no partial_fit: it cannot take new photos "
            "in. Fit the pipeline anew, or end it with KNNGeoRegressor."
        )
    try:
        check_is_fitted(last)
    except NotFittedError:
        if gallery_X is not None:
            raise ValueError(
                "gallery_X was given, but the pipeline is not fitted and has no gallery."
            ) from None
        return pipeline.fit(X, y)
    transformers = _transformers(pipeline)
    learning = [s for _, s in transformers if update == "all" and hasattr(s, "partial_fit")]
    _check_gallery(name, last, learning, update, gallery_X)

    states: list[tuple[Any, Any]] = []
    steps = []
    for label, step in transformers:
        if any(step is one for one in learning):
            updated = _in_step(label, step, _copied, step)
            _in_step(label, step, updated.partial_fit, X, y)
            states.append((step, updated))
        else:
            updated = step
        X = _in_step(label, step, updated.transform, X)
        steps.append((label, updated))
    updated = _in_step(name, last, _copied, last)
    if learning:
        places = _in_step(name, last, check_gallery_places, last, y, _count(X))
        codes = _stacked([*_encoded(steps, gallery_X), X])
        everywhere = np.concatenate([last.coordinates_, places])
        _in_step(name, last, updated.fit, codes, everywhere)
    else:
        _in_step(name, last, updated.partial_fit, X, y)
    for step, changed in [*states, (last, updated)]:
        step.__dict__ = changed.__dict__
    return pipeline


def _transformers(pipeline: Pipeline) -> list[tuple[str, Any]]:
    """The steps that do something before the last one."""
    return [
        (name, step)
        for name, step in pipeline.steps[:-1]
        if step is not None and not (isinstance(step, str) and step == "passthrough")
    ]


def _check_gallery(name: str, last: Any, learning: list[Any], update: str, gallery_X: Any) -> None:
    if not learning:
        if gallery_X is not None:
            why = "update='gallery'" if update == "gallery" else "no transformer has partial_fit"
            raise ValueError(
                f"gallery_X was given, but with {why} the gallery stays as it is encoded; expected "
                "None."
            )
        return
    if not isinstance(last, GalleryMixin):
        raise TypeError(
            f"step {name!r} ({type(last).__name__}) keeps no gallery that could be encoded anew "
            "after the transformers have changed; expected KNNGeoRegressor, or update='gallery'."
        )
    if gallery_X is None:
        raise ValueError(
            "update='all' changes the embedding, and the vectors in the gallery would no longer "
            "compare with those of queries; expected gallery_X, the photos of the gallery in their "
            "order, or update='gallery'."
        )
    n = _count(gallery_X)
    if n != last.n_samples_fit_:
        raise ValueError(
            f"gallery_X has {n} photos, but the gallery of step {name!r} has "
            f"{last.n_samples_fit_}; expected the same ones, in the order of the gallery."
        )


def _encoded(steps: list[tuple[str, Any]], gallery_X: Any) -> Iterator[Any]:
    """Encode old photos batch by batch."""
    for batch in gen_batches(_count(gallery_X), _BATCH):
        rows = gallery_X.iloc[batch] if hasattr(gallery_X, "iloc") else gallery_X[batch]
        for name, step in steps:
            rows = _in_step(name, step, step.transform, rows)
        yield rows


def _stacked(parts: list[Any]) -> Any:
    """Put the encoded batches into one: arrays, data frames (of `set_output`) or sparse rows."""
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True)
    return np.concatenate([np.asarray(part) for part in parts])


def _count(photos: Any) -> int:
    return int(photos.shape[0]) if hasattr(photos, "shape") else len(photos)


def _in_step(name: str, step: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of a step; what it raises names the step."""
    where = f"step {name!r} ({type(step).__name__})"
    try:
        return function(*arguments)
    except Exception as error:
        if type(error) in (ValueError, TypeError):
            raise type(error)(f"{where}: {error} (the pipeline is as it was)") from error
        error.add_note(f"In {where}; the pipeline is as it was.")
        raise


def _copied(step: Any) -> Any:
    """Copy a step, so that the original survives whatever becomes of the copy.

    Galleries put new arrays in the place of old ones, which therefore need no copy. Arrays that
    cannot be written to are shared, or memory maps would be read into memory.
    """
    if isinstance(step, GalleryMixin):
        return copy.copy(step)
    shared: dict[int, Any] = {}
    _find_frozen(step, shared, set())
    return copy.deepcopy(step, shared)


def _find_frozen(value: Any, shared: dict[int, Any], seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        if not value.flags.writeable:
            shared[id(value)] = value
    elif isinstance(value, BaseEstimator):
        for part in vars(value).values():
            _find_frozen(part, shared, seen)
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            _find_frozen(part, shared, seen)
