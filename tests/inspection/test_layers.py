"""Hidden features, summaries, and what a notebook shows."""

import re
import sys

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import NNRegressor
from sknet._base import fitted
from sknet._summary import LayerSummary, Summary
from sknet.inspection import hidden_features, summary

KINDS = ["plain", "normalized", "periodic", "binned", "members", "all"]


def silu(z):
    return z / (1 + np.exp(-z))


# Hidden features.


def test_features_are_what_the_formulas_say(fit, numbers):
    network = fit("squared_error", standardize=False).estimator
    (W1, W2, W3), (b1, b2, b3) = network.coefs_, network.intercepts_
    first = silu(numbers @ W1 + b1)
    second = silu(first @ W2 + b2)
    assert_allclose(hidden_features(network, numbers, 0), first, atol=1e-14)
    assert_allclose(hidden_features(network, numbers), second, atol=1e-14)
    assert_array_equal(
        hidden_features(network, numbers, -2), hidden_features(network, numbers, 0)
    )
    predicted = (second @ W3 + b3)[:, 0]
    assert_allclose(network.predict(numbers), predicted)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_linear_in_the_last_features(kind, fit, numbers):
    network = fit("squared_error", kind).estimator
    n_members = network.n_members
    features = hidden_features(network, numbers)
    assert features.shape == (len(numbers), n_members * 8)
    W = network.coefs_[-1].reshape(n_members, 8)
    b = network.intercepts_[-1].reshape(n_members)
    members = np.einsum("nmi,mi->nm", features.reshape(-1, n_members, 8), W) + b
    target = fitted(network)[1].target
    predicted = members.mean(axis=1) * target.scale_ + target.mean_
    assert_allclose(network.predict(numbers), predicted)


def test_features_of_a_frame_keep_float32(fit, frame):
    network = fit("squared_error", X=frame, dtype="float32").estimator
    small = frame.astype({name: np.float32 for name in "abcde"})
    assert hidden_features(network, frame).dtype == np.float64
    assert hidden_features(network, small).dtype == np.float32


@pytest.mark.parametrize("layer", [2, -3, 0.0, "last", True, None])
def test_no_such_layer(layer, fit, numbers):
    with pytest.raises(ValueError, match="the number of a hidden layer, from -2 to 1, got"):
        hidden_features(fit().estimator, numbers, layer)


def test_no_hidden_layers(fit, numbers):
    match = "layer must be the number of a hidden layer; the network has none"
    with pytest.raises(ValueError, match=match):
        hidden_features(fit(kind="linear").estimator, numbers)


# Summaries.


@pytest.mark.parametrize("kind", ["linear", *KINDS])
def test_summary_counts_what_is_there(kind, fit, frame):
    network = fit("squared_error", kind, X=frame).estimator
    table = summary(network)
    params = fitted(network)[1].params
    assert table.n_params == sum(layer.n_params for layer in table) == params.size
    assert table.n_bytes == params.nbytes
    for layer in table:
        assert layer.n_params == sum(np.prod(shape) for shape in layer.shapes.values())
    assert table[-1].n_outputs == network.n_members


def test_summary_of_zeros(fit):
    network = fit("squared_error", alpha=0.05, l1_ratio=1).estimator
    table = summary(network)
    zeros = [float(np.mean(weight == 0)) for weight in network.coefs_]
    assert max(zeros) > 0.1
    assert [layer.sparsity for layer in table] == zeros
    sizes = [weight.size for weight in network.coefs_]
    assert table.sparsity == pytest.approx(np.average(zeros, weights=sizes))
    assert f"{zeros[0]:.1%}" in repr(table)


