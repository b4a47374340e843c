"""examples/quickstart.py as a user runs it, on few tiles and on a folder of photos."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skgeo.datasets import load_blue_marble_tiles

# Two epochs on a few tiles teach nothing, and the network says so.
pytestmark = pytest.mark.filterwarnings("ignore:Nothing is reconstructed")

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "quickstart.py"


@pytest.fixture
def quickstart(monkeypatch, tmp_path):
    """The script as a module, in a folder of its own, with a network that trains in seconds."""
    spec = importlib.util.spec_from_file_location("quickstart", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "quickstart", module)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    original = module.embeddings

    def small(*args):
        systems = original(*args)
        for name in ("AE", "DGAE"):
            systems[name].set_params(hidden_layer_sizes=(16, 8), max_epochs=2, pretrain_epochs=1)
        return systems

    monkeypatch.setattr(module, "embeddings", small)
    return module


def test_tiles(quickstart, tmp_path, capsys):
    assert quickstart.main(["--tiles", "400", "--queries", "30", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    for row in ("chance", "LF", "AE", "DGAE", "linear", "Mean-Shift linear"):
        assert row in out
    assert "2,500 km" in out
    with Image.open(tmp_path / "quickstart.png") as picture:
        assert picture.width > 800


def test_own_photos_saved_and_located_in_another_call(quickstart, tmp_path, capsys):
    tiles = load_blue_marble_tiles(60, random_state=0)
    folder = tmp_path / "photos"
    folder.mkdir()
    # Photos of a city: the same 60 places, a hundred metres apart.
    places = np.array([37.78, -122.42]) + tiles.coordinates / 20_000.0
    lines = ["filename,lat,lon"]
    for i, image in enumerate(tiles.images):
        Image.fromarray(image).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{places[i, 0]:.6f},{places[i, 1]:.6f}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    options = ["--photos", str(folder), "--save", "model.joblib", "--jobs", "1"]
    assert quickstart.main([*options, "--embedding", "LF"]) == 0
    out = capsys.readouterr().out
    assert "60 photos with a position; 0 files left out" in out
    assert "drawn at random" in out
    assert "50 m" in out
    assert "median_m" in out

    photo = str(folder / "0.png")
    assert quickstart.main(["--model", "model.joblib", "--locate", photo]) == 0
    out = capsys.readouterr().out
    assert f"{photo}: latitude 37.78" in out
    assert out.count("distance") == 3


def test_mistakes_on_the_command_line(quickstart, tmp_path):
    with pytest.raises(SystemExit, match="--model is for --locate"):
        quickstart.main(["--model", "model.joblib"])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        quickstart.main(["--photos", str(tmp_path / "nowhere")])
