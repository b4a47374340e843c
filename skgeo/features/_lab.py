"""CIE L*a*b* from RGB, in the correct form and in the historic one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ._resample import Float32Array

__all__ = ["LAB_KINDS", "rgb_to_lab"]

LabKind = Literal["linear", "srgb"]
LAB_KINDS = ("linear", "srgb")

# BT.709 primaries, D65. Each row is divided by its sum, which is the white point: a grey pixel
# then has X = Y = Z, so that its a and b are zero but for rounding.
_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
_TO_XYZ_RELATIVE = (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).astype(np.float32)

_THRESHOLD = np.float32(0.008856)


def _decode_srgb(encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=2)
def _light(kind: LabKind) -> npt.NDArray[np.float32]:
    """For each of the 256 values of a channel, the light that it stands for."""
    values = np.arange(256) / 255
    return (_decode_srgb(values) if kind == "srgb" else values).astype(np.float32)


def rgb_to_lab(image: npt.NDArray[Any], kind: LabKind = "linear") -> Float32Array:
    """Convert an RGB image to CIE L*a*b* with the white point D65.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3)
        uint8, or float32 from 0 to 1.
    kind : {"linear", "srgb"}
        "srgb" undoes the gamma of sRGB first, as the standard demands. "linear" leaves that out
        and takes the stored values for light, as the code behind Im2GPS did; its L* is higher and
        its a* and b* are smaller in the dark parts.

    Returns
    -------
    ndarray of shape (H, W, 3)
        float32: L* from 0 to 100, a* and b*. The white point is the sum of the primaries, so that a
        grey pixel has a* = b* = 0; tabulated roundings of D65 differ from it by 5e-3 in b*.

    Notes
    -----
    OpenCV's own float conversion interpolates in a coarse table and is wrong by up to 0.4.
    """
    if image.dtype == np.uint8:
        light = cv2.LUT(image, _light(kind))
    elif kind == "srgb":
        light = _decode_srgb(image).astype(np.float32)
    else:
        light = image
    xyz = cv2.transform(light, _TO_XYZ_RELATIVE)
    np.clip(xyz, 0.0, None, out=xyz)
    f = cv2.pow(xyz, 1 / 3)
    dark = xyz <= _THRESHOLD
    if dark.any():
        f[dark] = np.float32(7.787) * xyz[dark] + np.float32(16 / 116)
    return cv2.transform(f, _F_TO_LAB)


# L = 116 f(Y) - 16, a = 500 (f(X) - f(Y)), b = 200 (f(Y) - f(Z)), as one affine map.
_F_TO_LAB = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], dtype=np.float32)