def test_summary_as_text_and_frame(fit):
    table = summary(fit("multiclass").estimator)
    title, card, layers = repr(table).split("\n\n")
    assert title == "NNClassifier: 5 columns, 5 inputs, 3 outputs, float64"
    assert card == repr(table.card)
    lines = layers.splitlines()
    assert len(lines) == len(table) + 4
    assert "dense silu" in lines[2] and "weight (5, 12)" in lines[2]
    frame = table.to_frame()
    assert frame["n_params"].tolist() == [72, 104, 27]
    assert frame["name"].tolist() == ["dense silu", "dense silu", "output, dense"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_summary_is_at_most_100_columns_wide(kind, fit, frame):
    """Names of layers and shapes that are longer than their columns are wrapped."""
    network = fit("squared_error", kind, X=frame).estimator
    table = summary(network)
    lines = repr(table).splitlines()
    assert max(map(len, lines)) <= 100
    shown = re.findall(r"\w+ \(\d+,[\d, ]*\)", repr(table))
    shapes = [shape for layer in table for shape in layer.shapes.values()]
    assert [text.partition(" ")[2] for text in shown] == list(map(str, shapes))


def test_long_names_and_large_numbers_are_100_columns_wide(fit):
    """A name is wrapped between words, and shapes between arrays."""
    card = summary(fit("squared_error").estimator).card
    name = "columns (level vectors, periodic waves)"
    shapes = {"0.frequency": (1000, 1600), "0.map": (1000, 1600, 15), "1.table": (10**6, 8)}
    layer = LayerSummary(name, 1_000_000, shapes, 99_999_999, 1.0, 1023 * 2**20)
    *_, layers = repr(Summary("wide", [layer], 1.0, card)).split("\n\n")
    lines = layers.splitlines()
    assert 90 < max(map(len, lines)) <= 100
    cells = [re.split(" {2,}", line.strip()) for line in lines[2:5]]
    assert (cells[0][0], cells[0][-1]) == ("columns (level vectors,", "frequency (1000, 1600),")
    assert cells[1:] == [["periodic waves)", "map (1000, 1600, 15),"], ["table (1000000, 8)"]]


def test_summary_without_pandas(fit, monkeypatch):
    table = summary(fit().estimator)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas: .* pip install pandas"):
        table.to_frame()


@pytest.mark.parametrize("look", [summary, lambda network: hidden_features(network, [[0.0]])])
def test_what_cannot_be_looked_at(look, numbers):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        look(NNRegressor())
    with pytest.raises(TypeError, match="must be a local sknet estimator"):
        look(LinearRegression().fit(numbers, numbers[:, 0]))
    with pytest.raises(TypeError, match="got the class NNRegressor itself instead of an inst"):
        look(NNRegressor)


# Notebooks.


def test_notebooks_show_the_layers_of_a_fitted_network(fit):
    network = fit("squared_error").estimator
    html = network._repr_html_()
    bundle = network._repr_mimebundle_()
    assert bundle["text/plain"] == repr(network)
    for shown in (html, bundle["text/html"]):
        assert "hidden_layer_sizes" in shown  # scikit-learn's parameters
        assert "3 layers, 185 parameters, 1.4 KiB" in shown
        assert "<td>weight (5, 12), bias (12,)</td>" in shown
        assert shown.count("<table") == shown.count("</table>")


def test_notebooks_show_an_unfitted_network_as_scikit_learn_does():
    html = NNRegressor(hidden_layer_sizes=(7,))._repr_html_()
    assert "NNRegressor" in html
    assert "sknet-summary" not in html


def test_notebooks_show_a_pipeline(fit, numbers):
    pipeline = make_pipeline(StandardScaler(), fit().estimator)
    assert "NNRegressor" in pipeline._repr_html_()


def test_text_display_is_respected(fit):
    network = fit().estimator
    with sklearn.config_context(display="text"):
        assert not hasattr(network, "_repr_html_")
        assert list(network._repr_mimebundle_()) == ["text/plain"]


def test_names_are_escaped(fit):
    table = summary(fit().estimator)
    table.title = "<b>"
    assert "&lt;b&gt;" in table._repr_html_()
