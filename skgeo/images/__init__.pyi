from ._collection import check_images as check_images
from ._collection import is_single_pass as is_single_pass
from ._errors import ImageError as ImageError
from ._errors import MissingImageError as MissingImageError
from ._exif import read_exif_position as read_exif_position
from ._faces import FaceFilter as FaceFilter
from ._load import load_image as load_image
from ._write_exif import write_exif_position as write_exif_position
