"""The precision of training: float32 stays float32, and is as good as float64."""

import numpy as np
import pytest
from float64_arrays import noticing
from numpy.testing import assert_allclose
from plain import NETWORKS
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)

from sknet import NNClassifier, NNRegressor
from sknet.nn.optimizers import OPTIMIZERS
from sknet.nn.sets import ElasticNet

#: The functions that make arrays of float64 on purpose in a fit of float32, and why.
START = {
    "activations.glorot_uniform": "a seed gives both precisions the same initial weights",
    "activations.lecun_normal": "the same",
    "activations.small_uniform": "the same",
    "activations.Activation.draw_weights": "the same",
    "network.Network.init": "the same: the vector is cast once it is full",
    "network.Network.views": "of that vector",
    "network.Slot.of": "the same",
    "layers.Dense.initialize": "the same, for the biases",
    "embeddings.MappedFeatures.initialize": "the same",
    "embeddings.Periodic.initialize": "the same",
    "ensembles.EnsembleHead.initialize": "the same",
    "ensembles.EnsembleInput.initialize": "the same",
    "ensembles.EnsembleLayer.initialize": "the same",
    "groups.GroupedDense.initialize": "the same",
    "groups.PairwiseHead.initialize": "the same",
    "kernels.bins_between": "edges are numbers of Python; their bins are remembered",
}
#: The functions that make such arrays in a prediction: means and inverse links are computed in
#: float64, so that probabilities add up to one and exp has room.
PREDICTION = {
    "links.Increasing.inverse",
    "links.Log.inverse",
    "links.Logit.inverse",
    "links.Logit.link",
    "links.Softmax.inverse",
    "links.Softmax.link",
    "objective.Members._before_mean",
    "objective.Members.predictions",
    "objective.Members.split",
}


@pytest.fixture(scope="module")
def noticed():
    """The set of functions of ``sknet.nn`` that have made an array of float64."""
    with noticing() as found:
        yield found


@pytest.fixture
def float64_arrays(noticed):
    noticed.clear()
    return noticed


def test_temporary_arrays_and_results_are_noticed(float64_arrays):
    """The yardstick: one array of float64 in an expression is enough."""
    w = np.zeros(3, np.float32)
    ElasticNet(0.1, 1.0).prox(w, np.ones(3, np.float32))
    ElasticNet(0.1).value(w)
    assert not float64_arrays
    # The threshold is a temporary array: w itself stays float32.
    ElasticNet(0.1, 1.0).prox(w, np.ones(3))
    assert w.dtype == np.float32
    assert float64_arrays == {"sets.ElasticNet.prox"}


@pytest.mark.usefixtures("without_temperature")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cls", [NNClassifier, NNRegressor])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_fit_and_a_prediction(cls, network, optimizer, float64_arrays):
    """From X to the prediction, float64 is where the two lists say."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    y = X[:, 0] if cls is NNRegressor else np.digitize(X[:, 0], [-0.5, 0.5])
    estimator = cls(
        (5,),
        solver=optimizer,
        alpha=0.01,
        l1_ratio=0.5,
        early_stopping=True,
        max_iter=2,
        dtype="float32",
        random_state=0,
        **NETWORKS[network],
    )
    estimator.fit(X, y, sample_weight=rng.uniform(1, 2, 40))
    assert float64_arrays - {"kernels.bins_between"}  # the initial parameters, at least
    assert float64_arrays <= set(START)
    float64_arrays.clear()
    getattr(estimator, "predict_proba", estimator.predict)(X)
    assert float64_arrays
    assert float64_arrays <= PREDICTION


TABLES = {
    "breast cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
}
#: The largest difference of a probability, or of a prediction divided by the deviation of y,
#: after equally many epochs. In eight fits of each table it was at most 1.3e-5.
TOLERANCE = 1e-3


@pytest.mark.parametrize("table", TABLES)
def test_float32_predicts_as_float64_does(table):
    """Default networks of both precisions agree to three digits after ten epochs.

    Early stopping is off: where two epochs are equally good, rounding may choose between them.
    """
    X, y = TABLES[table](return_X_y=True)
    cls = NNRegressor if table == "diabetes" else NNClassifier
    X, y = X[:400], y[:400] / y.std() if cls is NNRegressor else y[:400]
    narrow, wide = (
        cls(dtype=dtype, max_iter=10, early_stopping=False, random_state=0).fit(X, y)
        for dtype in ("float32", "float64")
    )
    method = "predict" if cls is NNRegressor else "predict_proba"
    expected = getattr(wide, method)(X)
    assert narrow._model.params.dtype == np.float32 and wide._model.params.dtype == np.float64
    assert expected.std() > 0.1
    assert_allclose(getattr(narrow, method)(X), expected, rtol=0, atol=TOLERANCE)
