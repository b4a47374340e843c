"""Pictures of results: Display classes with `from_predictions` and `from_estimator`."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
