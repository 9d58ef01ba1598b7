"""The weights of a plain network say it all: a few lines of C predict what it predicts."""

import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNClassifier, NNRegressor

COMPILER = next(filter(shutil.which, ["cc", "gcc", "clang"]), None)
SCRIPT = Path(__file__).parents[2] / "examples" / "network_in_c.py"
#: Without these, the network does more than multiply by its weights.
PLAIN = {"n_members": 1, "numeric_embedding": None, "n_components": 0, "standardize": False}
MAIN = """
#include <stdio.h>

int main(void) {{
    double row[{n_inputs}], out[{n_outputs}];
    for (;;) {{
        for (int j = 0; j < {n_inputs}; j++) if (scanf("%lf", row + j) != 1) return 0;
        predict(row, out);
        for (int j = 0; j < {n_outputs}; j++) printf("%.17g ", out[j]);
        printf("\\n");
    }}
}}
"""


@pytest.fixture(scope="module")
def c_source():
    return runpy.run_path(str(SCRIPT))["c_source"]


@pytest.fixture
def rows():
    """Return 300 rows of three columns in different units, and a function of them."""
    X = np.random.default_rng(0).normal([0, 50, -3], [1, 20, 0.1], (300, 3))
    X[:, 2] += X[:, 0] / 10
    return X, np.sin(X[:, 0]) + X[:, 1] / 20 + 10 * X[:, 2]


@pytest.fixture
def run(tmp_path):
    """Return a function that compiles C code and returns its outputs for rows."""
    if COMPILER is None:
        pytest.skip("needs a C compiler: cc, gcc or clang")

    def run(source, X, n_outputs):
        code, program = tmp_path / "network.c", tmp_path / "network"
        code.write_text(source + MAIN.format(n_inputs=X.shape[1], n_outputs=n_outputs))
        strict = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([COMPILER, *strict, code, "-o", program, "-lm"], check=True)
        numbers = "\n".join(" ".join(map(repr, row)) for row in X.tolist())
        printed = subprocess.check_output([program], input=numbers, text=True)
        return np.array(printed.split(), dtype=float).reshape(len(X), n_outputs)

    return run


@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
@pytest.mark.parametrize("hidden", [(5,), (16, 8), (6, 5, 4)], ids=str)
def test_regressor(c_source, run, rows, hidden, activation):
    """The caller undoes the scale of y, which TransformedTargetRegressor knows."""
    X, y = rows
    network = NNRegressor(hidden, activation, **PLAIN, max_iter=20, random_state=0)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), network), transformer=StandardScaler()
    ).fit(X, y)
    assert model.score(X, y) > 0.5
    out = run(c_source(*model.regressor_), X, 1)
    predicted = model.transformer_.inverse_transform(out)[:, 0]
    assert_allclose(predicted, model.predict(X), rtol=0, atol=1e-6 * y.std())


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier(c_source, run, rows, n_classes):
    """The temperature of early stopping is within the weights of the output layer."""
    X, score = rows
    y = np.searchsorted(np.quantile(score, np.arange(1, n_classes) / n_classes), score)
    network = NNClassifier((16, 8), **PLAIN, max_iter=20, random_state=0)
    model = make_pipeline(StandardScaler(), network).fit(X, y)
    assert network.history_["validation_loss"]
    out = run(c_source(*model), X, network.n_outputs_)
    probabilities = np.hstack([1 - out, out]) if n_classes == 2 else out
    assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-6)
    classes = model.classes_[probabilities.argmax(axis=1)]
    assert (classes == model.predict(X)).all()


@pytest.mark.parametrize(
    "option",
    [
        {"n_members": 2}, {"numeric_embedding": "piecewise_linear"}, {"n_components": 2},
        {"standardize": True}, {"normalization": "layer"}, {"monotonic_cst": [1, 0, 0]},
        {"interaction_cst": [{0}, {1, 2}]}, {"loss": "quantile"}, {"loss": "normal"},
        {"column_scales": True},
    ],
    ids=str,
)  # fmt: skip
def test_networks_that_do_more_than_their_weights_are_refused(c_source, rows, option):
    X, y = rows
    scaler = StandardScaler().fit(X)
    network = NNRegressor((5,), **{**PLAIN, **option}, max_iter=20, random_state=0)
    network.fit(scaler.transform(X), (y - y.mean()) / y.std())
    with pytest.raises(ValueError, match="more than"):
        c_source(scaler, network)
