"""scikit-learn's estimator checks on estimators whose target is a place.

The checks make targets of one column (or five), which are no places: the plain classes refuse
them, as they must, and most checks would end there. The subclasses below turn whatever the checks
send into places and are otherwise the classes themselves, so that all else is really checked.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import estimator_checks

from skgeo.neighbors import KNNGeoRegressor, LazyGeoRegressor, RandomGeoRegressor


def places(y):
    """Any finite numbers to places, equal numbers to equal places; all else is left alone."""
    if y is None:
        return None
    values = np.asarray(y)
    if values.dtype.kind == "c":
        return y
    try:
        values = values.astype(float)
    except (TypeError, ValueError):
        return y
    if values.ndim == 0 or not np.isfinite(values).all():
        return y
    values = values.reshape(len(values), -1)
    return np.column_stack([60 * np.tanh(values[:, 0] / 10), 170 * np.tanh(values[:, -1] / 10)])


class KNNOnAnything(KNNGeoRegressor):
    def fit(self, X, y):
        return super().fit(X, places(y))

    def partial_fit(self, X, y):
        return super().partial_fit(X, places(y))

    def score(self, X, y, sample_weight=None):
        return super().score(X, places(y), sample_weight)


class LazyOnAnything(LazyGeoRegressor):
    def fit(self, X, y):
        return super().fit(X, places(y))

    def partial_fit(self, X, y):
        return super().partial_fit(X, places(y))

    def score(self, X, y, sample_weight=None):
        return super().score(X, places(y), sample_weight)


class RandomOnAnything(RandomGeoRegressor):
    def fit(self, X, y):
        return super().fit(X, places(y))

    def score(self, X, y, sample_weight=None):
        return super().score(X, places(y), sample_weight)


TWO_COLUMNS = "compares the shape of the answer, two columns, with that of the target sent"
EXPECTED = {
    "check_regressors_train": TWO_COLUMNS,
    "check_regressor_multioutput": TWO_COLUMNS,
}

EXPECTED_SPARSE = {
    "check_estimator_sparse_array": TWO_COLUMNS,
    "check_estimator_sparse_matrix": TWO_COLUMNS,
}


@pytest.mark.parametrize(
    "estimator",
    [
        KNNOnAnything(),
        KNNOnAnything(algorithm="kd_tree"),
        KNNOnAnything("mean-shift", n_neighbors=5),
        KNNOnAnything("mean-shift", algorithm="ball_tree", min_cluster_size=1, bandwidth_km=50),
        KNNOnAnything("kde", n_neighbors=5),
        LazyOnAnything(20),
        RandomOnAnything(),
    ],
    ids=repr,
)
def test_checks_pass_where_the_target_is_a_place(estimator):
    wanted = EXPECTED | (EXPECTED_SPARSE if isinstance(estimator, LazyGeoRegressor) else {})
    results = estimator_checks.check_estimator(
        estimator, on_skip=None, on_fail=None, expected_failed_checks=wanted
    )
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    expected = [r["check_name"] for r in results if r["status"] == "xfail"]
    assert set(expected) == set(wanted)
    assert sum(r["status"] == "passed" for r in results) >= 44


@pytest.mark.parametrize(
    "estimator", [KNNGeoRegressor(), LazyGeoRegressor(), RandomGeoRegressor()], ids=repr
)
def test_plain_classes_fail_only_where_the_target_is_no_place(estimator):
    results = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    for result in results:
        if result["status"] == "failed":
            error, reasons = result["exception"], []
            while error is not None:
                reasons.append(str(error))
                error = error.__cause__ or error.__context__
            assert any("that is shape (n, 2)" in reason for reason in reasons), result


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("estimator", "least"),
    [
        (KNNGeoRegressor(), 1.0),
        (KNNGeoRegressor("mean-shift", n_neighbors=10), 0.5),
        (KNNGeoRegressor("kde"), 0.5),
        (LazyGeoRegressor(20), 0.5),
        (RandomGeoRegressor(random_state=0), 0.0),
    ],
    ids=repr,
)
def test_train_as_the_expected_failure_would(estimator, least, read_only, dtype, rng):
    """What check_regressors_train asks for, on a target of places."""
    X = rng.normal(size=(200, 10)).astype(dtype)
    y = np.column_stack([50 * np.tanh(X[:, 0]), 100 * np.tanh(X[:, 0])]).astype(np.float64)
    X.flags.writeable = y.flags.writeable = not read_only
    with pytest.raises(ValueError, match="199 rows but X has 200"):
        estimator.fit(X, y[:-1])
    estimator.fit(X.tolist(), y.tolist())
    estimator.fit(X, y)
    assert estimator.predict(X).shape == y.shape
    assert estimator.predict(X).dtype == np.float64
    assert least <= estimator.score(X, y) <= 1.0
