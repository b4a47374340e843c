from ._curve import (
    error_curve_area as error_curve_area,
)
from ._curve import (
    error_percentile_curve as error_percentile_curve,
)
from ._curve import (
    threshold_auc_score as threshold_auc_score,
)
from ._distance import great_circle_distance as great_circle_distance
from ._report import geolocation_report as geolocation_report
from ._scorers import (
    geo_score_scorer as geo_score_scorer,
)
from ._scorers import (
    great_circle_threshold_scorer as great_circle_threshold_scorer,
)
from ._scorers import (
    mean_great_circle_error_scorer as mean_great_circle_error_scorer,
)
from ._scorers import (
    median_great_circle_error_scorer as median_great_circle_error_scorer,
)
from ._scores import (
    best_of_top_k_score as best_of_top_k_score,
)
from ._scores import (
    geo_score as geo_score,
)
from ._scores import (
    great_circle_threshold_score as great_circle_threshold_score,
)
from ._scores import (
    mean_great_circle_error as mean_great_circle_error,
)
from ._scores import (
    median_great_circle_error as median_great_circle_error,
)
from ._thresholds import THRESHOLDS_KM as THRESHOLDS_KM
