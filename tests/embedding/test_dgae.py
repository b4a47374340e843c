"""The auto-encoder as an estimator: what it learns, what it promises, what it refuses."""

from __future__ import annotations

import importlib
import itertools
import pickle
import shutil
import subprocess
import sys

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from skorch.callbacks import Callback

from skgeo._geodesy import great_circle_km
from skgeo.cluster import POIMeanShift
from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.pairs import InconsistencyPairs

SMALL = {"hidden_layer_sizes": (16, 8), "max_epochs": 3, "pretrain_epochs": 1, "random_state": 0}
#: A training of three epochs learns nothing worth having, and says so.
SHORT = "ignore::sklearn.exceptions.ConvergenceWarning"
#: The network alone, as the paper has it.
ALONE = {**SMALL, "init": "pretrain"}


@pytest.fixture(scope="module")
def world():
    return make_geo_world(random_state=0)


@pytest.fixture(scope="module")
def part(world):
    """A few whole POIs, for tests of behaviour rather than of learning."""
    rows = np.flatnonzero(world.poi < 12)
    return world.data[rows].astype(np.float32), world.coordinates[rows]


def within_25_km(Z, coordinates, train):
    similarity = Z[~train] @ Z[train].T - np.square(Z[train]).sum(axis=1) / 2
    found = coordinates[train][similarity.argmax(axis=1)]
    return 100 * np.mean(great_circle_km(coordinates[~train], found) <= 25)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_geo_constraints_find_places_that_looks_hide(seed):
    """Within 25 km: far above plain auto-encoder and vectors, and above the linear layer."""
    world = make_geo_world(random_state=seed)
    X, y = world.data, world.coordinates
    train = np.random.default_rng(seed).random(len(X)) < 0.75
    scores = {"LF": within_25_km(X, y, train)}
    settings = {"AE": {"alpha": 0.0, "beta": 0.0}, "DGAE": {"early_stopping": False}}
    if seed == 0:
        # With the held-out parts of the default, which take most of the time, on one world.
        settings |= {"DGAE": {}, "alone": {"init": "pretrain"}}
    for name, chosen in settings.items():
        dgae = DGAETransformer((128, 64, 32), random_state=seed, **chosen).fit(X[train], y[train])
        scores[name] = within_25_km(dgae.transform(X), y, train)
    layer = MarginalFisherTransformer().fit(X[train], y[train])
    scores["linear"] = within_25_km(layer.transform(X), y, train)
    assert scores["DGAE"] >= scores["AE"] + 20, scores
    assert scores["DGAE"] >= scores["LF"] + 25, scores
    assert scores["DGAE"] >= scores["linear"] + 1, scores
    assert scores.get("alone", 100) >= scores["AE"] + 20, scores


@pytest.mark.filterwarnings(SHORT)
def test_alpha_and_beta_of_zero_and_no_places_are_the_same_auto_encoder(part):
    X, y = part
    first = DGAETransformer(**SMALL, alpha=0, beta=0).fit(X, y)
    second = DGAETransformer(**SMALL).fit(X)
    np.testing.assert_array_equal(first.transform(X), second.transform(X))
    assert first.pairs_ is None
    assert second.pairs_ is None
    assert {row["same_area"] for row in first.history_} == {0.0}


def test_the_same_random_state_gives_the_same_network_and_leaves_torch_alone(part):
    X, y = part
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = DGAETransformer(**SMALL).fit(X, y).transform(X)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    second = DGAETransformer(**SMALL).fit(X, y).transform(X)
    np.testing.assert_array_equal(first, second)
    other = DGAETransformer(**{**SMALL, "random_state": 1}).fit(X, y).transform(X)
    assert not np.allclose(first, other)


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("output", ["concat", "hidden", "code"])
def test_outputs(part, output):
    X, y = part
    dgae = DGAETransformer(**ALONE, output=output)
    Z = dgae.fit_transform(X, y)
    widths = {"concat": [X.shape[1], 16, 8], "hidden": [16, 8], "code": [8]}[output]
    assert Z.shape == (len(X), sum(widths))
    assert Z.dtype == np.float32
    assert len(dgae.get_feature_names_out()) == Z.shape[1]
    edges = np.cumsum([0, *widths])
    for start, stop in itertools.pairwise(edges):
        block = Z[:, start:stop]
        assert np.sqrt(np.square(block).sum(axis=1).mean()) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.filterwarnings(SHORT)
