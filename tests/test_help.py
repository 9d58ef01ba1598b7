"""What ``help``, a notebook's Shift-Tab and the reference show of the estimators."""

import inspect
import pydoc
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from test_architecture import documented

import sknet
from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet.distributed import DaskNNClassifier, DaskNNRegressor

LOCAL = [NNClassifier, NNMultiTarget, NNRegressor]
ESTIMATORS = [*LOCAL, DaskNNClassifier, DaskNNRegressor]
#: The parameters that matter most.
FIVE = ["hidden_layer_sizes", "activation", "n_members", "learning_rate_init", "max_iter"]
#: The groups of the other parameters, in order.
GROUPS = [
    "Network", "Training", "Stopping", "Regularization", "Table", "Constraints", "Output",
]  # fmt: skip
PAGE = Path(__file__).parents[1] / "docs" / "api" / "parameters.md"


def help_lines(cls):
    """Return the lines of ``help``, in which each signature is one line.

    Python 3.13 and later show each parameter of a long signature on a line of its own.
    """
    text = pydoc.plain(pydoc.render_doc(cls))
    return re.sub(r"\(\n(?: \|\s+[^\n]*,?\n)*? \|\s+\)", "(...)", text).splitlines()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_help_is_short(cls):
    lines = help_lines(cls)
    assert 200 < len(lines) <= 450
    text = "\n".join(lines)
    assert "numpy._typing" not in text
    assert "typing.Union" not in text


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_signatures_show_names_and_defaults(cls):
    signature = inspect.signature(cls)
    shown = str(signature)
    assert list(signature.parameters)[:5] == FIVE
    assert shown.startswith("(hidden_layer_sizes='auto', activation='silu', *, n_members=")
    assert ": " not in shown and "->" not in shown


@pytest.mark.parametrize("cls", LOCAL)
def test_the_first_screen_has_the_parameters_that_matter(cls):
    """Twenty lines of the docstring hold their names and what each of them sets."""
    screen = inspect.getdoc(cls).splitlines()[:20]
    documented = [line.split(" : ")[0] for line in screen if re.match(r"\w+ : ", line)]
    assert documented == FIVE
    assert screen[-1].startswith("    ")


def groups_of(cls):
    """Return the names of the groups in the docstring, each with its parameters."""
    parameters = []
    found = {"The five that matter most": parameters}
    for name, text in documented(cls, "Parameters").items():
        if heading := re.match(r".*\n    \*\*(\w+)\.\*\* [A-Z]", text):
            parameters = found[heading[1]] = []
        parameters.append(name)
    return found


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_parameters_are_in_groups(cls):
    groups = groups_of(cls)
    first, *others = groups
    assert groups[first] == FIVE
    assert others == GROUPS + ["Cluster"] * (cls not in LOCAL)
    assert sum(groups.values(), []) == list(inspect.signature(cls).parameters)


def test_the_page_of_parameters_has_the_same_groups():
    _, *parts = PAGE.read_text().split("\n## ")
    listed = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
    on_page = {part.splitlines()[0]: listed.findall(part) for part in parts}
    expected = {}
    for cls in ESTIMATORS:
        for name, parameters in groups_of(cls).items():
            known = expected.setdefault(name, [])
            known += [one for one in parameters if one not in known]
    assert list(on_page) == list(expected)
    for name, parameters in expected.items():
        assert sorted(on_page[name]) == sorted(parameters), name


@pytest.mark.parametrize("cls", LOCAL)
def test_the_page_of_attributes_names_each_of_them(cls):
    page = PAGE.with_name("attributes.md").read_text()
    names = ", ".join(documented(cls, "Attributes")).split(", ")
    assert len(names) > 15
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_requests_have_short_documents_and_work(cls):
    names = [name for name in dir(cls) if re.fullmatch("set_.*_request", name)]
    assert "set_fit_request" in names
    for name in names:
        assert len(getattr(cls, name).__doc__.splitlines()) == 1
        assert getattr(cls(), name).__doc__ == getattr(cls, name).__doc__
    with sklearn.config_context(enable_metadata_routing=True):
        network = cls().set_fit_request(sample_weight=True)
        requests = network.get_metadata_routing().fit.requests
    assert requests["sample_weight"] is True


class Own(NNRegressor):
    """A class of a user, with an argument of its own."""

    def fit(self, X, y, sample_weight=None, *, color=None, **options):
        """Fit."""
        return super().fit(X, y, sample_weight, **options)


def test_requests_of_a_subclass():
    assert Own.set_fit_request.__doc__ == NNRegressor.set_fit_request.__doc__
    with sklearn.config_context(enable_metadata_routing=True):
        requests = Own().set_fit_request(color=True).get_metadata_routing().fit.requests
    assert requests["color"] is True


def parameters(method):
    return [*inspect.signature(method).parameters.values()]


def test_methods_of_scikit_learn_do_what_they_did():
    """They have short documents here; the parameters and the results are scikit-learn's."""
    base = sklearn.base.BaseEstimator
    for name in ("get_params", "set_params", "get_metadata_routing"):
        ours, theirs = getattr(NNRegressor, name), getattr(base, name)
        # By name, kind and default; scikit-learn has no annotations.
        plain = [one.replace(annotation=inspect.Parameter.empty) for one in parameters(ours)]
        assert plain == parameters(theirs)
        assert len(ours.__doc__.splitlines()) == 1 < len(theirs.__doc__.splitlines())
    network = NNRegressor()
    assert network.set_params(alpha=0.5) is network
    assert network.get_params()["alpha"] == 0.5
    assert network.get_params() == base.get_params(network)


def test_accuracy(binary):
    X, y = binary
    network = NNClassifier((4,), max_iter=3, random_state=0).fit(X, y)
    weights = np.arange(1.0, len(y) + 1)
    right = network.predict(X) == y
    assert network.score(X, y) == right.mean()
    assert network.score(X, y, weights) == pytest.approx(np.average(right, weights=weights))


def test_all_estimators_are_here():
    assert set(LOCAL) == {getattr(sknet, name) for name in sknet.__all__ if "NN" in name}
