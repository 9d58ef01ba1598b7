"""Training on a Dask cluster: local SGD on the partitions of a table (extra ``dask``)."""

from sknet._requirements import require

require("distributed", extra="dask")
require("dask.dataframe", extra="dask")

from sknet.distributed.dask import DaskNNClassifier, DaskNNRegressor  # noqa: E402

__all__ = ["DaskNNClassifier", "DaskNNRegressor"]