def test_history_has_every_phase_and_term(part):
    X, y = part
    dgae = DGAETransformer(**ALONE).fit(X, y)
    phases = [row["phase"] for row in dgae.history_]
    assert phases == ["pretrain-1", "pretrain-2"] + ["train"] * dgae.n_iter_
    last = dgae.history_[-1]
    for name in ("reconstruction", "same_area", "easy_confusing", "weight_decay", "total"):
        assert last[name] > 0
    expected = (
        last["reconstruction"]
        + 3.0 * last["same_area"]
        + 3.0 * last["easy_confusing"]
        + 1e-6 * last["weight_decay"]
    )
    assert last["total"] == pytest.approx(expected, rel=1e-4)
    assert "validation_score" in last


@pytest.mark.filterwarnings(SHORT)
def test_early_stopping_keeps_the_best_weights(part):
    X, y = part

    class Snapshots(Callback):
        def __init__(self, states):
            self.states = states

        def on_epoch_end(self, net, **_):
            self.states.append(net.module_.encoder[0].weight.detach().clone())

    states = []
    settings = {**ALONE, "max_epochs": 12, "learning_rate": 0.05, "n_iter_no_change": 3}
    dgae = DGAETransformer(**settings, callbacks=[("s", Snapshots(states))]).fit(X, y)
    scores = [r["validation_score"] for r in dgae.history_ if r["phase"] == "train"]
    best = int(np.argmax(scores))
    assert torch.equal(dgae.module_.encoder[0].weight, states[best])
    assert len(scores) == min(12, best + 1 + 3)


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize(
    ("objective", "pair_loss"),
    [("scale-free", "hinge"), ("scale-free", "multi-similarity"), ("paper", "auto")],
)
@pytest.mark.parametrize("pair_weighting", ["pairs", "k"])
def test_objective_terms_are_the_formulas(rng, objective, pair_loss, pair_weighting):
    X = rng.random((40, 6)).astype(np.float32)
    y = np.repeat(np.arange(8), 5)
    pairs = InconsistencyPairs(k1=3, k2=4)
    dgae = DGAETransformer(
        (5, 3),
        objective=objective,
        pair_weighting=pair_weighting,
        alpha=0.7,
        beta=0.2,
        gamma=0.01,
        margin=0.8,
        pairs=pairs,
        pair_loss=pair_loss,
        init="pretrain",
        max_epochs=2,
        pretrain_epochs=1,
        random_state=0,
    ).fit(X, y)
    rows = rng.random((7, 6)).astype(np.float32)
    P, Q = (rng.random((7, 7)) < 0.4 for _ in range(2))
    terms = dgae.objective_terms(rows, sp.csr_array(P.astype(float)), Q)

    module = dgae.module_
    with torch.no_grad():
        x = module.standardize(torch.from_numpy(rows))
        code = module.hidden(x)[-1]
        errors = (x - module.decode(code)).square().sum(1).numpy().astype(float)
        code = code.numpy().astype(float)
        weights = sum(w.square().sum().item() for w in module.weights())
        train = module.standardize(torch.from_numpy(X))
        spread = (train - train.mean(0)).square().sum(1).mean().item()
        centre = module.hidden(train)[-1].mean(0).numpy()
    scale_free = objective == "scale-free"
    if scale_free:
        code = (code - centre) / np.linalg.norm(code - centre, axis=1, keepdims=True)
    d2 = np.square(code[:, None] - code[None]).sum(2)
    denominators = [P.sum(), Q.sum()] if pair_weighting == "pairs" else [7 * 3, 7 * 4]
    push = np.maximum(0.8 - d2, 0) if scale_free else d2
    expected = {
        "reconstruction": errors.mean() / spread if scale_free else errors.mean() / 2,
        "same_area": d2[P].sum() / denominators[0],
        "easy_confusing": push[Q].sum() / denominators[1],
        "weight_decay": weights,
    }
    if pair_loss == "multi-similarity":
        soft = np.log(1 + np.exp((d2 - 0.8) / 0.4))
        expected["same_area"] = soft[P].sum() / denominators[0]
        crowd = np.where(Q, np.exp((0.8 - d2) / 0.4), 0.0).sum(axis=1)
        expected["easy_confusing"] = np.log(1 + crowd).mean()
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-4), name
    sign = 1 if scale_free else -1
    total = (
        terms["reconstruction"]
        + 0.7 * terms["same_area"]
        + sign * 0.2 * terms["easy_confusing"]
        + 0.01 * terms["weight_decay"]
    )
    assert terms["total"] == pytest.approx(total)
    alone = dgae.objective_terms(rows)
    assert alone["same_area"] == alone["easy_confusing"] == 0.0


