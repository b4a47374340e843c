from . import (
    cluster as cluster,
)
from . import (
    datasets as datasets,
)
from . import (
    embedding as embedding,
)
from . import (
    features as features,
)
from . import (
    images as images,
)
from . import (
    metrics as metrics,
)
from . import (
    model_selection as model_selection,
)
from . import (
    neighbors as neighbors,
)
from . import (
    pairs as pairs,
)
from . import (
    persistence as persistence,
)
from . import (
    plotting as plotting,
)
from ._growing import partial_fit_pipeline as partial_fit_pipeline
from ._pipeline import make_geo_pipeline as make_geo_pipeline
from .cluster import POIMeanShift as POIMeanShift
from .embedding import (
    DGAETransformer as DGAETransformer,
)
from .embedding import (
    MarginalFisherTransformer as MarginalFisherTransformer,
)
from .features import (
    BlockScaler as BlockScaler,
)
from .features import (
    CNNFeatures as CNNFeatures,
)
from .features import (
    LowLevelFeatures as LowLevelFeatures,
)
from .features import (
    SIFTBagOfWords as SIFTBagOfWords,
)
from .images import FaceFilter as FaceFilter
from .neighbors import (
    KNNGeoRegressor as KNNGeoRegressor,
)
from .neighbors import (
    LazyGeoRegressor as LazyGeoRegressor,
)
from .neighbors import (
    RandomGeoRegressor as RandomGeoRegressor,
)
from .pairs import InconsistencyPairs as InconsistencyPairs

__version__: str
