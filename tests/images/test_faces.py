"""The face filter: boxes, areas, masks, and each kind of detector."""

from __future__ import annotations

import builtins
import warnings
from pathlib import Path

import cv2
import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

from skgeo.images import FaceFilter, ImageError
from skgeo.images import _face_detectors as detectors
from skgeo.images._face_detectors import union_area


@pytest.fixture(scope="module")
def astronaut():
    data = pytest.importorskip("skimage.data", reason="scikit-image (extra 'faces') is absent")
    return data.astronaut()


@pytest.fixture(scope="module")
def scenes():
    """Photographs of a rocket, a cup and a cat: no faces of people."""
    data = pytest.importorskip("skimage.data", reason="scikit-image (extra 'faces') is absent")
    return [data.rocket(), data.coffee(), data.chelsea()]


def bright_squares(image):
    """A detector for tests: connected white regions, as left, top, width, height."""
    grey = (image.min(axis=2) > 250).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(grey)
    return stats[1:, :4]


def white(height, width, *boxes):
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for left, top, w, h in boxes:
        image[top : top + h, left : left + w] = 255
    return image


# --- areas ----------------------------------------------------------------------------------


def test_the_area_of_a_union_against_counted_pixels(rng):
    for n in (0, 1, 2, 3, 10):
        for _ in range(20):
            boxes = rng.integers(0, 20, (n, 4))
            canvas = np.zeros((40, 40), dtype=bool)
            for left, top, width, height in boxes:
                canvas[top : top + height, left : left + width] = True
            assert union_area(boxes) == canvas.sum()
    same = np.tile([0.1, 0.2, 0.3, 0.4], (5, 1))
    assert union_area(same) == pytest.approx(0.12)


# --- any detector ---------------------------------------------------------------------------


def test_boxes_are_parts_of_the_image_and_decide():
    images = [
        white(100, 200, (20, 10, 40, 30)),
        white(200, 100, (20, 10, 40, 30), (60, 100, 40, 50)),
        white(50, 50),
        white(100, 200, (0, 0, 12, 12)),  # smaller than min_face_size
    ]
    faces = FaceFilter(bright_squares, max_face_fraction=0.0601).fit(images)
    boxes = faces.detect(images)
    np.testing.assert_allclose(boxes[0], [[0.1, 0.1, 0.2, 0.3]])
    np.testing.assert_allclose(boxes[1], [[0.2, 0.05, 0.4, 0.15], [0.6, 0.5, 0.4, 0.25]])
    assert boxes[2].shape == boxes[3].shape == (0, 4)
    np.testing.assert_allclose(faces.face_fraction(images), [0.06, 0.16, 0, 0])
    assert faces.predict(images).tolist() == [True, False, True, True]
    assert faces.predict(images).dtype == bool
    small = clone(faces).set_params(min_face_size=0.02, max_face_fraction=0)
    assert small.predict(images).tolist() == [False, False, True, False]
    assert faces.set_params(max_face_fraction=1).predict(images).all()


def beyond(_):
    """Boxes that reach out of the image, lie outside, or are empty."""
    return [[-10, -10, 30, 30], [90, 40, 50, 50], [200, 200, 30, 30], [10, 10, 0, 40]]


def test_boxes_are_clipped():
    boxes = FaceFilter(beyond).detect([white(50, 100)])[0]
    np.testing.assert_allclose(boxes, [[0, 0, 0.2, 0.4], [0.9, 0.8, 0.1, 0.2]])


def nonsense(_):
    return [[1, 2, 3]]


def nowhere(_):
    return [[np.nan, 0, 9, 9]]


def test_a_detector_that_returns_no_boxes():
    for detector, match in ((nonsense, r"X\[1\]: .*shape \(1, 3\)"), (nowhere, r"finite")):
        with pytest.raises(ValueError, match=match):
            FaceFilter(lambda im, d=detector: d(im) if im[0, 0, 0] else []).predict(
                [white(9, 9), white(9, 9, (0, 0, 9, 9))]
            )
    assert FaceFilter(lambda _: []).face_fraction([white(9, 9)]).tolist() == [0]
    with pytest.raises(ValueError, match="callable detector"):
        FaceFilter(bright_squares, threshold=0.5).fit([white(9, 9)])


def test_every_form_of_image_and_collection(tmp_path):
    image = white(40, 60, (10, 10, 20, 20))
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    deep = image.astype(np.uint16) * 257
    unit = image / 255
    forms = [path, str(path), path.read_bytes(), Image.fromarray(image), image, deep, unit]
    faces = FaceFilter(bright_squares, max_face_fraction=0.1)
    for X in (forms, (form for form in forms), np.stack([image] * 7)):
        np.testing.assert_allclose(faces.face_fraction(X), [1 / 6] * 7)
    turned = Image.fromarray(image.transpose(1, 0, 2))
    turned.getexif()[0x0112] = 5
    np.testing.assert_allclose(faces.detect([turned])[0], faces.detect([image])[0])
    with pytest.raises(ValueError, match="single image"):
        faces.predict(str(path))
    with pytest.raises(ValueError, match="0 images"):
        faces.predict(iter([]))
    with pytest.raises(ValueError, match="0 images"):
        faces.fit([])


