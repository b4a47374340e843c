"""Interest points to visual words, each step against a form that goes one by one."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import Pipeline, make_union

from skgeo.features import LowLevelFeatures, SIFTBagOfWords, root_sift
from skgeo.features._vocabulary import (
    WordTree,
    _shares,
    inverse_document_frequency,
    learn_tree,
    learn_words,
    nearest,
    nearest_in_tree,
    soft_counts,
    term_counts,
)
from skgeo.images import ImageError

FLAT = np.full((40, 50, 3), 90, dtype=np.uint8)


def make_scene(height, width, seed):
    """Blocks of random colours: corners at several scales, hence many interest points."""
    rng = np.random.default_rng(seed)
    scene = np.zeros((height, width, 3))
    for side in (6, 13, 29):
        blocks = rng.integers(0, 86, (height // side + 1, width // side + 1, 3))
        scene += blocks.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    return scene.astype(np.uint8)


@pytest.fixture(scope="module")
def scenes():
    return [make_scene(90 + 3 * seed, 120 - 2 * seed, seed) for seed in range(8)]


@pytest.fixture(scope="module")
def bag(scenes):
    return SIFTBagOfWords(n_words_small=30, n_words_large=150, random_state=0).fit(scenes)


@pytest.fixture(scope="module")
def words():
    """Random descriptors of length 1, as RootSIFT's."""
    found = np.random.default_rng(0).gamma(0.5, size=(600, 128))
    return np.sqrt(found / found.sum(axis=1, keepdims=True)).astype(np.float32)


# --- descriptors ----------------------------------------------------------------------------


def rank(pair):
    """Contrast first, then place (row, column), size and direction."""
    point = pair[0]
    return (-point.response, point.pt[1], point.pt[0], point.size, point.angle)


def test_descriptors_against_a_plain_form(scenes):
    for image in scenes[:3]:
        detector = cv2.SIFT_create()
        points, raw = detector.detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
        expected = []
        for _, row in sorted(zip(points, raw, strict=True), key=rank):
            expected.append([np.sqrt(float(value) / float(row.sum())) for value in row])
        found = root_sift(image, max_keypoints=10_000)
        assert len(expected) > 60
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert found.dtype == np.float32


@pytest.mark.parametrize("n", [1, 7, 50])
def test_the_strongest_points_are_kept(scenes, n):
    found = root_sift(scenes[0], max_keypoints=n)
    assert found.shape == (n, 128)
    np.testing.assert_array_equal(found, root_sift(scenes[0], max_keypoints=200)[:n])


def test_working_size():
    image = make_scene(160, 200, 0)
    smaller = cv2.resize(image, (100, 80), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(root_sift(image, image_size=100), root_sift(smaller))
    np.testing.assert_array_equal(root_sift(image, image_size=None), root_sift(image))
    unit = image.astype(np.float32) / 255
    np.testing.assert_array_equal(root_sift(unit), root_sift(image))


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (2, 3), (16, 16), (40, 50)])
def test_images_without_interest_points(shape):
    assert root_sift(np.full((*shape, 3), 90, dtype=np.uint8)).shape == (0, 128)


# --- vocabularies ---------------------------------------------------------------------------


def test_few_descriptors_are_the_words(words):
    twice = np.concatenate([words[:20], words[:20]])
    for n_words in (20, 25):
        np.testing.assert_array_equal(learn_words(twice, n_words, seed=0), words[:20])
    many = np.tile(words[:3], (100, 1))
    np.testing.assert_array_equal(learn_words(many, 50, seed=0), words[:3])
    tree = learn_tree(many, 50, seed=0)
    assert len(np.unique(tree.words, axis=0)) == len(tree.words) == 3


