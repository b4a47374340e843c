from ._blocks import spherical_blocks as spherical_blocks
from ._photographers import PhotographerSplit as PhotographerSplit
from ._spatial import SpatialBlockSplit as SpatialBlockSplit
