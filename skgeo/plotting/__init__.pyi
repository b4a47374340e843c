from ._area_confusion import AreaConfusionDisplay as AreaConfusionDisplay
from ._error_curve import GeoErrorCurveDisplay as GeoErrorCurveDisplay
from ._interactive_map import InteractiveMap as InteractiveMap
from ._neighbors import NeighborsDisplay as NeighborsDisplay
from ._pairs import PairsDisplay as PairsDisplay
from ._prediction_map import PredictionMapDisplay as PredictionMapDisplay
from ._reliability import ReliabilityDisplay as ReliabilityDisplay