def test_words_are_means_of_their_descriptors():
    """Three far groups, three words: nothing but their means will do."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(loc, 0.01, (50, 4)).astype(np.float32) for loc in (0, 5, 9)]
    best = min((learn_words(np.concatenate(groups), 3, seed=seed) for seed in range(10)),
               key=lambda found: np.abs(np.sort(found[:, 0]) - [0, 5, 9]).max())  # fmt: skip
    means = [group.mean(axis=0) for group in groups]
    np.testing.assert_allclose(best[np.argsort(best[:, 0])], means, atol=1e-4)


def test_the_tree_is_as_large_as_it_was_asked_to_be(words):
    for n_words in (1, 2, 10, 77, 300):
        tree = learn_tree(words, n_words, seed=0)
        assert len(tree.words) == n_words
        assert tree.starts[0] == 0
        assert tree.starts[-1] == n_words
        assert (np.diff(tree.starts) > 0).all()
        assert len(tree.cells) == len(tree.starts) - 1 <= max(1, round(n_words**0.5))
    again = learn_tree(words, 77, seed=0)
    other = learn_tree(words, 77, seed=1)
    np.testing.assert_array_equal(learn_tree(words, 77, seed=0).words, again.words)
    assert not np.array_equal(other.words, again.words)


def test_words_are_shared_out_by_members():
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = rng.integers(1, 30, rng.integers(1, 12))
        n_words = int(rng.integers(len(counts), 200))
        shares = _shares(counts, n_words)
        assert shares.sum() == min(n_words, counts.sum())
        assert (shares >= 1).all()
        assert (shares <= counts).all()
    np.testing.assert_array_equal(_shares(np.array([100, 200, 100]), 40), [10, 20, 10])
    np.testing.assert_array_equal(_shares(np.array([1, 99]), 50), [1, 49])


def test_nearest_words_against_a_plain_form(words):
    vocabulary = np.concatenate([words[:40], words[:5]])  # the repeated ones never win
    for row, found in zip(words[100:], nearest(words[100:], vocabulary), strict=True):
        distances = [((row.astype(float) - word) ** 2).sum() for word in vocabulary]
        assert found == int(np.argmin(distances))
    assert nearest(words[:40], vocabulary).tolist() == list(range(40))


def test_the_tree_is_gone_down_cell_first(words):
    tree = learn_tree(words[:300], 60, seed=0)
    for row, found in zip(words[300:], nearest_in_tree(words[300:], tree), strict=True):
        cell = int(np.argmin([((row.astype(float) - c) ** 2).sum() for c in tree.cells]))
        start, stop = tree.starts[cell], tree.starts[cell + 1]
        inside = [((row.astype(float) - w) ** 2).sum() for w in tree.words[start:stop]]
        assert found == start + int(np.argmin(inside))


@pytest.mark.parametrize(("n_nearest", "sigma"), [(1, 0.154), (3, 0.154), (5, 0.5), (99, 0.02)])
def test_soft_assignment_against_a_plain_form(words, n_nearest, sigma):
    vocabulary, descriptors = words[:30], words[200:280]
    expected = np.zeros(30)
    for row in descriptors.astype(float):
        distances = np.sqrt([((row - word) ** 2).sum() for word in vocabulary])
        order = np.argsort(distances)[:n_nearest]
        shares = [np.exp(-(distances[i] ** 2 - distances[order[0]] ** 2) / (2 * sigma**2))
                  for i in order]  # fmt: skip
        for i, share in zip(order, shares, strict=True):
            expected[i] += share / sum(shares)
    found = soft_counts(descriptors, vocabulary, n_nearest=n_nearest, sigma=sigma)
    np.testing.assert_allclose(found, expected, atol=2e-3 if sigma < 0.1 else 2e-4)
    assert found.sum() == pytest.approx(len(descriptors))
    assert np.count_nonzero(found) > 10


def test_far_from_all_words_the_shares_stay_finite():
    words = np.array([[0.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    found = soft_counts(np.full((1, 2), 1e3, np.float32), words, n_nearest=2, sigma=1e-3)
    np.testing.assert_allclose(found, [0, 1])


def test_counts_and_document_frequencies_against_a_plain_form(words):
    tree = learn_tree(words[:300], 40, seed=0)
    images = np.sort(np.random.default_rng(0).integers(0, 7, len(words)))
    n_images = 9  # two of them without descriptors
    found = [nearest_in_tree(row[None], tree)[0] for row in words]
    for image in range(7):
        expected = np.zeros(40)
        for word, where in zip(found, images, strict=True):
            expected[word] += where == image
        np.testing.assert_array_equal(term_counts(words[images == image], tree), expected)
    holding = [len({image for w, image in zip(found, images, strict=True) if w == word})
               for word in range(40)]  # fmt: skip
    np.testing.assert_allclose(
        inverse_document_frequency(words, images, n_images, tree),
        [np.log((1 + 9) / (1 + n)) + 1 for n in holding],
    )


# --- rows -----------------------------------------------------------------------------------


def test_rows_against_a_plain_form(bag, scenes):
    """All descriptors of all images are in the sample, so scikit-learn's weights are the same."""
    X = bag.transform(scenes)
    assert X.shape == (8, 180)
    assert X.dtype == np.float32
    assert sparse.issparse(X)
    assert X.format == "csr"
    assert X.has_sorted_indices
    tree = WordTree(bag._tree.cells, bag.large_words_, bag._tree.starts)
    counts = []
    for row, image in zip(X.toarray(), scenes, strict=True):
        descriptors = root_sift(image)
        shares = np.zeros(30)
        for descriptor in descriptors:
            shares += soft_counts(descriptor[None], bag.small_words_, n_nearest=3, sigma=0.154)
        np.testing.assert_allclose(row[:30], shares / len(descriptors), atol=1e-5)
        counts.append(term_counts(descriptors, tree))
    expected = TfidfTransformer().fit(counts).transform(counts).toarray()
    np.testing.assert_allclose(X[:, 30:].toarray(), expected, atol=1e-5)
    assert bag.n_descriptors_ == sum(len(root_sift(image)) for image in scenes)


