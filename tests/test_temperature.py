"""Probabilities are calibrated by the rows that early stopping validates with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sknet import NNClassifier, NNRegressor
from sknet.streaming import fit_chunks

#: Networks that memorise their rows: the accuracy that is watched does not tell.
OPTIONS = {
    "hidden_layer_sizes": (40,),
    "alpha": 0.0,
    "dropout": 0.0,
    "scoring": "accuracy",
    "n_iter_no_change": np.inf,
    "max_iter": 60,
    "random_state": 0,
}


@pytest.fixture
def switch_off(request):
    """Return a function that switches temperatures off."""
    return lambda: request.getfixturevalue("without_temperature")


@pytest.fixture(params=[2, 3])
def rows(request):
    """Noisy rows of two or three classes, to train on and to validate with."""
    X, y = make_classification(
        400, 10, n_informative=5, n_classes=request.param, flip_y=0.4, random_state=0
    )
    return X[:200], y[:200], X[200:], y[200:]


FITS = {
    solver: lambda X, y, X_val, y_val, solver=solver: NNClassifier(
        **OPTIONS, solver=solver
    ).fit(X, y, X_val=X_val, y_val=y_val)
    for solver in ("adam", "lbfgs")
}


@pytest.mark.filterwarnings("ignore:Training ended after 60 iterations")
@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_the_loss_of_the_validation_rows_falls_and_the_classes_stay(fit, rows, switch_off):
    *_, X_val, y_val = rows
    network = fit(*rows)
    switch_off()
    before = fit(*rows)
    after, known = (log_loss(y_val, one.predict_proba(X_val)) for one in (network, before))
    assert after < known
    assert_allclose(known, before.history_["validation_loss"][before.best_iter_ - 1], rtol=1e-4)
    # The logits of a network without members are multiplied by one factor.
    if network.auto_params_["n_members"] == 1:
        assert_array_equal(network.predict(X_val), before.predict(X_val))


def test_one_factor_multiplies_the_logits(rows, switch_off):
    X, y, X_val, y_val = rows
    options = {**OPTIONS, "n_members": 1, "dtype": "float64"}
    logits = []
    for _ in range(2):
        network = NNClassifier(**options).fit(X, y, X_val=X_val, y_val=y_val)
        logits.append(network.decision_function(X))
        switch_off()
    factors = logits[0] / logits[1]
    assert_allclose(factors, factors.flat[0], rtol=1e-6)
    assert abs(factors.flat[0] - 1) > 0.01


def test_chunks_are_calibrated_like_a_table(switch_off):
    X, y = make_classification(600, 10, flip_y=0.4, random_state=0)
    fits = []
    for _ in range(2):
        network = NNClassifier(**{**OPTIONS, "scoring": "loss"}, learning_rate_init=0.1)
        fits.append(fit_chunks(network, [(X[:300], y[:300]), (X[300:], y[300:])]))
        switch_off()
    assert np.abs(fits[0].predict_proba(X) - fits[1].predict_proba(X)).max() > 1e-3


@pytest.mark.parametrize(
    "network",
    [
        NNClassifier((5,), early_stopping=False, max_iter=2, random_state=0),
        NNRegressor((5,), max_iter=2, random_state=0),
    ],
    ids=["no validation rows", "numbers"],
)
def test_nothing_changes_without_validation_rows_or_probabilities(network, rows, monkeypatch):
    monkeypatch.setattr("sknet._fitting.fit_factor", None)
    X, y, *_ = rows
    network.fit(X, y)
