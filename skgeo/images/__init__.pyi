from ._errors import ImageError as ImageError
from ._errors import MissingImageError as MissingImageError
from ._exif import read_exif_position as read_exif_position
