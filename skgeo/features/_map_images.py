"""Work over collections of images: lives with the images, for which faces are sought, too."""

from ..images._map_images import Failures, Function, OnError, Outcome, map_images, stack_rows

__all__ = ["Failures", "Function", "OnError", "Outcome", "map_images", "stack_rows"]
