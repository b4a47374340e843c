from ._geo_world import make_geo_world as make_geo_world