def test_images_that_cannot_be_read(tmp_path):
    images = [white(9, 9), tmp_path / "missing.jpg", white(9, 9, (0, 0, 9, 9)), b"no image"]
    with pytest.raises(ImageError, match=r"X\[1\]: .*missing.jpg"):
        FaceFilter(bright_squares).predict(images)
    for on_error, expected in (("keep", [True, True, False, True]),
                               ("drop", [True, False, False, False])):  # fmt: skip
        faces = FaceFilter(bright_squares, on_error=on_error)
        with pytest.warns(UserWarning, match="2 of 4 images could not be read and are ") as caught:
            assert faces.predict(images).tolist() == expected
        assert len(caught) == 1
        with pytest.warns(UserWarning, match="2 of 4"):
            np.testing.assert_array_equal(faces.face_fraction(images), [0, np.nan, 1, np.nan])
        with pytest.warns(UserWarning, match="2 of 4"):
            assert [boxes is None for boxes in faces.detect(images)] == [False, True, False, True]


def test_wrong_parameters():
    for parameters in ({"detector": 3}, {"max_face_fraction": 1.1}, {"min_face_size": 0},
                       {"threshold": 0}, {"on_error": "nan"}, {"n_jobs": 1.5}):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(parameters))):
            FaceFilter(**parameters).predict([white(9, 9)])


# --- the cascade of scikit-image ------------------------------------------------------------


def test_it_finds_a_face_and_only_that(astronaut, scenes):
    faces = FaceFilter(max_face_fraction=0.01).fit([astronaut])
    assert faces.threshold_ == 7
    (box,) = faces.detect([astronaut])[0]
    left, top, width, height = box * 512
    # Her eyes and mouth are within the box, and the box within her head.
    assert 160 < left < 205 < 245 < left + width < 290
    assert 40 < top < 100 < 150 < top + height < 220
    assert faces.predict([astronaut, *scenes]).tolist() == [False, True, True, True]
    assert FaceFilter(max_face_fraction=0.05).predict([astronaut]).tolist() == [True]
    assert faces.set_params(threshold=1000).predict([astronaut]).tolist() == [True]


def test_no_image_is_too_small_or_too_flat():
    pytest.importorskip("skimage", reason="scikit-image (extra 'faces') is absent")
    shapes = [(1, 1), (1, 500), (23, 23), (24, 24), (24, 300), (25, 24)]
    images = [np.full((*shape, 3), value, np.uint8) for shape in shapes for value in (0, 200)]
    assert FaceFilter().face_fraction(images).tolist() == [0] * 12


def test_size_and_number_of_workers_do_not_matter(astronaut, scenes, tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (60, 80, 3), dtype=np.uint8) for _ in range(30)]
    images = [astronaut, *scenes, *noise]
    faces = FaceFilter(threshold=2)
    alone = [faces.detect([image])[0] for image in images]
    for found in (faces.detect(images), clone(faces).set_params(n_jobs=2).detect(images)):
        for a, b in zip(alone, found, strict=True):
            np.testing.assert_array_equal(a, b)
    joblib.dump(faces, tmp_path / "faces.joblib")
    loaded = joblib.load(tmp_path / "faces.joblib")
    np.testing.assert_array_equal(loaded.predict(images), faces.predict(images))

    large = cv2.resize(astronaut, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=92)
    small, reduced = FaceFilter().detect([astronaut, tmp_path / "large.jpg"])
    np.testing.assert_allclose(small, reduced, atol=0.03)


def test_without_scikit_image(monkeypatch):
    real = builtins.__import__

    def no_skimage(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(detectors, "_local", type("Local", (), {})())
    monkeypatch.setattr(builtins, "__import__", no_skimage)
    with pytest.raises(ImportError, match=r'pip install "skgeo\[faces\]"'):
        FaceFilter().predict([white(30, 30)])
    assert FaceFilter(bright_squares).predict([white(30, 30)]).all()


def test_false_alarms_on_photos_of_buildings(shared_data):
    """The rate in the documentation, on a tenth of the photos."""
    pytest.importorskip("skimage", reason="scikit-image (extra 'faces') is absent")
    paths = sorted((shared_data / "sf_landmarks" / "images").glob("*.jpg"))[::10]
    assert (~FaceFilter().predict(paths)).sum() <= 1


def test_portraits_are_dropped(shared_data):
    pytest.importorskip("skimage", reason="scikit-image (extra 'faces') is absent")
    paths = sorted((shared_data / "mexico_cities" / "images").iterdir())
    # Found by eye: faces that fill much of the picture, and places without people.
    portraits = [paths[i] for i in (113, 161, 264, 381)]
    places = [paths[i] for i in (6, 13, 50, 54, 68, 140, 155, 181, 300, 335, 366, 420)]
    keep = FaceFilter().predict([*portraits, *places])
    assert not keep[:4].any()
    assert keep[4:].all()


# --- YuNet ----------------------------------------------------------------------------------


def field(number: int, value: int | bytes | str) -> bytes:
    """Encode a field of a protocol buffer."""

    def varint(n: int) -> bytes:
        out = b""
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(op: str, inputs: list[str], output: str, **ints: list[int]) -> bytes:
    attributes = b"".join(
        field(5, field(1, key) + b"".join(field(8, i) for i in values) + field(20, 7))
        for key, values in ints.items()
    )
    names = b"".join(field(1, name) for name in inputs) + field(2, output)
    return field(1, names + field(3, output) + field(4, op) + attributes)


def tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(field(1, int(d)) for d in values.shape)
    kind = {"f": 1, "i": 7}[values.dtype.kind]
    data = values.astype("<f4" if kind == 1 else "<i8").tobytes()
    return field(5, dims + field(2, kind) + field(8, name) + field(9, data))


def value_info(number: int, name: str, dims: list[int]) -> bytes:
    shape = field(2, b"".join(field(1, field(1, d)) for d in dims))
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + shape)))


