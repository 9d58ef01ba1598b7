"""Pictures of a fitted network as display classes, like those of scikit-learn.

They need matplotlib, which is imported when a display is drawn.
"""

from sknet.inspection.displays.attribution import AttributionDisplay
from sknet.inspection.displays.loss_curve import LossCurveDisplay
from sknet.inspection.displays.shape_functions import ShapeFunctionsDisplay
from sknet.inspection.displays.weights import WeightsDisplay

__all__ = ["AttributionDisplay", "LossCurveDisplay", "ShapeFunctionsDisplay", "WeightsDisplay"]