def test_each_vocabulary_alone(bag, scenes):
    both = bag.transform(scenes).toarray()
    small = clone(bag).set_params(vocabulary="small").fit(scenes)
    X = small.transform(scenes)
    assert isinstance(X, np.ndarray)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X, both[:, :30])
    np.testing.assert_allclose(X.sum(axis=1), 1, atol=1e-5)
    assert small.large_words_ is None
    assert small.idf_ is None
    assert small.block_slices_ == {"small": slice(0, 30)}
    large = clone(bag).set_params(vocabulary="large").fit(scenes)
    X = large.transform(scenes)
    assert X.format == "csr"
    np.testing.assert_array_equal(X.toarray(), both[:, 30:])
    np.testing.assert_allclose(np.linalg.norm(X.toarray(), axis=1), 1, atol=1e-5)
    assert large.small_words_ is None
    assert large.block_slices_ == {"large": slice(0, 150)}
    assert bag.block_slices_ == {"small": slice(0, 30), "large": slice(30, 180)}
    names = bag.get_feature_names_out()
    assert names[[0, 29, 30, 179]].tolist() == [
        "sift_small_0", "sift_small_29", "sift_large_0", "sift_large_149",
    ]  # fmt: skip
    assert list(large.get_feature_names_out()) == list(names[30:])


def test_images_without_interest_points_have_rows_of_zeros(bag, scenes):
    X = bag.transform([FLAT, scenes[0], np.zeros((1, 1), np.uint8), FLAT]).toarray()
    assert not X[[0, 2, 3]].any()
    np.testing.assert_array_equal(X[1], bag.transform(scenes[:1]).toarray()[0])
    assert not bag.transform([FLAT]).nnz


def test_columns_that_are_left_over_are_zero(scenes):
    model = SIFTBagOfWords(n_words_small=500, n_words_large=900, max_keypoints=20, random_state=0)
    X = model.fit_transform(scenes[:3]).toarray()
    assert X.shape == (3, 1400)
    assert len(model.small_words_) == len(np.unique(model.small_words_, axis=0)) <= 60
    assert not X[:, len(model.small_words_) : 500].any()
    assert not X[:, 500 + len(model.large_words_) :].any()
    assert len(model.get_feature_names_out()) == 1400


def test_settings_change_what_they_say(bag, scenes):
    base = bag.transform(scenes).toarray()
    small = bag.block_slices_["small"]
    hard = pickle.loads(pickle.dumps(bag)).set_params(n_nearest=1).transform(scenes).toarray()
    for row, image in zip(hard[:, small], scenes, strict=True):
        descriptors = root_sift(image)
        expected = np.bincount(nearest(descriptors, bag.small_words_), minlength=30)
        np.testing.assert_allclose(row, expected / len(descriptors), atol=1e-6)
    wide = pickle.loads(pickle.dumps(bag)).set_params(sigma=100.0).transform(scenes).toarray()
    for row, image in zip(wide[:, small], scenes, strict=True):
        thirds = np.rint(row * 3 * len(root_sift(image)))
        np.testing.assert_allclose(row * 3 * len(root_sift(image)), thirds, atol=1e-2)
    np.testing.assert_array_equal(hard[:, 30:], base[:, 30:])
    few = pickle.loads(pickle.dumps(bag)).set_params(max_keypoints=5).transform(scenes)
    assert (np.diff(few[:, 30:].tocsr().indptr) <= 5).all()
    shrunk = [cv2.resize(i, (round(i.shape[1] * 64 / max(i.shape)),
                             round(i.shape[0] * 64 / max(i.shape))),
                         interpolation=cv2.INTER_AREA) for i in scenes]  # fmt: skip
    model = pickle.loads(pickle.dumps(bag)).set_params(image_size=64)
    np.testing.assert_array_equal(
        model.transform(scenes).toarray(), bag.transform(shrunk).toarray()
    )


# --- learning -------------------------------------------------------------------------------


def attributes(model):
    return [model.small_words_, model.large_words_, model.idf_]


