"""Estimates as text for people, JSON, CSV and GPX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

#: One dict a photo: photo, latitude, longitude, radius_km, probability, neighbors, error.
Rows = Sequence[dict[str, Any]]


def _within(row: dict[str, Any]) -> str:
    return f"within {row['radius_km']:.3g} km ({100 * row['probability']:.0f} percent)"


def as_text(rows: Rows) -> str:
    """A paragraph for each photo."""
    parts = []
    for row in rows:
        if row["error"] is not None:
            continue
        lines = [f"{row['photo']}: {row['latitude']:.6f}, {row['longitude']:.6f}"]
        if row["radius_km"] is not None:
            lines[0] += (
                f" within {row['radius_km']:.3g} km ({100 * row['probability']:.0f} percent)"
            )
        lines += [
            f"    {n['distance']:.3f}  {n['photo']}  ({n['latitude']:.6f}, {n['longitude']:.6f})"
            for n in row["neighbors"]
        ]
        parts.append("\n".join(lines))
    return "\n".join(parts) + "\n" if parts else ""


def as_json(rows: Rows) -> str:
    """A list of objects; a photo that could not be located has an error and no position."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(rows: Rows) -> str:
    """A table with a row for each photo, RFC 4180."""
    text = io.StringIO()
    names = ("photo", "latitude", "longitude", "radius_km", "probability")
    writer = csv.writer(text)
    writer.writerow([*names, "nearest_photo", "nearest_distance", "error"])
    for row in rows:
        nearest = row["neighbors"][0] if row["neighbors"] else {"photo": "", "distance": ""}
        values = ["" if row[name] is None else row[name] for name in names]
        writer.writerow([*values, nearest["photo"], nearest["distance"], row["error"] or ""])
    return text.getvalue()


def as_gpx(rows: Rows) -> str:
    """Waypoints, GPX 1.1; photos that could not be located are left out."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<gpx version="1.1" creator="skgeo" xmlns="http://www.topografix.com/GPX/1/1">',
    ]
    for row in rows:
        if row["error"] is not None:
            continue
        said = "estimated from pixels"
        if row["radius_km"] is not None:
            said += f", {_within(row)}"
        lines += [
            f'  <wpt lat="{row["latitude"]:.7f}" lon="{row["longitude"]:.7f}">',
            f"    <name>{escape(row['photo'])}</name>",
            f"    <desc>{said}</desc>",
            "  </wpt>",
        ]
    return "\n".join([*lines, "</gpx>"]) + "\n"
