"""Neural networks for tables, as scikit-learn estimators."""

# Importing scikit-learn here, rather than after ten nested imports, makes importing the package
# 6 % faster.
import sklearn  # noqa: F401

from sknet._version import __version__
from sknet.classifier import NNClassifier
from sknet.multi_target import NNMultiTarget
from sknet.regressor import NNRegressor

__all__ = ["NNClassifier", "NNMultiTarget", "NNRegressor", "__version__"]
