from ._blue_marble import (
    TileSplit as TileSplit,
)
from ._blue_marble import (
    load_blue_marble_tiles as load_blue_marble_tiles,
)
from ._blue_marble import (
    split_disjoint_tiles as split_disjoint_tiles,
)
from ._geo_world import make_geo_world as make_geo_world
from ._geotagged_photos import load_geotagged_photos as load_geotagged_photos
from ._photo_coordinates import make_photo_coordinates as make_photo_coordinates
