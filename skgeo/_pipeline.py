"""The paper's whole method as one scikit-learn Pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from .embedding import DGAETransformer
from .features import BlockScaler, LowLevelFeatures
from .neighbors import KNNGeoRegressor
from .pairs import InconsistencyPairs


def make_geo_pipeline(
    *,
    features: Any = None,
    scale: Any = None,
    dgae: Any = None,
    knn: Any = None,
    mode: str = "1-nn",
    n_jobs: int | None = None,
    memory: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> Pipeline:
    """From images to places: features, scaling, geo-constrained embedding, neighbours.

    The parts are named ``features``, ``scale``, ``dgae`` and ``knn``, so that every parameter can
    be searched: ``dgae__alpha``, ``dgae__pairs__k1``, ``knn__mode``, ...

    Parameters
    ----------
    features : estimator, "passthrough" or None, default=None
        Images to vectors. None: ``LowLevelFeatures``. "passthrough" takes vectors as X.
    scale : estimator, "passthrough" or None, default=None
        None: ``BlockScaler(normalize="l2")``, with the blocks of the low-level features and square
        roots of their histograms, or as one block if ``features`` is given.
    dgae : estimator, "passthrough" or None, default=None
        The embedding. None: ``DGAETransformer`` with ``InconsistencyPairs(k1=5, k2=50)``, which
        did better on photos than the paper's 20 and 10.
        `MarginalFisherTransformer` fits here as well; "passthrough" is the paper's LF.
    knn : estimator or None, default=None
        None: ``KNNGeoRegressor(mode)``.
    mode : {"1-nn", "mean-shift"}, default="1-nn"
        How neighbours become a place. Only used where ``knn`` is None.
    n_jobs : int or None, default=None
        Given to the parts that are made here.
    memory : str, joblib.Memory or None, default=None
        Caches the fitted transformers of the pipeline, and the pair graph within the embedding:
        in a grid search the graph is then computed once for each training set.
    random_state : int, RandomState instance or None, default=None
        Given to the parts that are made here.
    verbose : int, default=0
        Given to the parts that are made here.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Not fitted. ``fit(images, coordinates)`` and ``predict(images)``.

    References
    ----------
    .. [1] S. Jiang, Y. Kong, Y. Fu, "Deep Geo-Constrained Auto-Encoder for Non-Landmark GPS
       Estimation", IEEE Trans. Big Data, 2017, Fig. 2.

    Examples
    --------
    >>> from skgeo import make_geo_pipeline
    >>> pipeline = make_geo_pipeline(mode="mean-shift", random_state=0)
    >>> list(pipeline.named_steps)
    ['features', 'scale', 'dgae', 'knn']
    >>> pipeline.set_params(dgae__alpha=2.0, dgae__pairs__k1=10).get_params()["dgae__pairs__k1"]
    10
    """
    parts = (features, scale, dgae, knn)
    features, scale, dgae, knn = (clone(p, safe=False) for p in parts)
    if scale is None:
        # As measured best for what follows: histograms as square roots, rows of unit length.
        scale = BlockScaler(normalize="l2")
        if features is None:
            scale.set_params(blocks="low-level", hellinger=("color", "texture", "line"))
    if features is None:
        features = LowLevelFeatures(n_jobs=n_jobs, random_state=random_state, verbose=verbose)
    if dgae is None:
        pairs = InconsistencyPairs(
            k1=5, k2=50, memory=memory, n_jobs=n_jobs, random_state=random_state
        )
        dgae = DGAETransformer(pairs=pairs, random_state=random_state, verbose=verbose)
    if knn is None:
        knn = KNNGeoRegressor(mode, n_jobs=n_jobs)
    return Pipeline(
        [("features", features), ("scale", scale), ("dgae", dgae), ("knn", knn)], memory=memory
    )
