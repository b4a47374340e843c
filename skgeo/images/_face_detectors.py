"""Detectors of faces, each from one decoded image to boxes in parts of its width and height."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Boxes", "FaceSettings", "check_detector", "find_faces", "union_area"]

#: Shape (k, 4): left, top, width, height.
Boxes = npt.NDArray[Any]

# Side of the smallest face in the image on which a detector works. The windows of the cascade have
# 24 pixels; YuNet's finest anchors have 10 to 24.
_LBP_FACE, _YUNET_FACE = 24, 32

_local = threading.local()  # Detectors keep the size of the last image and cannot be shared.


@dataclass(frozen=True)
class FaceSettings:
    """What a worker needs to find faces."""

    kind: str
    model: Any
    min_face_size: float
    threshold: float | None
    working_side: int | None


def check_detector(detector: Any, min_face_size: float, threshold: float | None) -> FaceSettings:
    """Make sure that a detector can be had, before any image is read.

    Parameters
    ----------
    detector : "lbp", str, Path or callable
        See `FaceFilter`.
    min_face_size : float
        Smallest side of a box, as a part of the shorter side.
    threshold : float or None
        How sure the detector must be.

    Returns
    -------
    FaceSettings
        The settings.

    Raises
    ------
    ImportError
        If scikit-image is needed and absent.
    FileNotFoundError
        If there is no such model.
    ValueError
        If the file is no YuNet model, or the threshold is out of range.
    """
    if isinstance(detector, str) and detector == "lbp":
        settings = FaceSettings(
            "lbp", None, min_face_size, 7.0 if threshold is None else float(threshold),
            round(_LBP_FACE / min_face_size),
        )  # fmt: skip
        _cascade()
    elif isinstance(detector, str | os.PathLike):
        path = Path(detector)
        if not path.is_file():
            raise FileNotFoundError(
                f"detector={str(detector)!r}: no such file; expected 'lbp', the ONNX file of a "
                "YuNet network, or a callable."
            )
        if threshold is not None and threshold > 1:
            raise ValueError(f"threshold={threshold}; YuNet's scores lie between 0 and 1.")
        settings = FaceSettings(
            "yunet", str(path), min_face_size, 0.9 if threshold is None else float(threshold),
            round(_YUNET_FACE / min_face_size),
        )  # fmt: skip
        _yunet(settings, np.zeros((64, 64, 3), dtype=np.uint8))
    else:
        if threshold is not None:
            raise ValueError(
                f"threshold={threshold}; a callable detector has to apply its own threshold."
            )
        settings = FaceSettings("callable", detector, min_face_size, None, None)
    return settings


def find_faces(image: npt.NDArray[Any], index: int, *, settings: FaceSettings) -> Boxes:
    """Find faces in one decoded image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        RGB, uint8 or float32 from 0 to 1.
    index : int
        What `map_images` hands over; it is named in errors.
    settings : FaceSettings
        From `check_detector`.

    Returns
    -------
    ndarray of shape (k, 4)
        Left, top, width and height as parts of the width and height, float64, clipped to the image.
    """
    if image.dtype != np.uint8:
        image = np.rint(image * np.float32(255)).astype(np.uint8)
    side = settings.working_side
    if side is not None and min(image.shape[:2]) > side:
        scale = side / min(image.shape[:2])
        size = tuple(round(length * scale) for length in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if settings.kind == "lbp":
        boxes = _lbp(settings, image)
    elif settings.kind == "yunet":
        boxes = _yunet(settings, image)
    else:
        boxes = _called(settings.model, image, index)
    height, width = image.shape[:2]
    # Faces may reach out of the image. The size that counts is that of the whole face.
    sides = np.sqrt(boxes[:, 2].clip(0) * boxes[:, 3].clip(0))
    # Rounding to pixels of the working image must not decide.
    boxes = boxes[sides >= settings.min_face_size * min(height, width) - 0.5]
    low = np.clip(boxes[:, :2], 0, (width, height))
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, (width, height))
    inside = ((high - low) > 0).all(axis=1)
    parts: Boxes = (np.hstack([low, high - low]) / (width, height, width, height))[inside]
    return parts


def union_area(boxes: npt.ArrayLike) -> float:
    """Area that boxes cover together, exactly, in the square of their unit."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    left, top, width, height = corners.T
    right, bottom = left + width, top + height
    xs, ys = np.unique([left, right]), np.unique([top, bottom])
    if len(corners) == 0:
        return 0.0
    covered = np.zeros((len(ys) - 1, len(xs) - 1), dtype=bool)
    for box in range(len(corners)):
        columns = (xs[:-1] >= left[box]) & (xs[1:] <= right[box])
        rows = (ys[:-1] >= top[box]) & (ys[1:] <= bottom[box])
        covered |= rows[:, np.newaxis] & columns
    return float(np.diff(ys) @ covered @ np.diff(xs))


def _lbp(settings: FaceSettings, image: npt.NDArray[np.uint8]) -> Boxes:
    shortest = min(image.shape[:2])
    if shortest < _LBP_FACE:
        return np.empty((0, 4))
    smallest = max(_LBP_FACE, round(settings.min_face_size * shortest))
    found = _cascade().detect_multi_scale(
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(smallest, smallest),
        max_size=(shortest, shortest),
        min_neighbor_number=round(settings.threshold or 0),
    )
    boxes = [(face["c"], face["r"], face["width"], face["height"]) for face in found]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _cascade() -> Any:
    if not hasattr(_local, "cascade"):
        try:
            from skimage.data import lbp_frontal_face_cascade_filename
            from skimage.feature import Cascade
        except ImportError as error:
            raise ImportError(
                "detector='lbp' is the cascade of scikit-image, which is not installed: "
                'pip install "skgeo[faces]". Or give the path of a YuNet model.'
            ) from error
        _local.cascade = Cascade(lbp_frontal_face_cascade_filename())
    return _local.cascade


def _yunet(settings: FaceSettings, image: npt.NDArray[np.uint8]) -> Boxes:
    height, width = image.shape[:2]
    key = (settings.model, settings.threshold)
    try:
        if getattr(_local, "yunet_key", None) != key:
            _local.yunet = cv2.FaceDetectorYN.create(
                settings.model, "", (width, height), settings.threshold or 0.0
            )
            _local.yunet_key = key
        _local.yunet.setInputSize((width, height))
        _, found = _local.yunet.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ValueError(
            f"{settings.model!r} is no YuNet model that this version of OpenCV can run: {error}"
        ) from error
    return np.empty((0, 4)) if found is None else found[:, :4].astype(np.float64)


def _called(detector: Callable[..., Any], image: npt.NDArray[np.uint8], index: int) -> Boxes:
    boxes = np.asarray(detector(image), dtype=np.float64)
    if boxes.size == 0:
        return np.empty((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise ValueError(
            f"X[{index}]: the detector returned an array of shape {boxes.shape}; expected finite "
            "boxes of shape (k, 4): left, top, width and height in pixels."
        )
    return boxes
