from ._error_curve import GeoErrorCurveDisplay as GeoErrorCurveDisplay
from ._pairs import PairsDisplay as PairsDisplay
from ._prediction_map import PredictionMapDisplay as PredictionMapDisplay
