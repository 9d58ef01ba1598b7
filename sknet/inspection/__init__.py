"""Explanations of a fitted estimator: attributions, shape functions, layers and displays.

Displays need matplotlib, which is imported when one is drawn.
"""

from sknet.inspection.attribution_display import AttributionDisplay
from sknet.inspection.attributions import input_gradients, integrated_gradients
from sknet.inspection.network import LossCurveDisplay, WeightsDisplay, summary
from sknet.inspection.outputs import hidden_features
from sknet.inspection.shape_display import ShapeFunctionsDisplay
from sknet.inspection.shapes import ShapeFunctions, shape_functions

__all__ = [
    "AttributionDisplay", "LossCurveDisplay", "ShapeFunctions", "ShapeFunctionsDisplay",
    "WeightsDisplay", "hidden_features", "input_gradients", "integrated_gradients",
    "shape_functions", "summary",
]  # fmt: skip
