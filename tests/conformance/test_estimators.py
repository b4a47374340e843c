"""scikit-learn's estimator checks over every public estimator, discovered and not listed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import skgeo
from skgeo.cluster import POIMeanShift
from skgeo.embedding import DGAETransformer


def public_estimators():
    """Every estimator class that a public package of skgeo exports, by name."""
    found = {}
    for package in pkgutil.iter_modules(skgeo.__path__, "skgeo."):
        if package.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(package.name)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and issubclass(thing, BaseEstimator):
                found[name] = thing
    return found


ESTIMATORS = public_estimators()

#: Settings other than the defaults that deserve the checks as well, and defaults made small.
SETTINGS = {
    "DGAETransformer": [
        {"hidden_layer_sizes": (8, 4), "max_epochs": 3},
        {"hidden_layer_sizes": (8, 4), "max_epochs": 3, "pretrain_epochs": 1, "init": "pretrain"},
        {"hidden_layer_sizes": (8,), "max_epochs": 3, "objective": "paper"},
    ],
    "KNNGeoRegressor": [{}, {"mode": "mean-shift"}, {"mode": "kde"}],
    # The checks cluster blobs of unit variance, in units of which 0.005 degrees are no POI.
    "POIMeanShift": [{"bandwidth": 2.0}, {"bandwidth": 2.0, "assign": "nearest"}],
    "BlockScaler": [{}, {"normalize": "l2"}],
    "InconsistencyPairs": [{}, {"method": "anchor"}],
}

NO_PLACE = (
    "the check's target has one column; a location has two, and anything else is refused. "
    "tests/neighbors runs all of these checks on targets that are places"
)

#: Checks that send a target which is no location.
SEND_NO_PLACE = [
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_regressor_data_not_an_array",
    "check_regressor_multioutput",
    "check_regressors_int",
    "check_regressors_no_decision_function",
    "check_regressors_train",
]

#: Checks of methods or tags that `RandomGeoRegressor` does not have.
SEND_NO_PLACE_TO_NEIGHBORS = [
    "check_estimators_partial_fit_n_features",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_pipeline_consistency",
]

#: Checks of estimators that take sparse rows.
SEND_NO_PLACE_WITH_SPARSE_ROWS = [
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
]

EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "KNNGeoRegressor": dict.fromkeys([*SEND_NO_PLACE, *SEND_NO_PLACE_TO_NEIGHBORS], NO_PLACE),
    "LazyGeoRegressor": dict.fromkeys(
        [*SEND_NO_PLACE, *SEND_NO_PLACE_TO_NEIGHBORS, *SEND_NO_PLACE_WITH_SPARSE_ROWS], NO_PLACE
    ),
    "RandomGeoRegressor": dict.fromkeys(SEND_NO_PLACE, NO_PLACE),
}


def instances():
    for name, Estimator in sorted(ESTIMATORS.items()):
        for settings in SETTINGS.get(name, [{}]):
            yield Estimator(**settings)


def expected_failures(estimator):
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


def test_discovery_finds_the_house():
    assert {
        "BlockScaler",
        "CNNFeatures",
        "DGAETransformer",
        "FaceFilter",
        "InconsistencyPairs",
        "KNNGeoRegressor",
        "LazyGeoRegressor",
        "LowLevelFeatures",
        "MarginalFisherTransformer",
        "POIMeanShift",
        "RandomGeoRegressor",
        "SIFTBagOfWords",
    } <= set(ESTIMATORS)
    # Settings of a class that is gone would be checked nowhere.
    assert set(SETTINGS) <= set(ESTIMATORS)
    assert set(EXPECTED_FAILURES) <= set(ESTIMATORS)


with warnings.catch_warnings():
    # Images are no 2-D arrays: the checks that need one are left out, with a warning.
    warnings.simplefilter("ignore", SkipTestWarning)
    checks = parametrize_with_checks(
        list(instances()), expected_failed_checks=expected_failures, xfail_strict=True
    )


@checks
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# Three epochs on blobs teach a network nothing, and it says so.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_parameters_survive_init_clone_and_repr(name):
    estimator = ESTIMATORS[name]()
    parameters = inspect.signature(ESTIMATORS[name].__init__).parameters
    for key, parameter in parameters.items():
        if key != "self":
            assert getattr(estimator, key) is parameter.default, key
    assert repr(clone(estimator)) == repr(estimator)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_parameter_is_validated(name):
    """A value of no sensible type is refused by name: no parameter is accepted and ignored."""
    Estimator = ESTIMATORS[name]
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.zeros((12, 2))
    if not Estimator().__sklearn_tags__().input_tags.two_d_array:  # images
        X = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    if name == "POIMeanShift":
        X = y
    bad = type("Nonsense", (), {})()
    for key in Estimator().get_params(deep=False):
        with pytest.raises((ValueError, TypeError), match=key):
            Estimator(**{key: bad}).fit(X, y)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_parameter_and_attribute_is_documented(name):
    doc = inspect.getdoc(ESTIMATORS[name])
    for key in ESTIMATORS[name]().get_params(deep=False):
        assert f"\n{key} : " in doc or f"\n{key}, " in doc or f", {key} : " in doc, key
    for section in ("Parameters", "Attributes", "Examples"):
        assert f"\n{section}\n---" in doc, section


def test_spherical_pois_pass_every_check_that_sends_places():
    """metric="haversine" takes two columns and most checks send others: here are places."""
    rng = np.random.default_rng(0)
    places = np.stack([rng.uniform(-90, 90, 40), rng.uniform(-180, 180, 40)], axis=1)
    poi = POIMeanShift(500.0, metric="haversine")
    labels = poi.fit_predict(places)
    np.testing.assert_array_equal(labels, clone(poi).fit(places).labels_)
    with pytest.raises(ValueError, match="2"):
        clone(poi).fit(rng.normal(size=(40, 3)))


def test_the_default_network_is_that_of_the_paper():
    assert DGAETransformer().hidden_layer_sizes == (2000, 1000, 500)
