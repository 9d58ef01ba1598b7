"""Explanations of a fitted estimator: attributions, hidden features, tables and displays."""

from sknet.inspection.attributions import input_gradients, integrated_gradients
from sknet.inspection.displays import AttributionDisplay, LossCurveDisplay, WeightsDisplay
from sknet.inspection.layers import hidden_features, summary

__all__ = [
    "AttributionDisplay",
    "LossCurveDisplay",
    "WeightsDisplay",
    "hidden_features",
    "input_gradients",
    "integrated_gradients",
    "summary",
]
