"""Where was this photograph taken? Estimate latitude and longitude from pixels.

skgeo follows scikit-learn: estimators with ``fit``, ``transform`` and ``predict``, to be composed
in a `Pipeline` and searched with `GridSearchCV`. Names are loaded when they are first used, so
that ``import skgeo`` stays light.
"""

import lazy_loader as _lazy

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
