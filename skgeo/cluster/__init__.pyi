from ._growth import regrouped_share as regrouped_share
from ._mean_shift import MeanShiftResult as MeanShiftResult
from ._mean_shift import mean_shift as mean_shift
from ._poi import POIMeanShift as POIMeanShift
