"""
What the geo-constraints do
===========================

In the synthetic world photos of one place look different and photos of distant places look alike.
Nearest neighbours in the raw vectors (LF) and in the codes of a plain auto-encoder (AE) follow the
looks. The pairs P and Q teach the geo-constrained auto-encoder (DGAE), and its linear sibling, to
follow the places.
"""

# %%
# A world of 64 places in 16 areas, and a quarter of its photos as queries.

import matplotlib.pyplot as plt
import numpy as np

from skgeo.datasets import make_geo_world
from skgeo.embedding import DGAETransformer, MarginalFisherTransformer
from skgeo.metrics import geolocation_report
from skgeo.neighbors import KNNGeoRegressor, RandomGeoRegressor
from skgeo.plotting import GeoErrorCurveDisplay

world = make_geo_world(random_state=0)
X, y = world.data, world.coordinates
train = np.random.default_rng(0).random(len(X)) < 0.75

# %%
# Four representations, one way to locate: the place of the nearest neighbour.

network = DGAETransformer((128, 64, 32), random_state=0)
embeddings = {
    "AE": DGAETransformer((128, 64, 32), alpha=0, beta=0, random_state=0),
    "DGAE": network,
    "linear": MarginalFisherTransformer(),
}
estimates = {
    "chance": RandomGeoRegressor(random_state=0).fit(X[train], y[train]).predict(X[~train]),
    "LF": KNNGeoRegressor().fit(X[train], y[train]).predict(X[~train]),
}
for name, embedding in embeddings.items():
    gallery = embedding.fit_transform(X[train], y[train])
    knn = KNNGeoRegressor().fit(gallery, y[train])
    estimates[name] = knn.predict(embedding.transform(X[~train]))

geolocation_report(y[~train], estimates).round(1)

# %%
# Errors are sorted from best to worst independently for each system, as in Fig. 5 of the paper.

figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
display = GeoErrorCurveDisplay.from_predictions(y[~train], estimates, ax=ax)

# %%
# How the auto-encoder got there: each term of the objective, epoch by epoch.

history = [row for row in network.history_ if row["phase"] == "train"]
figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for term in ("reconstruction", "same_area", "easy_confusing"):
    ax.plot([row["epoch"] for row in history], [row[term] for row in history], label=term)
ax.set(xlabel="Epoch", ylabel="Term of the objective", ylim=(0, None))
ax.legend()
