"""
Points of interest, on the plane and on the sphere
==================================================

Mean shift finds the places where crowds take photos. In planar degrees, as the paper has it, a
place on the antimeridian is cut in two, and a bandwidth in degrees of longitude shrinks towards the
poles. On the sphere, with a bandwidth in km, it is one place wherever it lies.
"""

# %%
# The same hot spots, 300 photos within some hundred metres, near Nairobi and on the antimeridian
# (Taveuni, Fiji, through which the 180th meridian runs).

import matplotlib.pyplot as plt
import numpy as np

from skgeo.cluster import POIMeanShift

rng = np.random.default_rng(0)
spots = np.array([[0.0, 0.0], [0.012, 0.004], [-0.008, 0.011]])


def photos_around(latitude, longitude):
    """Photos at the three hot spots of a city, longitudes within [-180, 180)."""
    places = np.repeat(spots, 100, axis=0) + rng.normal(0, 0.0012, (300, 2))
    places += [latitude, longitude]
    places[:, 1] = (places[:, 1] + 180) % 360 - 180
    return places


cities = {"Nairobi": photos_around(-1.28, 36.82), "Taveuni": photos_around(-16.85, 179.999)}

# %%
# 0.005 degrees are 557 m at the equator.

figure, axes = plt.subplots(2, 2, figsize=(9, 7.5), layout="constrained")
for row, (metric, bandwidth) in enumerate([("euclidean", 0.005), ("haversine", 0.557)]):
    for column, (name, places) in enumerate(cities.items()):
        poi = POIMeanShift(bandwidth, metric=metric).fit(places)
        east_of_180 = np.where(places[:, 1] < 0, places[:, 1] + 360, places[:, 1])
        ax = axes[row, column]
        ax.scatter(east_of_180, places[:, 0], c=poi.labels_, s=9, cmap="tab10")
        ax.set_title(f"{name}, {metric}: {len(poi.cluster_centers_)} POIs", fontsize="medium")
        ax.ticklabel_format(useOffset=False)
        ax.tick_params(labelsize="small")
        ax.locator_params(axis="x", nbins=4)
        if name == "Taveuni":
            ax.axvline(180, color="0.6", linewidth=0.8, linestyle=":")