@pytest.mark.filterwarnings(SHORT)
def test_the_paper_objective_is_gradient_descent_on_equation_4(rng):
    """One full-batch step of Algorithm 1, checked against autograd on the double sums."""
    X = rng.random((30, 6)).astype(np.float32)
    y = np.repeat(np.arange(5), 6)
    settings = {
        "objective": "paper",
        "alpha": 0.2,
        "beta": 0.1,
        "gamma": 0.05,
        "pairs": InconsistencyPairs(k1=4, k2=3),
        "learning_rate": 0.5,
        "random_state": 0,
        "tol": None,
    }
    before, once, twice = [], [], []

    class Weights(Callback):
        def on_train_begin(self, net, **_):
            before.append([p.detach().clone() for p in net.module_.parameters()])

    for epochs, store in ((1, once), (2, twice)):
        dgae = DGAETransformer((5, 4), max_epochs=epochs, callbacks=[("w", Weights())], **settings)
        dgae.fit(X, y)
        store += [p.detach().clone() for p in dgae.module_.parameters()]
    module = dgae.module_
    P, Q = dgae.pairs_.same_area_.toarray(), dgae.pairs_.easy_confusing_.toarray()

    def step(parameters, rate):
        with torch.no_grad():
            for p, value in zip(module.parameters(), parameters, strict=True):
                p.copy_(value)
        x = torch.from_numpy(X)
        h = torch.sigmoid(module.encoder[1](torch.sigmoid(module.encoder[0](x))))
        back = torch.sigmoid(module.decoder[1](torch.sigmoid(module.decoder[0](h))))
        d2 = (h[:, None] - h[None]).square().sum(2)
        J = (x - back).square().sum() / 60
        J = J + 0.2 / (30 * 4) * (torch.from_numpy(P) * d2).sum()
        J = J - 0.1 / (30 * 3) * (torch.from_numpy(Q) * d2).sum()
        J = J + 0.05 * sum(w.square().sum() for w in module.weights())
        gradients = torch.autograd.grad(J, list(module.parameters()))
        return J.item(), [v - rate * g for v, g in zip(parameters, gradients, strict=True)]

    J, expected = step(before[0], 0.5)
    assert dgae.history_[0]["total"] == pytest.approx(J, rel=1e-5)
    for got, wanted in zip(once, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)
    _, expected = step(expected, 0.5 * 0.95)
    for got, wanted in zip(twice, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings(SHORT)
def test_epsilon_stops_the_paper_objective(rng):
    X = rng.random((30, 6)).astype(np.float32)
    y = np.repeat(np.arange(5), 6)
    dgae = DGAETransformer((4,), objective="paper", tol=1e9, max_epochs=20).fit(X, y)
    assert dgae.n_iter_ == 2
    dgae = DGAETransformer((4,), objective="paper", tol=None, max_epochs=20).fit(X, y)
    assert dgae.n_iter_ == 20
    sampled = DGAETransformer((4,), objective="paper", batch_size=8, tol=None, max_epochs=3)
    assert sampled.fit(X, y).n_iter_ == 3


@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize("objective", ["scale-free", "paper"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
def test_the_objective_is_bounded_or_refused(rng, objective, activation):
    X = rng.normal(size=(60, 6)).astype(np.float32)
    y = np.repeat(np.arange(6), 10)
    dgae = DGAETransformer(
        (6,), objective=objective, activation=activation, alpha=0.1, beta=50.0, max_epochs=30
    )
    if objective == "paper" and activation in ("relu", "identity"):
        with pytest.raises(ValueError, match="unbounded below"):
            dgae.fit(X, y)
        assert np.isfinite(dgae.set_params(beta=0).fit(X, y).history_[-1]["total"])
        return
    history = dgae.fit(X, y).history_
    floor = 0.0 if objective == "scale-free" else -50.0 * 6 * 4
    assert all(row["total"] >= floor for row in history)


@pytest.mark.filterwarnings(SHORT)
def test_it_fits_on_two_photos_of_two_places(rng):
    X = rng.normal(size=(2, 3))
    Z = DGAETransformer((2,), max_epochs=1).fit_transform(X, [[0.0, 0.0], [50.0, 50.0]])
    assert np.isfinite(Z).all()
    one_place = DGAETransformer((2,), max_epochs=1).fit_transform(X, [[0.0, 0.0], [0.0, 0.0]])
    assert np.isfinite(one_place).all()
    equal = DGAETransformer((2,), max_epochs=1).fit_transform(np.ones((3, 2)), [0, 1, 1])
    assert np.isfinite(equal).all()


def test_partial_fit_takes_new_photos_in_without_forgetting(world):
    X, y = world.data, world.coordinates
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    old, new, queries = np.split(order, [1400, 1800])
    settings = {"early_stopping": False, "max_epochs": 15, "random_state": 0}
    dgae = DGAETransformer((64, 32), **settings).fit(X[old], y[old])

    def score():
        rows = np.concatenate([old, queries])
        Z = dgae.transform(X[rows])
        return within_25_km(Z, y[rows], np.arange(len(rows)) < len(old))

    before = score()
    weights = dgae.module_.encoder[0].weight.detach().clone()
    dgae.partial_fit(X[new], y[new])
    assert not torch.equal(dgae.module_.encoder[0].weight, weights)
    assert score() > before - 3
    assert dgae.history_[-1]["phase"] == "partial"
    # Photos of a place never seen open a POI of their own; a label of another kind is refused.
    n_places = len(dgae._areas.centers)
    dgae.partial_fit(X[:3], np.full((3, 2), 77.7))
    assert len(dgae._areas.centers) == n_places + 1
    with pytest.raises(ValueError, match="y holds labels, but the network was fitted on loc"):
        dgae.partial_fit(X[:3], [0, 1, 2])
    with pytest.raises(ValueError, match="y is None"):
        dgae.partial_fit(X[:3])


@pytest.mark.filterwarnings(SHORT)
def test_partial_fit_with_labels_and_of_the_plain_auto_encoder(part, rng):
    X, _ = part
    y = rng.integers(4, size=len(X)).astype(str)
    dgae = DGAETransformer(**SMALL).partial_fit(X, y)
    dgae.partial_fit(X[:5], ["0", "1", "new", "new", "1"])
    assert dgae._classes.tolist() == ["0", "1", "2", "3", "new"]
    plain = DGAETransformer(**SMALL, replay_size=0).partial_fit(X).partial_fit(X[:5])
    assert [row["phase"] for row in plain.history_][-5:] == ["partial"] * 5
    again = DGAETransformer(**SMALL, replay_size=0).partial_fit(X).partial_fit(X[:5])
    np.testing.assert_array_equal(plain.transform(X), again.transform(X))


def test_a_model_with_callbacks_and_a_memory_returns_from_joblib_in_a_new_process(part, tmp_path):
    X, y = part
    dgae = DGAETransformer(**SMALL, pairs=InconsistencyPairs(memory=str(tmp_path / "cache")))
    dgae.fit(X, y)
    joblib.dump(dgae, tmp_path / "model.joblib")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import joblib, numpy as np, sys; folder = sys.argv[1]\n"
        "model = joblib.load(folder + '/model.joblib')\n"
        "np.save(folder + '/z.npy', model.transform(np.load(folder + '/x.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), dgae.transform(X))
    assert pickle.loads(pickle.dumps(dgae)).history_ == dgae.history_


def test_rows_may_be_memory_mapped(part, tmp_path):
    X, y = part
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    first = DGAETransformer(**SMALL).fit(mapped, y).transform(mapped)
    np.testing.assert_array_equal(first, DGAETransformer(**SMALL).fit(X, y).transform(X))


def test_progress_goes_to_stderr_only_when_asked(part, capsys):
    X, y = part
    DGAETransformer(**SMALL).fit(X, y)
    assert capsys.readouterr() == ("", "")
    DGAETransformer(**SMALL, verbose=1).fit(X, y)
    out, err = capsys.readouterr()
    assert out == ""
    assert "train" in err
    assert "J1" in err


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"alpha": -1}, "'alpha'.*range"),
        ({"beta": -0.1}, "'beta'.*range"),
        ({"hidden_layer_sizes": ()}, "at least one layer"),
        ({"hidden_layer_sizes": (5, 0)}, "at least"),
        ({"hidden_layer_sizes": (5.5,)}, "integers"),
        ({"objective": "best"}, "'objective'"),
        ({"margin": 5.0}, "'margin'"),
        ({"device": "abacus"}, "device='abacus' cannot be used"),
        ({"pairs": InconsistencyPairs(k1=0)}, "'k1'"),
    ],
)
def test_bad_parameters_are_named(part, parameters, match):
    X, y = part
    with pytest.raises(ValueError, match=match):
        DGAETransformer(**{**SMALL, **parameters}).fit(X, y)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        ([[91.0, 0.0]], "latitude outside"),
        ([[np.nan, 0.0]], "NaN or infinity"),
        ([[0.0]], "locations of shape"),
        ([[0.0, 1.0, 2.0]], "locations of shape"),
    ],
)
def test_bad_places_are_named(part, y, match):
    X, _ = part
    with pytest.raises(ValueError, match=match):
        DGAETransformer(**SMALL).fit(X, np.repeat(y, len(X), axis=0))


