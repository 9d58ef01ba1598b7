"""The types of sknet that a file of skops may hold."""

from sknet._model import ClassificationModel, RegressionModel
from sknet._run import Run
from sknet._settings import Provenance, Settings
from sknet.classifier import NNClassifier
from sknet.data.columns.categories import Category
from sknet.data.columns.components import Components
from sknet.data.encoding import TableEncoder
from sknet.data.tables import KINDS, TableReader
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.export._encoding import FEATURES
from sknet.export._rules import ACTIVATIONS, LAYERS
from sknet.nn.lbfgs import SOLVERS
from sknet.nn.losses import LOSSES
from sknet.nn.monotone import MonotoneWeights, Promise, Stacked
from sknet.nn.network import Network
from sknet.nn.penalties import ElasticNet
from sknet.nn.schedules import SCHEDULES
from sknet.nn.state import TrainingState
from sknet.regressor import NNRegressor

_CLASSES = [
    NNClassifier,
    NNRegressor,
    # The model that a fit has learned, its settings, and where it comes from.
    ClassificationModel,
    RegressionModel,
    Settings,
    Provenance,
    ElasticNet,
    # The encoders of X and y.
    TableReader,
    *KINDS,
    TableEncoder,
    *FEATURES,
    Category,
    Components,
    ClassTarget,
    RegressionTarget,
    # The network, its layers and rules.
    Network,
    *LAYERS,
    Promise,
    MonotoneWeights,
    Stacked,
    *ACTIVATIONS,
    *LOSSES.values(),
    # Rules that are given as objects.
    *SOLVERS.values(),
    *SCHEDULES.values(),
    # The state with which partial_fit continues.
    Run,
    TrainingState,
]

#: Containers of Python in which parameters may be given, and that skops does not know.
_CONTAINERS = [frozenset, range]

#: The names of the types that a fitted estimator may consist of, to be used as
#: ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the two estimators, the encoders of X and y,
#: the network with the layers, activations and losses of sknet, optimizers and schedules, the
#: state with which ``partial_fit`` continues, and two containers of Python. Loading an object
#: of these types runs no code from the file. A user must decide whether to trust classes of
#: their own.
SKOPS_TRUSTED: list[str] = sorted(
    f"{cls.__module__}.{cls.__qualname__}" for cls in [*_CLASSES, *_CONTAINERS]
)
