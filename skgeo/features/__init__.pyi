from ._block_scaler import BlockScaler as BlockScaler
from ._color import color_histogram as color_histogram
from ._gist import gist as gist
from ._line import find_line_segments as find_line_segments
from ._line import line_histogram as line_histogram
from ._texture import texton_histogram as texton_histogram
from ._tiny import tiny_image as tiny_image
