from . import (
    cluster as cluster,
    datasets as datasets,
    embedding as embedding,
    features as features,
    images as images,
    metrics as metrics,
    model_selection as model_selection,
    neighbors as neighbors,
    pairs as pairs,
    plotting as plotting,
)
from ._pipeline import make_geo_pipeline as make_geo_pipeline
from .cluster import POIMeanShift as POIMeanShift
from .embedding import (
    DGAETransformer as DGAETransformer,
    MarginalFisherTransformer as MarginalFisherTransformer,
)
from .features import (
    BlockScaler as BlockScaler,
    CNNFeatures as CNNFeatures,
    LowLevelFeatures as LowLevelFeatures,
    SIFTBagOfWords as SIFTBagOfWords,
)
from .images import FaceFilter as FaceFilter
from .neighbors import (
    KNNGeoRegressor as KNNGeoRegressor,
    RandomGeoRegressor as RandomGeoRegressor,
)
from .pairs import InconsistencyPairs as InconsistencyPairs

__version__: str
