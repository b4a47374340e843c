"""
A collection that grows
=======================

Photographs arrive every day. A pipeline takes them in with one call, which updates its steps in
order, or none of them if one fails. Here two weeks of arrivals in a synthetic world are compared
with no update at all and with training again every day.
"""

# %%
# 60 percent of the photos are there at the beginning. The rest arrives place by place, so that the
# new photos show places of which nothing was known. A fifth of the photos are queries.

import copy

import matplotlib.pyplot as plt
import numpy as np

from skgeo import MarginalFisherTransformer, make_geo_pipeline, partial_fit_pipeline
from skgeo.datasets import make_geo_world
from skgeo.metrics import great_circle_threshold_score

world = make_geo_world(random_state=0)
X, y = world.data, world.coordinates
rng = np.random.default_rng(0)
rows = rng.permutation(len(X))
queries, rest = np.split(rows, [len(X) // 5])
rest = rest[np.argsort(y[rest, 1], kind="stable")]  # from west to east
known, arriving = np.split(rest, [int(0.6 * len(rest))])
days = np.array_split(arriving, 14)


def train(rows):
    """Scaling, linear geo-constrained layer, gallery."""
    layer = MarginalFisherTransformer(n_pca_components=100)
    return make_geo_pipeline(features="passthrough", dgae=layer).fit(X[rows], y[rows])


def score(pipeline):
    """Percent of the queries within 200 km."""
    return 100 * great_circle_threshold_score(y[queries], pipeline.predict(X[queries]))


# %%
# With ``update="gallery"`` the new photos join the gallery, with ``update="all"`` the linear layer
# learns from them as well, for which the gallery's photos have to be passed: it is encoded anew.

first = train(known)
curves = {name: [score(first)] for name in ("never", "gallery", "all", "re-trained")}
gallery, everything = copy.deepcopy(first), copy.deepcopy(first)
for batch in days:
    partial_fit_pipeline(gallery, X[batch], y[batch])
    partial_fit_pipeline(everything, X[batch], y[batch], update="all", gallery_X=X[known])
    known = np.concatenate([known, batch])
    for name, pipeline in [
        ("never", first),
        ("gallery", gallery),
        ("all", everything),
        ("re-trained", train(known)),
    ]:
        curves[name].append(score(pipeline))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, curve in curves.items():
    style = "k:" if name == "re-trained" else "-"
    axes.plot(curve, style, label=name, lw=2)
axes.set(xlabel="day", ylabel="percent of queries within 200 km")
axes.legend()
plt.show()

# %%
# How old have the places become? `drift` says which share of the photos a new fit would group
# otherwise, ``new_place_share_`` how many are in places that were opened since. Both are 0 after
# a fit. Here all new photos are of new places, and these are the ones that a new fit finds.

places = first["dgae"].pairs_.poi_
for batch in days:
    places.partial_fit(y[batch])
print(f"photos regrouped by a new fit: {places.drift(y[known]):.1%}")
print(f"photos in places opened since: {places.new_place_share_:.1%}")

# %%
# A photographer wants one photo out. Its row in the gallery is found by its vector; the photos
# behind it move up.

codes = everything[:-1].transform(X[known[:1]])
row = everything["knn"].kneighbors(codes, 1, return_distance=False)[0]
everything["knn"].remove(row)
print(f"{everything['knn'].n_samples_fit_} photos are left of {len(known)}")
