"""Training on a cluster: local SGD on Dask's partitions, with the extra ``dask``."""

try:
    from sknet.distributed.dask import DaskNNClassifier, DaskNNRegressor
except ImportError as error:
    raise ImportError(
        "sknet.distributed needs Dask and its scheduler, which are not installed: "
        'pip install "sknet[dask]".'
    ) from error

__all__ = ["DaskNNClassifier", "DaskNNRegressor"]
