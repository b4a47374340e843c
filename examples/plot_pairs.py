"""
What looks alike, and where
===========================

Pieces of one region may look different: a coast and its desert. Pieces of different continents
may look alike: two deserts. Both mislead whoever locates pictures by their looks, and
`InconsistencyPairs` collects both. Here the pictures are tiles of NASA's Blue Marble, described by
their colours.
"""

# %%
# 1,000 tiles of land. All tiles within 1,000 km of where many of them crowd are one area.

import numpy as np

from skgeo.cluster import POIMeanShift
from skgeo.datasets import load_blue_marble_tiles
from skgeo.features import BlockScaler, LowLevelFeatures
from skgeo.pairs import InconsistencyPairs
from skgeo.plotting import PairsDisplay

tiles = load_blue_marble_tiles(1000, random_state=0)
features = LowLevelFeatures(blocks=["tiny5", "color"]).fit(tiles.images)
X = BlockScaler(blocks=features.block_slices_).fit_transform(features.transform(tiles.images))
poi = POIMeanShift(bandwidth=1000.0, metric="haversine")
pairs = InconsistencyPairs(k1=20, k2=10, poi=poi, min_distance_km=2000.0).fit(X, tiles.coordinates)

# %%
# A tile in the middle of Australia. Distances in feature space say how alike the colours are. What
# is easy to confuse with it is at least 2,000 km away, in Argentina, Somalia and Namibia.

australian = int(np.argmin(np.abs(tiles.coordinates - [-23.7, 133.9]).sum(axis=1)))
display = PairsDisplay.from_estimator(pairs, tiles.images, australian)

# %%
# The same as a table.

table = pairs.explain(australian)
table.groupby("kind").head(4).round(2)

# %%
# New pictures join without a rebuild: where they are nearer than what a row holds, they take its
# last places. Here 100 tiles come later: how many places the old rows have, how many went to new
# tiles, and to how many of them.

first, later = slice(None, 900), slice(900, None)
grown = InconsistencyPairs(k1=20, k2=10, poi=poi, min_distance_km=2000.0)
grown.fit(X[first], tiles.coordinates[first])
grown.partial_fit(X[later], tiles.coordinates[later])
after = grown.explain(np.arange(900))
entered = after[after["index"] >= 900]
len(after), len(entered), entered["index"].nunique()
