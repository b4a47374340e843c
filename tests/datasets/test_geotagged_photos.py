"""Folders and tables as people have them, with everything that is wrong in them told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skgeo.datasets import load_geotagged_photos


def save(path, position=None, size=(16, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8))
    exif = photo.getexif()
    if position is not None:
        lat, lon = position
        gps = exif.get_ifd(0x8825)
        gps.update(
            {
                1: "N" if lat >= 0 else "S",
                2: (float(abs(lat)), 0.0, 0.0),
                3: "E" if lon >= 0 else "W",
                4: (float(abs(lon)), 0.0, 0.0),
            }
        )
    photo.save(path, exif=exif)
    return path


def reasons(photos):
    return dict(zip(photos.left_out["image"], photos.left_out["reason"], strict=True))


@pytest.fixture
def album(tmp_path):
    save(tmp_path / "b.jpg", (-33, 151))
    save(tmp_path / "sub" / "deeper" / "a.jpg", (48, -2))
    save(tmp_path / "plain.jpg")
    (tmp_path / "notes.jpg").write_text("this is no picture")
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    save(tmp_path / ".thumbnails" / "b.jpg", (1, 1))
    return tmp_path


def test_exif_folder(album):
    photos = load_geotagged_photos(album)
    assert photos.images.tolist() == [
        str(album / "b.jpg"),
        str(album / "sub" / "deeper" / "a.jpg"),
    ]
    np.testing.assert_allclose(photos.coordinates, [[-33, 151], [48, -2]])
    assert photos.coordinates.dtype == np.float64
    assert photos.groups is None
    assert photos.frame["filename"].tolist() == ["b.jpg", "sub/deeper/a.jpg"]
    assert photos.frame["latitude"].tolist() == [-33, 48]
    told = reasons(photos)
    assert told[str(album / "plain.jpg")] == "no position in its EXIF tags"
    assert told[str(album / "notes.jpg")].startswith("not an image that can be read: ")
    assert told[str(album / ".hidden.jpg")] == "hidden file"
    assert told[str(album / ".thumbnails")] == "hidden folder"
    assert len(told) == 4
    assert "2 geotagged photographs" in photos.DESCR
    assert "4 left out:" in photos.DESCR
    assert "- 1: not an image that can be read\n" in photos.DESCR
    X, y = load_geotagged_photos(str(album), return_X_y=True)
    assert X.tolist() == photos.images.tolist()
    np.testing.assert_array_equal(y, photos.coordinates)


def test_progress_is_shown_on_request(album, capfd):
    load_geotagged_photos(album)
    assert capfd.readouterr().err == ""
    load_geotagged_photos(album, verbose=1)
    assert "positions" in capfd.readouterr().err


def test_truncated_files_are_found_when_decoding(tmp_path):
    whole = save(tmp_path / "whole.jpg", (1, 2), (200, 200))
    cut = save(tmp_path / "cut.jpg", (3, 4), (200, 200))
    cut.write_bytes(cut.read_bytes()[:20_000])
    assert len(load_geotagged_photos(tmp_path).images) == 2
    photos = load_geotagged_photos(tmp_path, check_files="decode")
    assert photos.images.tolist() == [str(whole)]
    assert reasons(photos)[str(cut)].startswith("not an image that can be read")
    (tmp_path / "t.csv").write_text("file,lat,lon\nwhole.jpg,1,2\ncut.jpg,3,4\n")
    assert len(load_geotagged_photos(tmp_path / "t.csv").images) == 2
    photos = load_geotagged_photos(tmp_path / "t.csv", check_files="decode")
    assert photos.images.tolist() == [str(whole)]


def test_empty_folder_and_folder_without_positions(tmp_path):
    with pytest.raises(ValueError, match=r"EXIF tags \(or a metadata\.csv\) and saw 0 files\."):
        load_geotagged_photos(tmp_path)
    save(tmp_path / "a.jpg")
    save(tmp_path / "s" / "b.jpg")
    (tmp_path / "c.txt").write_text("text")
    with pytest.raises(ValueError, match=r"saw 3 files \(2: no position.*1: not an image"):
        load_geotagged_photos(tmp_path)


FORMS = {
    "flickr": "IMG_ID,AUTHOR,LAT,LON\na.jpg,ann,1.5,2\nx/b.jpg,bob,-3,-4.25\n",
    "file": "IMG_FILE,LAT,LON\na.jpg,1.5,2\nx/b.jpg,-3,-4.25\n",
    "id": "id,latitude,longitude,country\na,1.5,2,FR\nx/b,-3,-4.25,GB\n",
    "filename": "filename,lat,lon,source\na.jpg,1.5,2,s\nx/b.jpg,-3,-4.25,s\n",
    "mixed case": "FileName,Lat,LNG\na.jpg,1.5,2\nx/b.jpg,-3,-4.25\n",
    "semicolons": "filename;lat;lon\na.jpg;1.5;2\nx/b.jpg;-3;-4.25\n",
    "tabs": "filename\tlat\tlon\na.jpg\t1.5\t2\nx/b.jpg\t-3\t-4.25\n",
    "byte order mark": "\ufefffilename,lat,lon\na.jpg,1.5,2\nx/b.jpg,-3,-4.25\n",
    "windows": "filename,lat,lon\r\na.jpg,1.5,2\r\nx\\b.jpg,-3,-4.25\r\n",
    "spaces": "filename, lat, lon\na.jpg, 1.5, 2\nx/b.jpg, -3, -4.25\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_folder", [False, True])
def test_forms_of_tables(tmp_path, form, as_folder):
    save(tmp_path / "a.jpg")
    save(tmp_path / "x" / "b.jpg")
    table = tmp_path / "metadata.csv"
    table.write_bytes(FORMS[form].encode())
    photos = load_geotagged_photos(tmp_path if as_folder else table)
    for path, name in zip(photos.images, ("a.jpg", "x/b.jpg"), strict=True):
        assert Path(path) == tmp_path / name
    np.testing.assert_array_equal(photos.coordinates, [[1.5, 2], [-3, -4.25]])
    assert len(photos.left_out) == 0
    assert len(photos.frame) == 2
    if form == "flickr":
        assert photos.groups.tolist() == ["ann", "bob"]
    else:
        assert photos.groups is None


def test_every_row_left_out_has_its_reason(tmp_path):
    for name in "abcdefgh":
        save(tmp_path / f"{name}.jpg")
    save(tmp_path / "two.jpg")
    save(tmp_path / "two.png")
    (tmp_path / "text.jpg").write_text("no picture")
    rows = [
        ("a.jpg", "10", "20", None),
        ("b.jpg", "91", "20", "latitude outside [-90, 90]: 91"),
        ("c.jpg", "10", "-180.5", "longitude outside [-180, 180]: -180.5"),
        ("d.jpg", "", "20", "no latitude"),
        ("e.jpg", "10", "", "no longitude"),
        ("f.jpg", "north", "20", "latitude is no number: 'north'"),
        ("g.jpg", "0.0", "0", "position is exactly 0, 0, which stands for none"),
        ("h", "10", "180", None),
        ("absent.jpg", "10", "20", "file not found"),
        ("nowhere/absent", "10", "20", "file not found"),
        ("two", "10", "20", "several files fit: two.jpg, two.png"),
        ("text.jpg", "10", "20", "not an image that can be read: "),
        ("", "10", "20", "no file name"),
        ("a.jpg", "10", "20", "listed again: row 0"),
        ("a.jpg", "11", "20", "listed again with another position: row 0"),
        ("two.png", "inf", "20", "latitude outside [-90, 90]: inf"),
    ]
    table = tmp_path / "t.csv"
    table.write_text("filename,lat,lon\n" + "".join(f"{n},{a},{o}\n" for n, a, o, _ in rows))
    photos = load_geotagged_photos(table)
    assert [p.rsplit("/")[-1] for p in photos.images] == ["a.jpg", "h.jpg"]
    np.testing.assert_array_equal(photos.coordinates, [[10, 20], [10, 180]])
    expected = [(i, why) for i, (_, _, _, why) in enumerate(rows) if why is not None]
    assert photos.left_out["row"].tolist() == [i for i, _ in expected]
    for told, (_, why) in zip(photos.left_out["reason"], expected, strict=True):
        assert told == why or (why.endswith(": ") and told.startswith(why))
    assert f"{len(expected)} left out" in photos.DESCR
    assert "- 2: latitude outside [-90, 90]\n" in photos.DESCR
    assert photos.frame["filename"].tolist() == ["a.jpg", "h"]
    assert photos.frame["lat"].dtype == np.float64


def test_photos_that_no_row_names_are_told(tmp_path):
    for name in ("a.jpg", "sub/b.jpg", "bad.jpg"):
        save(tmp_path / name)
    (tmp_path / "readme.md").write_text("about")
    (tmp_path / "metadata.csv").write_text("filename,lat,lon\na.jpg,1,2\nbad.jpg,99,2\n")
    photos = load_geotagged_photos(tmp_path)
    assert len(photos.images) == 1
    assert photos.left_out["reason"].tolist() == [
        "latitude outside [-90, 90]: 99",
        "not in metadata.csv",
    ]
    assert photos.left_out["image"].iloc[1] == str(tmp_path / "sub" / "b.jpg")
    assert photos.left_out["row"].isna().tolist() == [False, True]


def test_numbers_as_names_keep_their_zeros(tmp_path):
    save(tmp_path / "img" / "007.png")
    (tmp_path / "t.csv").write_text("id,latitude,longitude,user_id,n\n007,1,2,0042,5\n")
    photos = load_geotagged_photos(tmp_path / "t.csv", image_root=tmp_path / "img")
    assert photos.images[0].endswith("img/007.png")
    assert photos.groups.tolist() == ["0042"]
    assert photos.frame.iloc[0].to_dict() == {
        "id": "007",
        "latitude": 1.0,
        "longitude": 2.0,
        "user_id": "0042",
        "n": 5,
    }


def test_named_columns_and_missing_authors(tmp_path):
    save(tmp_path / "a.jpg")
    save(tmp_path / "b.jpg")
    (tmp_path / "t.csv").write_text("p,N,E,who,lat,lon\na.jpg,1,2,ann,8,9\nb.jpg,3,4,,8,9\n")
    columns = {"image": "p", "latitude": "N", "longitude": "E", "author": "who"}
    photos = load_geotagged_photos(tmp_path / "t.csv", columns=columns)
    np.testing.assert_array_equal(photos.coordinates, [[1, 2], [3, 4]])
    assert photos.groups.tolist() == ["ann", None]
    with pytest.raises(ValueError, match="columns says 'author' is 'nobody'"):
        load_geotagged_photos(tmp_path / "t.csv", columns={"author": "nobody"})
    with pytest.raises(ValueError, match="key 'place'"):
        load_geotagged_photos(tmp_path / "t.csv", columns={"place": "p"})


def test_positions_without_files(tmp_path):
    (tmp_path / "t.csv").write_text("IMG_ID,LAT,LON\n4/a.jpg,1,2\n5/b.jpg,95,4\n4/c.jpg,5,6\n")
    photos = load_geotagged_photos(tmp_path / "t.csv", check_files=False)
    assert photos.images.tolist() == [str(tmp_path / "4/a.jpg"), str(tmp_path / "4/c.jpg")]
    assert photos.left_out["row"].tolist() == [1]
    (tmp_path / "p.csv").write_text("latitude,longitude\n1,2\n1,2\n")
    photos = load_geotagged_photos(tmp_path / "p.csv", check_files=False)
    assert photos.images is None
    assert len(photos.coordinates) == 2  # rows without files cannot repeat each other
    with pytest.raises(ValueError, match="pass check_files=False"):
        load_geotagged_photos(tmp_path / "p.csv")
    with pytest.raises(ValueError, match="no X to return"):
        load_geotagged_photos(tmp_path / "p.csv", check_files=False, return_X_y=True)


def test_exif_on_request_where_a_table_is(album):
    (album / "metadata.csv").write_text("filename,lat,lon\nplain.jpg,7,8\n")
    assert load_geotagged_photos(album).coordinates.tolist() == [[7, 8]]
    assert load_geotagged_photos(album, positions="table").coordinates.tolist() == [[7, 8]]
    assert len(load_geotagged_photos(album, positions="exif").coordinates) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("filename,lat\na,1\n", "no column of longitude among"),
        ("a.jpg,1,2\nb.jpg,3,4\n", "no column of latitude and longitude"),
        ("filename,lat,lon\n", "looked in 0 rows"),
        ("filename,lat,lon\na.jpg,1,2\nb.jpg,3,4\n", r"in 2 rows.*\(2: file not found\)"),
        ('filename,lat,lon\n"a.jpg,1,2\n', "cannot be read as a table"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_geotagged_photos(tmp_path / "t.csv")


def test_table_that_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(bytes(range(128, 256)) * 4)
    with pytest.raises(ValueError, match="UTF-8"):
        load_geotagged_photos(tmp_path / "t.csv")


def test_bad_sources(tmp_path, album):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_geotagged_photos(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="neither a folder nor a CSV"):
        load_geotagged_photos(album / "b.jpg")
    with pytest.raises(FileNotFoundError, match="holds no metadata"):
        load_geotagged_photos(album, positions="table")
    with pytest.raises(ValueError, match="are about a table"):
        load_geotagged_photos(album, image_root=album)
    with pytest.raises(ValueError, match="are about a table"):
        load_geotagged_photos(album, check_files=False)
    (album / "t.csv").write_text("filename,lat,lon\nplain.jpg,7,8\n")
    with pytest.raises(ValueError, match="needs a folder"):
        load_geotagged_photos(album / "t.csv", positions="exif")
    with pytest.raises(FileNotFoundError, match="image_root"):
        load_geotagged_photos(album / "t.csv", image_root=album / "nowhere")
    with pytest.raises(ValueError, match="check_files"):
        load_geotagged_photos(album, check_files="maybe")
    with pytest.raises(ValueError, match="source"):
        load_geotagged_photos(5)


@pytest.mark.parametrize(("name", "n"), [("sf_landmarks", 801), ("mexico_cities", 538)])
def test_real_photographs(shared_data, name, n):
    photos = load_geotagged_photos(shared_data / name)
    table = pd.read_csv(shared_data / name / "metadata.csv")
    assert len(photos.images) == n
    assert len(photos.left_out) == 0
    np.testing.assert_array_equal(photos.coordinates, table[["lat", "lon"]].to_numpy())
    assert photos.images[5] == str(shared_data / name / table["filename"][5])


def test_real_positions(shared_data):
    path = shared_data / "gps" / "yfcc25600_places365.csv"
    photos = load_geotagged_photos(path, check_files=False)
    table = pd.read_csv(path)
    assert len(photos.coordinates) == 25_600
    np.testing.assert_allclose(photos.coordinates, table[["LAT", "LON"]], rtol=0, atol=1e-12)
    assert photos.groups.tolist() == table["AUTHOR"].astype(str).tolist()
    with pytest.raises(ValueError, match="25600: file not found"):
        load_geotagged_photos(path)
    street = load_geotagged_photos(
        shared_data / "gps" / "streetview_points_cogito.csv", check_files=False
    )
    assert len(street.coordinates) + len(street.left_out) == 199_248
    assert (street.left_out["reason"].str.startswith("position is exactly 0, 0")).all()
