from ._anchor import anchor_pairs as anchor_pairs
from ._approximate import approximate_pairs as approximate_pairs
from ._exact import exact_pairs as exact_pairs
from ._graph import NeighborRows as NeighborRows
from ._graph import PairGraph as PairGraph
from ._graph import pair_recall as pair_recall
from ._inconsistency import InconsistencyPairs as InconsistencyPairs