def test_learning_depends_on_the_random_state_alone(bag, scenes):
    for X, settings in (
        (scenes, {}), (iter(scenes), {}), (scenes, {"n_jobs": 2}),
        (scenes, {"random_state": np.random.RandomState(0)}),
    ):  # fmt: skip
        model = clone(bag).set_params(**settings).fit(X)
        for found, expected in zip(attributes(model), attributes(bag), strict=True):
            np.testing.assert_array_equal(found, expected)
    other = clone(bag).set_params(random_state=1).fit(scenes)
    assert not np.array_equal(other.small_words_, bag.small_words_)


def test_the_sample_is_bounded(scenes):
    class Counting:
        """A sequence of images that remembers which were asked for."""

        def __init__(self):
            self.seen = []

        def __len__(self):
            return 3000

        def __getitem__(self, index):
            self.seen.append(index)
            return scenes[index % len(scenes)]

    X = Counting()
    model = SIFTBagOfWords("small", n_words_small=10, sample_images=12, sample_size=100,
                           random_state=0).fit(X)  # fmt: skip
    assert len(X.seen) == len(set(X.seen)) == 12
    assert model.n_descriptors_ == 12 * 9
    one = SIFTBagOfWords("small", n_words_small=10, sample_size=7, random_state=0).fit(scenes[:1])
    assert one.n_descriptors_ == 7
    assert len(one.small_words_) == 7


def test_words_that_occur_in_few_images_weigh_more(bag, scenes):
    """Over the images of the sample, those without interest points included."""
    model = clone(bag).fit([*scenes, FLAT])
    tree = model._tree
    holding = np.sum([term_counts(root_sift(image), tree) > 0 for image in scenes], axis=0)
    np.testing.assert_allclose(model.idf_, np.log(10 / (1 + holding)) + 1)


# --- errors, workers, life with others ------------------------------------------------------


@pytest.mark.parametrize("X", [[FLAT], [FLAT, np.zeros((2, 2), np.uint8)]])
def test_nothing_to_learn_from(X):
    with pytest.raises(ValueError, match=f"of {len(X)} images 0 could .*{len(X)} have no interest"):
        SIFTBagOfWords().fit(X)