def test_other_columns_than_fitted_are_refused(part):
    X, y = part
    dgae = DGAETransformer(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match=r"features, but DGAETransformer is expecting"):
        dgae.transform(X[:, 1:])
    with pytest.raises(ValueError, match=r"same_area has shape \(3, 2\); expected \(4, 4\)"):
        dgae.objective_terms(X[:4], sp.csr_array((3, 2)))


def test_a_diverging_training_says_what_to_change(part):
    X, y = part
    with pytest.raises(FloatingPointError, match="Lower learning_rate"):
        DGAETransformer(
            **{**SMALL, "activation": "identity", "learning_rate": 1e12, "max_epochs": 9}
        ).fit(X, y)


def test_a_pickle_does_not_hold_the_training_photos(part):
    X, y = part
    dgae = DGAETransformer(**SMALL, pairs=InconsistencyPairs(3, 3), replay_size=0).fit(X, y)
    assert len(pickle.dumps(dgae.pairs_)) < X.nbytes
    assert dgae.pairs_.explain(0)["km"].notna().all()


def test_spherical_pois_work_across_the_antimeridian(part):
    X, _ = part
    y = np.stack([np.full(len(X), 10.0), np.where(np.arange(len(X)) % 2, 179.999, -179.999)], 1)
    y[: len(X) // 2, 0] = -40.0
    pairs = InconsistencyPairs(poi=POIMeanShift(1.0, metric="haversine"))
    dgae = DGAETransformer(**SMALL, pairs=pairs).fit(X, y)
    assert len(dgae.pairs_.poi_.cluster_centers_) == 2
    dgae.partial_fit(X[:4], y[:4])
    assert len(dgae._areas.centers) == 2


def test_a_model_trained_on_a_gpu_loads_where_there_is_none(part, tmp_path):
    """What is stored names the device and holds no tensor that lives there."""
    X, y = part
    dgae = DGAETransformer((16,), early_stopping=False, max_epochs=3).fit(X, y)
    expected = dgae.transform(X)
    dgae.device = "cuda:7"  # as if it had been trained there
    joblib.dump(dgae, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    assert {p.device.type for p in loaded.module_.parameters()} == {"cpu"}
    np.testing.assert_array_equal(loaded.transform(X), expected)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device='cuda:7' cannot be used here"):
            loaded.fit(X, y)


def test_a_model_loads_where_its_callbacks_are_missing(part, tmp_path, monkeypatch):
    X, y = part
    source = "from skorch.callbacks import Callback\n\nclass Mine(Callback):\n    pass\n"
    (tmp_path / "elsewhere.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    elsewhere = importlib.import_module("elsewhere")
    settings = {"early_stopping": False, "max_epochs": 2, "random_state": 0}
    dgae = DGAETransformer((16,), callbacks=[("mine", elsewhere.Mine())], **settings).fit(X, y)
    joblib.dump(dgae, tmp_path / "model.joblib")
    here = joblib.load(tmp_path / "model.joblib")
    assert isinstance(here.callbacks[0][1], elsewhere.Mine)
    monkeypatch.delitem(sys.modules, "elsewhere")
    (tmp_path / "elsewhere.py").unlink()
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    importlib.invalidate_caches()
    with pytest.warns(UserWarning, match="No module named 'elsewhere'.*works without them"):
        loaded = joblib.load(tmp_path / "model.joblib")
    assert loaded.callbacks is None
    np.testing.assert_array_equal(loaded.transform(X), dgae.transform(X))


def test_callbacks_that_cannot_be_pickled_say_so():
    class Local(Callback):
        pass

    dgae = DGAETransformer((16,), callbacks=[("local", Local())])
    with pytest.raises((AttributeError, pickle.PicklingError), match="Local"):
        pickle.dumps(dgae)


@pytest.mark.parametrize("init", ["auto", "pretrain"])
def test_half_precision_learns_what_single_does(part, init):
    X, y = part
    settings = {"hidden_layer_sizes": (32,), "random_state": 0, "early_stopping": False}
    settings |= {"max_epochs": 8, "init": init}
    half, full = (
        DGAETransformer(**settings, precision=p).fit(X, y) for p in ("bfloat16", "float32")
    )
    assert {p.dtype for p in half.module_.parameters()} == {torch.float32}
    got, expected = half.transform(X), full.transform(X)
    assert not np.array_equal(got, expected)
    assert np.abs(got - expected).max() < 0.2 * np.abs(expected).max()
    last = [m.history_[-1]["total"] for m in (half, full)]
    assert last[0] == pytest.approx(last[1], rel=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA could use")
@pytest.mark.parametrize("init", ["auto", "pretrain"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_learns_what_the_cpu_does(part, init, precision):
    X, y = part
    settings = {"hidden_layer_sizes": (32,), "random_state": 0, "early_stopping": False}
    settings |= {"max_epochs": 8, "init": init}
    gpu = DGAETransformer(**settings, device="cuda", precision=precision).fit(X, y)
    cpu = DGAETransformer(**settings).fit(X, y)
    again = DGAETransformer(**settings, device="cuda", precision=precision).fit(X, y)
    Z, expected = gpu.transform(X), cpu.transform(X)
    np.testing.assert_allclose(Z, again.transform(X), atol=1e-3)
    assert np.abs(Z - expected).max() < 0.2 * np.abs(expected).max()
    assert {p.device.type for p in gpu.module_.parameters()} == {"cpu"}
    loaded = pickle.loads(pickle.dumps(gpu))
    loaded.device = "cpu"
    np.testing.assert_allclose(loaded.transform(X), Z, atol=1e-2)
