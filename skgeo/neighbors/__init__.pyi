from ._knn import KNNGeoRegressor as KNNGeoRegressor
from ._lazy import LazyGeoRegressor as LazyGeoRegressor
from ._random import RandomGeoRegressor as RandomGeoRegressor
