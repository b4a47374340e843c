"""What goes wrong with model files."""

from __future__ import annotations

__all__ = ["ModelFileError", "ModelVersionWarning", "UntrustedTypeError"]


class ModelFileError(ValueError):
    """A file is no model of skgeo, is damaged, or is of a format that this version cannot read."""


class UntrustedTypeError(ModelFileError):
    """A model file asks for types that were not said to be trusted. Nothing of it was loaded."""


class ModelVersionWarning(UserWarning):
    """A model was written by other versions of libraries than those that read it."""
