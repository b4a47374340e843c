"""Vectors and pairs to an embedding: the linear layer in closed form, the auto-encoder."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
