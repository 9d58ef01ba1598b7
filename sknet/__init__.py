"""Neural networks for tables, as scikit-learn estimators."""

from sknet.classifier import NNClassifier
from sknet.regressor import NNRegressor

__version__ = "0.1.0"

__all__ = ["NNClassifier", "NNRegressor"]
