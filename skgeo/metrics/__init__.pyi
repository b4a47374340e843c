from ._bootstrap import (
    BootstrapInterval as BootstrapInterval,
)
from ._bootstrap import (
    bootstrap_interval as bootstrap_interval,
)
from ._compare import compare_geolocation as compare_geolocation
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
from ._method_scorers import accuracy_at_coverage_scorer as accuracy_at_coverage_scorer
from ._method_scorers import area_under_risk_coverage_scorer as area_under_risk_coverage_scorer
from ._method_scorers import best_of_top_k_scorer as best_of_top_k_scorer
from ._method_scorers import radius_coverage_scorer as radius_coverage_scorer
from ._method_scorers import recall_at_n_scorer as recall_at_n_scorer
from ._ranked import (
    best_of_top_k_score as best_of_top_k_score,
)
from ._ranked import (
    recall_at_n_curve as recall_at_n_curve,
)
from ._ranked import (
    recall_at_n_score as recall_at_n_score,
)
from ._report import geolocation_report as geolocation_report
from ._scorers import error_curve_area_scorer as error_curve_area_scorer
from ._scorers import (
    geo_score_scorer as geo_score_scorer,
)
from ._scorers import geolocation_scorers as geolocation_scorers
from ._scorers import (
    great_circle_threshold_scorer as great_circle_threshold_scorer,
)
from ._scorers import (
    mean_great_circle_error_scorer as mean_great_circle_error_scorer,
)
from ._scorers import (
    median_great_circle_error_scorer as median_great_circle_error_scorer,
)
from ._scorers import threshold_auc_scorer as threshold_auc_scorer
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
from ._selective import (
    accuracy_at_coverage_score as accuracy_at_coverage_score,
)
from ._selective import (
    area_under_risk_coverage as area_under_risk_coverage,
)
from ._selective import (
    coverage_at_accuracy_score as coverage_at_accuracy_score,
)
from ._selective import (
    radius_coverage_score as radius_coverage_score,
)
from ._selective import (
    risk_coverage_curve as risk_coverage_curve,
)
from ._thresholds import THRESHOLDS_KM as THRESHOLDS_KM
