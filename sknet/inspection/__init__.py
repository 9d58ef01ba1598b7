"""Explanations of a fitted estimator: attributions, shape functions, layers and displays."""

from sknet.inspection.attributions import input_gradients, integrated_gradients
from sknet.inspection.displays import (
    AttributionDisplay,
    LossCurveDisplay,
    ShapeFunctionsDisplay,
    WeightsDisplay,
)
from sknet.inspection.layers import hidden_features, summary
from sknet.inspection.shapes import ShapeFunctions, shape_functions

__all__ = [
    "AttributionDisplay",
    "LossCurveDisplay",
    "ShapeFunctions",
    "ShapeFunctionsDisplay",
    "WeightsDisplay",
    "hidden_features",
    "input_gradients",
    "integrated_gradients",
    "shape_functions",
    "summary",
]
