from ._errors import ModelFileError as ModelFileError
from ._errors import ModelVersionWarning as ModelVersionWarning
from ._errors import UntrustedTypeError as UntrustedTypeError
from ._model_file import ModelInfo as ModelInfo
from ._model_file import inspect_model as inspect_model
from ._model_file import load_model as load_model
from ._model_file import save_model as save_model
