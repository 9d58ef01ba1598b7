"""Pictures of a fitted network as display classes, like those of scikit-learn.

They need matplotlib, which is imported when a display is drawn.
"""

from sknet.inspection.displays.attribution import AttributionDisplay
from sknet.inspection.displays.network import LossCurveDisplay, WeightsDisplay
from sknet.inspection.displays.shape_functions import ShapeFunctionsDisplay

__all__ = ["AttributionDisplay", "LossCurveDisplay", "ShapeFunctionsDisplay", "WeightsDisplay"]