def test_bad_images(bag, scenes, tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    X = [*scenes[:3], tmp_path / "text.jpg", FLAT]
    with pytest.raises(ImageError, match=r"X\[3\]: .*text\.jpg"):
        bag.transform(X)
    with pytest.raises(ImageError, match=r"X\[3\]: .*text\.jpg"):
        clone(bag).fit(X)
    model = clone(bag).set_params(on_error="nan")
    with pytest.warns(UserWarning, match=r"1 of 5 images .*left out of the sample.*X\[3\]"):
        model.fit(X)
    for n_jobs in (None, 2):
        model = pickle.loads(pickle.dumps(bag)).set_params(on_error="nan", n_jobs=n_jobs)
        with pytest.warns(UserWarning, match=r"1 of 5 images .*rows of NaN.*X\[3\]") as caught:
            rows = model.transform(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        dense = rows.toarray()
        assert np.isnan(dense[3]).all()
        np.testing.assert_array_equal(dense[:3], bag.transform(scenes[:3]).toarray())
        assert not dense[4].any()
    with pytest.raises(ValueError, match=r"1 could not be read .*text\.jpg"):
        clone(model).fit([tmp_path / "text.jpg"])
    with pytest.raises(TypeError, match=r"X\[1\]: .*int is no image"):
        bag.transform([scenes[0], 3])


def test_collections_that_are_none(bag):
    for X in ([], iter(())):
        with pytest.raises(ValueError, match="0 images"):
            bag.transform(X)
        with pytest.raises(ValueError, match="0 images"):
            clone(bag).fit(X)
    with pytest.raises(ValueError, match=r"single image, 'a\.jpg'"):
        clone(bag).fit("a.jpg")
    with pytest.raises(NotFittedError):
        SIFTBagOfWords().transform([FLAT])


@pytest.mark.parametrize("parameters", [
    {"vocabulary": "medium"}, {"n_words_small": 0}, {"n_words_large": 1.5}, {"n_nearest": 0},
    {"sigma": 0.0}, {"max_keypoints": 0}, {"image_size": 15}, {"sample_images": 0},
    {"sample_size": 0}, {"reduced_decoding": 2}, {"on_error": "skip"}, {"n_jobs": 1.5},
    {"random_state": "a"},
])  # fmt: skip
def test_wrong_parameters(scenes, parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        SIFTBagOfWords(**parameters).fit(scenes)


def test_the_number_of_workers_does_not_change_a_bit(bag, scenes):
    X = [*scenes * 3, FLAT]
    expected = bag.transform(X)
    parallel = pickle.loads(pickle.dumps(bag)).set_params(n_jobs=2)
    for found in (parallel.transform(X), parallel.transform(iter(X))):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(parallel.transform(X).toarray(), expected.toarray())


def test_rows_are_the_same_alone_and_from_any_form(bag, scenes, tmp_path):
    expected = bag.transform(scenes).toarray()
    for row, image in zip(expected, scenes, strict=True):
        np.testing.assert_array_equal(bag.transform([image]).toarray()[0], row)
    paths = []
    for number, image in enumerate(scenes):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    for X in (paths, pd.Series(map(str, paths)), [path.read_bytes() for path in paths]):
        np.testing.assert_array_equal(bag.transform(X).toarray(), expected)
    found = clone(bag).fit_transform(image for image in scenes)
    np.testing.assert_array_equal(found.toarray(), expected)


def test_large_jpegs_are_decoded_at_the_size_that_is_needed(bag, tmp_path):
    path = tmp_path / "large.jpg"
    Image.fromarray(make_scene(100, 120, 0).repeat(5, 0).repeat(5, 1)).save(path, quality=95)
    whole, reduced = (
        pickle.loads(pickle.dumps(bag)).set_params(image_size=100, reduced_decoding=choice)
        .transform([path]).toarray()[0] for choice in (False, True)
    )  # fmt: skip
    assert not np.array_equal(whole, reduced)
    assert np.corrcoef(whole[:30], reduced[:30])[0, 1] > 0.8


def test_copies_through_pickle_and_joblib(bag, scenes, tmp_path):
    expected = bag.transform(scenes).toarray()
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(bag)).transform(scenes).toarray(), expected
    )
    joblib.dump(bag, tmp_path / "model.joblib")
    np.testing.assert_array_equal(
        joblib.load(tmp_path / "model.joblib").transform(scenes).toarray(), expected
    )


def test_frames_pipelines_and_unions(bag, scenes):
    model = clone(bag).set_params(vocabulary="small").set_output(transform="pandas").fit(scenes)
    series = pd.Series(scenes, index=[f"photo{i}" for i in range(len(scenes))])
    frame = model.transform(series)
    assert list(frame.columns) == list(model.get_feature_names_out())
    assert list(frame.index) == list(series.index)
    pipe = Pipeline([("sift", clone(bag)), ("svd", TruncatedSVD(3, random_state=0))])
    assert pipe.fit_transform(scenes).shape == (8, 3)
    union = make_union(LowLevelFeatures("tiny5"), clone(bag)).fit(scenes)
    X = union.transform(scenes)
    assert X.shape == (8, 75 + 180)
    np.testing.assert_array_equal(X[:, 75:].toarray(), bag.transform(scenes).toarray())


def test_progress_bars(capsys, scenes):
    settings = {"n_words_small": 5, "n_words_large": 9, "random_state": 0}
    SIFTBagOfWords(verbose=1, **settings).fit_transform(scenes)
    shown = capsys.readouterr().err
    assert "SIFT sample" in shown
    assert "visual words" in shown
    assert "8/8" in shown
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SIFTBagOfWords(**settings).fit_transform(scenes)
    assert capsys.readouterr().err == ""


# --- real photos ----------------------------------------------------------------------------


def test_photos_of_one_building_are_near_each_other(shared_data: Path):
    table = pd.read_csv(shared_data / "sf_landmarks" / "metadata.csv").iloc[:100]
    paths = [shared_data / "sf_landmarks" / name for name in table["filename"]]
    model = SIFTBagOfWords(n_words_small=200, n_words_large=1000, sample_images=40,
                           max_keypoints=300, random_state=0)  # fmt: skip
    X = model.fit_transform(paths)
    place = np.deg2rad(table[["lat", "lon"]].to_numpy())
    place[:, 1] *= np.cos(place[0, 0])
    metres = 6371004 * euclidean_distances(place)
    np.fill_diagonal(metres, np.inf)
    chance = (metres <= 100).sum() / (len(paths) * (len(paths) - 1))
    for name, block in model.block_slices_.items():
        # By cosines of tf-idf, and by Hellinger's distance of what sums to 1.
        rows = X[:, block].toarray()
        distances = euclidean_distances(rows if name == "large" else np.sqrt(rows))
        np.fill_diagonal(distances, np.inf)
        found = (metres[np.arange(len(paths)), distances.argmin(axis=1)] <= 100).mean()
        assert found > 2 * chance, name
