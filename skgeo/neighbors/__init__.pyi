from ._knn import KNNGeoRegressor as KNNGeoRegressor
from ._random import RandomGeoRegressor as RandomGeoRegressor