@pytest.fixture(scope="module")
def yunet(tmp_path_factory) -> Path:
    """A model with the inputs and outputs of YuNet that takes bright squares of 32 for faces.

    A cell of 32 x 32 pixels scores its mean brightness; its box is 48 wide and 40 high around
    the middle of the cell.
    """
    nodes, tensors, outputs = b"", b"", b""
    biases = {
        "cls": (1, [0.0]), "obj": (1, [0.0]), "kps": (10, [0.0] * 10),
        "bbox": (4, [0.5, 0.5, np.log(48 / 32), np.log(40 / 32)]),
    }  # fmt: skip
    for stride in (8, 16, 32):
        nodes += node("AveragePool", ["input"], f"pool_{stride}",
                      kernel_shape=[stride] * 2, strides=[stride] * 2)  # fmt: skip
        for kind, (channels, bias) in biases.items():
            name = f"{kind}_{stride}"
            bright = 1 / (3 * 255) if kind in ("cls", "obj") and stride == 32 else 0.0
            weights = np.full((channels, 3, 1, 1), bright, dtype=np.float32)
            tensors += tensor(f"w_{name}", weights)
            tensors += tensor(f"b_{name}", np.array(bias, dtype=np.float32))
            tensors += tensor(f"s_{name}", np.array([1, -1, channels]))
            nodes += node("Conv", [f"pool_{stride}", f"w_{name}", f"b_{name}"], f"c_{name}",
                          kernel_shape=[1, 1])  # fmt: skip
            nodes += node("Transpose", [f"c_{name}"], f"t_{name}", perm=[0, 2, 3, 1])
            nodes += node("Reshape", [f"t_{name}", f"s_{name}"], name)
            outputs += value_info(12, name, [1, (640 // stride) ** 2, channels])
    graph = nodes + field(2, "bright") + tensors
    graph += value_info(11, "input", [1, 3, 640, 640]) + outputs
    model = field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)
    path = tmp_path_factory.mktemp("yunet") / "bright.onnx"
    path.write_bytes(model)
    return path


def test_a_yunet_model(yunet):
    # Shorter side 128: at this min_face_size the working image is the image itself.
    image = white(128, 160, (64, 32, 32, 32))
    faces = FaceFilter(yunet, min_face_size=0.25, max_face_fraction=0.05)
    assert faces.fit([image]).threshold_ == 0.9
    (box,) = faces.detect([image])[0]
    np.testing.assert_allclose(box * [160, 128, 160, 128], [56, 28, 48, 40], atol=0.5)
    assert faces.predict([image, white(128, 160)]).tolist() == [False, True]
    # Another size in turn, an image at the edge, and one that is shrunk.
    images = [white(64, 64, (0, 0, 32, 32)), image, np.repeat(np.repeat(image, 4, 0), 4, 1)]
    for found in (faces.detect(images), clone(faces).set_params(n_jobs=2).detect(images)):
        np.testing.assert_allclose(found[0] * 64, [[0, 0, 40, 36]], atol=0.5)
        np.testing.assert_allclose(found[1:], [[box], [box]], atol=0.01)
    grey = white(128, 160)
    grey[32:64, 64:96] = 200
    assert faces.predict([grey]).tolist() == [True]
    assert faces.set_params(threshold=0.7, detector=str(yunet)).predict([grey]).tolist() == [False]
    for shape in ((1, 1), (1, 300), (3, 5)):
        assert faces.face_fraction([np.zeros((*shape, 3), dtype=np.uint8)]).tolist() == [0]


def test_models_that_will_not_do(yunet, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing.onnx.*no such file"):
        FaceFilter(tmp_path / "missing.onnx").fit([white(9, 9)])
    with pytest.raises(FileNotFoundError, match="expected 'lbp'"):
        FaceFilter("haar").fit([white(9, 9)])
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is no YuNet model"):
        FaceFilter(tmp_path / "bad.onnx").fit([white(9, 9)])
    with pytest.raises(ValueError, match="between 0 and 1"):
        FaceFilter(yunet, threshold=7).fit([white(9, 9)])


def test_no_warnings_where_all_is_well(yunet):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FaceFilter(yunet).predict([white(40, 40)])
