"""One image from any form a user has: a path, bytes, a PIL image, an array."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
