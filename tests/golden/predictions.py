"""Compare the predictions of many small fits before and after a change of the code.

The script fits a fixed list of small networks and computes one hash of each: of everything that
the network predicts, of its weights, and of the record of its training. A change that
should keep all predictions to the last bit must keep all hashes. In a clone of this repository,
with the packages of the extra ``test`` installed:

    git stash                                              # or check out the state before
    python tests/golden/predictions.py write before.json
    git stash pop                                          # or check out the state after
    python tests/golden/predictions.py compare before.json

``compare`` prints the name of each case that changed, is missing or raised an exception. It
exits with 1 if there are any, else with 0. ``--only TEXT`` restricts both commands to the cases
with this text in their name; ``--no-dask`` leaves out the fits on a Dask cluster. With
``PYTHONPATH=.`` the script imports the package of the clone, if that is not installed as
editable.

The hashes are bound to one machine and one set of packages, because the last bits of a matrix
product depend on the processor and on the version of BLAS. Write and compare on the same ones.
For the same reason the hashes are not kept in the repository, and no test compares with them.

The cases use the public interface of sknet only, so that they outlive changes inside of it.
"""

import argparse
import hashlib
import json
import pickle
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sknet import NNClassifier, NNMultiTarget, NNRegressor
from sknet.callbacks import Checkpoint
from sknet.export import onnx_inputs, to_onnx
from sknet.inspection import hidden_features, input_gradients, integrated_gradients, summary
from sknet.nn.activations import Softplus
from sknet.nn.losses import Loss
from sknet.nn.optimizers import Adam
from sknet.nn.schedules import OneCycle
from sknet.pretraining import pretrain
from sknet.streaming import RowBlocks, fit_chunks, read_chunks, shuffle_chunks

# The tables.

N_ROWS = 160


@cache
def numbers(n_rows=N_ROWS):
    """Return five columns of numbers, with missing values in the last."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 5)) * [1, 10, 1, 0.1, 1] + [0, 0, 1000, 0, 0]
    X[::9, 4] = np.nan
    return X


@cache
def frame(n_rows=N_ROWS):
    """Return a frame with numbers, missing values, few levels, and too many to be one-hot."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "size": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)),
            "color": pd.Categorical(rng.choice(["blue", "green", "red"], n_rows)),
            "maker": rng.choice([f"m{i:02d}" for i in range(30)], n_rows),
            "place": rng.choice(["hill", "lake", None], n_rows),
            "age": rng.integers(0, 90, n_rows),
        }
    )


def frame_numbers():
    """Return the columns of the frame that are numbers."""
    return frame()[["size", "age"]]


def level_numbers():
    """Return an array whose first column holds the numbers of levels."""
    return np.column_stack([np.arange(N_ROWS) % 7, numbers()])


@cache
def target(n_rows=N_ROWS):
    """Return numbers that depend on the columns of both tables."""
    X, rows = numbers(n_rows), frame(n_rows)
    is_red = (rows["color"] == "red").to_numpy()
    return X[:, 0] + np.abs(X[:, 3]) + is_red + rows["age"].to_numpy() / 45


def positive(n_rows=N_ROWS):
    """Return targets above zero."""
    return np.exp(target(n_rows) / 2)


def binary(n_rows=N_ROWS):
    """Return two classes."""
    return np.where(target(n_rows) > 1.5, "yes", "no")


def classes(n_rows=N_ROWS):
    """Return three classes of different sizes."""
    return np.array(["ash", "beech", "cedar"])[np.digitize(target(n_rows), [1, 2.5])]


def grades(n_rows=N_ROWS):
    """Return four classes that have an order."""
    return np.digitize(target(n_rows), [0.5, 1.5, 2.5])


def columns(n_rows=N_ROWS):
    """Return two columns of targets in different units."""
    return np.column_stack([target(n_rows), 100 * numbers(n_rows)[:, 1]])


def labels(n_rows=N_ROWS):
    """Return three columns of labels, which do not exclude each other."""
    y, X = target(n_rows), numbers(n_rows)
    return np.column_stack([y > 1, y > 2, X[:, 0] > 0]).astype(int)


def weights(n_rows=N_ROWS):
    """Return weights, some of them zero."""
    return np.random.default_rng(2).integers(0, 4, n_rows).astype(float)


def sparse_rows():
    """Return a sparse matrix."""
    return sparse.random(N_ROWS, 30, density=0.2, format="csr", random_state=3)


# The estimators: short fits, with every other option at its default.

BRIEF = {"max_iter": 4, "n_iter_no_change": np.inf, "random_state": 0}
PLAIN = {"dropout": 0.0, "ema_decay": None, "n_members": 1, "numeric_embedding": None}


def regressor(**options):
    """Return a small regressor, with batches of 32 rows unless the solver has none."""
    batches = {} if options.get("solver") == "lbfgs" else {"batch_size": 32}
    return NNRegressor(**{"hidden_layer_sizes": (6,), **batches, **BRIEF, **options})


def classifier(**options):
    """Return a small classifier, with batches of 32 rows unless the solver has none."""
    batches = {} if options.get("solver") == "lbfgs" else {"batch_size": 32}
    return NNClassifier(**{"hidden_layer_sizes": (6,), **batches, **BRIEF, **options})


@dataclass(frozen=True)
class LogCosh(Loss):
    """l = log cosh(raw - y), summed over outputs: a loss that sknet does not have."""

    def pointwise(self, y, raw, gradient_out):
        """Return l per row; write dl/draw into ``gradient_out``."""
        error = raw - y
        np.tanh(error, out=gradient_out)
        return (np.logaddexp(error, -error) - np.log(2)).sum(axis=1)


def outputs(estimator, X):
    """Return everything that a fitted network predicts, its weights and its record."""
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    said = [getattr(estimator, one)(X) for one in methods if hasattr(estimator, one)]
    if estimator.member_scales_ or getattr(estimator, "loss", None) == "normal":
        with_std = getattr(estimator, "predict_proba", estimator.predict)
        said += with_std(X, return_std=True)
    history = {k: v for k, v in estimator.history_.items() if k != "seconds"}
    counts = (estimator.n_iter_, estimator.best_iter_, int(estimator.t_), estimator.n_outputs_)
    arrays = [*estimator.coefs_, *estimator.intercepts_, *estimator.member_scales_]
    return [*said, *arrays, estimator.encoded_feature_names_, history, counts]


# The cases, by name: functions without arguments that return a list of outputs.

CASES = {}


def fit_case(name, estimator, X=numbers, y=target, **fit_options):
    """Add the case of one fit of a table, which the functions X and y make."""

    def run():
        network = clone(estimator).fit(X(), y(), **fit_options)
        return outputs(network, X())

    CASES[name] = run


def case(function):
    """Add a function as a case, by its name."""
    CASES[function.__name__.replace("_", " ")] = function
    return function


def large(function):
    """Return a function that makes a table of so many rows that float32 is the default."""
    return lambda: function(1100)


def few(function):
    """Return a function that makes a table of too few rows to hold any out."""
    return lambda: function(60)


EVERY_ACTIVATION = (
    "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "gelu",
    "mish", "softplus",
)  # fmt: skip

# Pure defaults: one fit where rows are held out, and one of too few rows for that.
fit_case("defaults, regressor", NNRegressor(random_state=0), few(numbers), few(target))
fit_case("defaults, classifier", NNClassifier(random_state=0), few(numbers), few(classes))
fit_case("defaults, regressor, frame", NNRegressor(random_state=0), frame)
fit_case("defaults, classifier, frame", NNClassifier(random_state=0), frame, binary)
fit_case("defaults, large frame", NNRegressor(random_state=0), large(frame), large(target))

# Tables.
fit_case("pandas, regressor", regressor(), frame)
fit_case("pandas, classifier", classifier(), frame, classes)
fit_case("polars", regressor(), lambda: pl.from_pandas(frame()))
fit_case("large frame", classifier(), large(frame), large(binary))
fit_case("categorical_features, names", regressor(categorical_features=["age"]), frame_numbers)
fit_case("categorical_features, indices", regressor(categorical_features=[0]), level_numbers)
fit_case("float32", regressor(), lambda: numbers().astype(np.float32))
fit_case("dtype=float32", classifier(dtype="float32"), frame, binary)
fit_case("sparse, regressor", regressor(), sparse_rows)
fit_case("sparse, classifier", classifier(n_members=1, dropout=0.2), sparse_rows, classes)
fit_case("standardize=False", regressor(standardize=False), lambda: numbers()[:, :2])
fit_case("one row, regressor", regressor(), lambda: numbers()[:1], lambda: target()[:1])
fit_case("one row, classifier", classifier(), lambda: numbers()[:1], lambda: binary()[:1])
fit_case("wide", regressor(), lambda: np.tile(numbers(), 12))

# Targets.
fit_case("binary", classifier(), y=binary)
fit_case("multiclass", classifier(), y=classes)
fit_case("multilabel", classifier(), y=labels)
fit_case("multioutput", regressor(), y=columns)

# Solvers and schedules.
for solver in ["sgd", "adam", "adamw", "rmsprop"]:
    fit_case(f"solver={solver}", regressor(solver=solver))
fit_case("no Nesterov", classifier(solver="sgd", nesterovs_momentum=False), y=binary)
fit_case("solver=Adam(beta_1=0.8)", regressor(solver=Adam(beta_1=0.8)))
fit_case("solver=lbfgs", regressor(solver="lbfgs", early_stopping=False))
fit_case("lbfgs, early stopping", classifier(solver="lbfgs", early_stopping=True), y=classes)
fit_case("lbfgs, L1", regressor(solver="lbfgs", alpha=0.05, l1_ratio=0.5), frame)
for schedule in ["constant", "invscaling", "cosine", "one_cycle", "coslog"]:
    fit_case(f"learning_rate={schedule}", classifier(learning_rate=schedule), y=binary)
fit_case("learning_rate=OneCycle(warm_up=0.5)", regressor(learning_rate=OneCycle(warm_up=0.5)))
fit_case(
    "learning_rate=adaptive",
    regressor(
        learning_rate="adaptive", solver="sgd", learning_rate_init=0.3, tol=0.2,
        n_iter_no_change=1, max_iter=20,
    ),
)  # fmt: skip

# Losses.
REGRESSION = ["squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"]
for loss in [*REGRESSION, "tweedie", "normal"]:
    fit_case(f"loss={loss}", regressor(loss=loss), y=positive)
    fit_case(f"loss={loss}, members", regressor(loss=loss, n_members=2), y=positive)
fit_case("loss=ordinal", classifier(loss="ordinal"), y=grades)
fit_case("loss=ordinal, members", classifier(loss="ordinal", n_members=4), y=grades)
fit_case("list of quantiles", regressor(loss="quantile", quantile=[0.1, 0.5, 0.9]))
fit_case("quantiles, members", regressor(loss="quantile", quantile=[0.1, 0.9], n_members=3))
fit_case("loss=LogCosh()", regressor(loss=LogCosh()), y=columns)

# Networks.
fit_case("activations", regressor(hidden_layer_sizes=[3] * 11, activation=EVERY_ACTIVATION))
fit_case("activation=Softplus()", classifier(activation=Softplus()), y=classes)
fit_case("linear", regressor(hidden_layer_sizes=()))
for embedding in ["periodic", "piecewise_linear", None]:
    fit_case(f"numeric_embedding={embedding}", regressor(numeric_embedding=embedding), frame)
    options = {"numeric_embedding": embedding, "n_members": 4}
    fit_case(f"numeric_embedding={embedding}, members", classifier(**options), frame, classes)
for n_members in [1, 2, 4]:
    options = {"n_members": n_members, "hidden_layer_sizes": (6, 5)}
    fit_case(f"n_members={n_members}, regressor", regressor(**options), y=columns)
    fit_case(f"n_members={n_members}, classifier", classifier(**options), y=binary)
fit_case("normalization", regressor(hidden_layer_sizes=(6, 5), normalization="layer"))
fit_case("normalization, members", classifier(normalization="layer", n_members=2), y=binary)

# Regularization.
fit_case("dropout=0", regressor(dropout=0.0))
fit_case("dropout=auto", regressor(dropout="auto"))
fit_case("dropout by layer", regressor(hidden_layer_sizes=(6, 5), dropout=[0.5, 0.1]))
fit_case("L1", regressor(alpha=0.05, l1_ratio=1.0))
fit_case("L1, sgd", classifier(solver="sgd", alpha=0.05, l1_ratio=0.5), frame, binary)
fit_case("ema_decay=None", regressor(ema_decay=None))
fit_case("ema_decay=0.5", regressor(ema_decay=0.5))
fit_case("label_smoothing", classifier(label_smoothing=0.2), y=classes)
fit_case("label_smoothing, labels", classifier(label_smoothing=0.2), y=labels)
fit_case("input_noise", regressor(input_noise=0.1), frame)
fit_case("mixup", classifier(mixup=0.3), frame, classes)
fit_case("plain", regressor(**PLAIN, early_stopping=False))
fit_case("not shuffled", regressor(shuffle=False))

# Weights, and the rows that early stopping watches.
fit_case("sample_weight, regressor", regressor(), sample_weight=weights())
fit_case("sample_weight, classifier", classifier(), y=classes, sample_weight=weights())
fit_case("sample_weight, lbfgs", regressor(solver="lbfgs"), frame, sample_weight=weights())
fit_case("class_weight, dict", classifier(class_weight={"yes": 3, "no": 0.5}), y=binary)
fit_case("class_weight=balanced", classifier(class_weight="balanced"), y=classes)
fit_case(
    "class_weight=balanced, sample_weight",
    classifier(class_weight="balanced"), frame, binary, sample_weight=weights(),
)  # fmt: skip
for scoring in ["loss", "r2", "neg_mean_absolute_error"]:
    fit_case(f"scoring={scoring}", regressor(scoring=scoring, early_stopping=True), frame)
for scoring in ["accuracy", "roc_auc", "neg_log_loss"]:
    fit_case(f"scoring={scoring}", classifier(scoring=scoring), frame, binary)
fit_case(
    "patience",
    regressor(early_stopping=True, n_iter_no_change=2, max_iter=60, learning_rate="constant"),
)
HELD_OUT = {"X_val": numbers(300)[200:], "y_val": target(300)[200:]}
fit_case("X_val", regressor(), **HELD_OUT)
fit_case("X_val, scorer", regressor(scoring="r2"), **HELD_OUT)
fit_case(
    "X_val, weights",
    classifier(scoring="accuracy"), frame, binary, sample_weight=weights(),
    X_val=frame(300)[200:], y_val=binary(300)[200:], sample_weight_val=weights(100),
)  # fmt: skip


# Fits that go on.


@case
def partial_fit_regressor():
    """Three passes over rows whose mean drifts."""
    network = regressor()
    for start in range(0, 150, 50):
        rows = slice(start, start + 50)
        network.partial_fit(frame()[rows], target()[rows] + start, weights()[rows])
    return outputs(network, frame())


@case
def partial_fit_classifier():
    """Three passes, the first of which lacks a class."""
    network = classifier(n_members=2)
    for start in range(0, 150, 50):
        rows = slice(start, start + 50)
        network.partial_fit(numbers()[rows], classes()[rows], classes=np.unique(classes()))
    return outputs(network, numbers())


@case
def partial_fit_after_pickle():
    """A pass before and a pass after the network was saved."""
    network = regressor(solver="sgd").partial_fit(numbers(), target())
    network = pickle.loads(pickle.dumps(network))
    return outputs(network.partial_fit(numbers(), target()), numbers())


@case
def warm_start():
    """A second fit, of other rows, from the parameters of the first."""
    network = regressor(warm_start=True).fit(frame(), target())
    first = outputs(network, frame())
    return first + outputs(network.fit(frame()[20:], target()[20:]), frame())


@case
def warm_start_lbfgs():
    """A second fit with lbfgs."""
    network = classifier(solver="lbfgs", warm_start=True).fit(numbers(), binary())
    return outputs(network.fit(numbers(), binary()), numbers())


def resumed(network, X, y):
    """Return the outputs of a fit that goes on from its third epoch."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.joblib"
        network.set_callbacks(Checkpoint(path, every=3)).fit(X, y)
        network.set_callbacks().fit(X, y, resume_from=path)
    return outputs(network, X)


@case
def resume_regressor():
    """A fit from a checkpoint."""
    return resumed(regressor(max_iter=5), frame(), target())


@case
def resume_classifier():
    """A fit from a checkpoint, with early stopping by a scorer."""
    return resumed(classifier(max_iter=5, scoring="accuracy"), numbers(), classes())


@case
def random_state_of_its_own():
    """A generator that two fits draw from, one after the other."""
    network = regressor(random_state=np.random.RandomState(7)).fit(numbers(), target())
    return outputs(network.fit(numbers(), target()), numbers())


# Tables that are read piece by piece.


def chunks(X, y):
    """Return a table in chunks of 40 rows."""
    return [(X[i : i + 40], y[i : i + 40]) for i in range(0, N_ROWS, 40)]


@case
def fit_chunks_regressor():
    """Chunks of a frame."""
    return outputs(fit_chunks(regressor(), chunks(frame(), target())), frame())


@case
def fit_chunks_classifier():
    """Weighted chunks of an array, with class weights and early stopping."""
    parts = [(*one, weights()[:40]) for one in chunks(numbers(), classes())]
    network = classifier(early_stopping=True, class_weight={"ash": 2, "beech": 1, "cedar": 1})
    return outputs(fit_chunks(network, parts, shuffle_window=2), numbers())


@case
def fit_chunks_of_a_file():
    """Chunks of a CSV file, for many epochs and for one pass each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        frame().assign(y=target()).to_csv(path, index=False)
        parts = read_chunks(path, target="y", chunk_size=50)
        X, _ = next(iter(parts))
        whole = fit_chunks(regressor(), parts)
        passes = regressor()
        for part in shuffle_chunks(parts, window=2, random_state=0):
            passes.partial_fit(*part)
    return outputs(whole, X) + outputs(passes, X)


@case
def row_blocks_regressor():
    """Blocks of rows, half of them in memory at a time."""
    blocks = RowBlocks(numbers(), block_rows=20, window_rows=80)
    return outputs(regressor().fit(blocks, target()), blocks)


@case
def row_blocks_classifier():
    """A data set of h5py, with weights and a scorer."""
    with tempfile.TemporaryDirectory() as folder:
        with h5py.File(Path(folder) / "X.h5", "w") as file:
            X = file.create_dataset("X", data=numbers().astype(np.float32), chunks=(30, 5))
            network = classifier(scoring="accuracy", early_stopping=True)
            return outputs(network.fit(X, binary(), weights()), X)


@case
def tables_too_large_to_be_kept():
    """Rows that are encoded anew in each epoch, from an array and from blocks."""
    X = np.random.default_rng(0).random((20_000, 430), dtype=np.float32)
    options = {**PLAIN, "batch_size": 500, "max_iter": 1, "early_stopping": False}
    networks = [
        regressor(**options).fit(table, X[:, 0])
        for table in [X, RowBlocks(X, block_rows=1000, window_rows=4000)]
    ]
    return [one for network in networks for one in outputs(network, X[:50])]


# Whole distributions, several targets, and fits that start from another network.


def tilted(y):
    """Return positive targets of which many are zero."""
    return np.where(target() < 1, 0.0, y)


@case
def distributions():
    """Quantiles, probabilities and samples of each loss that has them."""
    losses = {
        "normal": target(),
        "quantile": target(),
        "poisson": np.round(positive()),
        "gamma": positive(),
        "tweedie": tilted(positive()),
    }
    found = []
    for loss, y in losses.items():
        options = {"quantile": [0.1, 0.5, 0.9]} if loss == "quantile" else {}
        network = regressor(loss=loss, **options).fit(frame(), y)
        found += [
            network.predict_quantiles(frame(), [0.05, 0.5, 0.8]),
            network.predict_cdf(frame(), y),
            network.sample(frame(), 3, random_state=0),
        ]
    return found


def several():
    """Return targets of both kinds, some of them missing."""
    size = pd.Series(target()).mask(np.arange(N_ROWS) % 5 == 0)
    return pd.DataFrame({"size": size, "tree": classes(), "grade": grades()})


def multi_target(**options):
    """Return a small network for several targets."""
    kinds = {"size": "regression", "tree": "classification", "grade": "classification"}
    return NNMultiTarget((6,), targets=kinds, batch_size=32, **BRIEF, **options)


def outputs_of_several(network):
    """Return what a fitted network of several targets predicts, and its weights."""
    predicted = network.predict(frame())
    return [
        *(predicted[name].to_numpy() for name in predicted),
        *network.predict_proba(frame()).values(),
        *network.coefs_,
        list(network.target_weights_.values()),
    ]


@case
def several_targets():
    """Numbers and classes, with learned weights and with given ones."""
    networks = [
        multi_target(),
        multi_target(n_members=2, solver="lbfgs").set_params(batch_size="auto"),
    ]
    return [
        one
        for network in networks
        for one in outputs_of_several(network.fit(frame(), several()))
    ]


@case
def columns_of_classes():
    """Several columns of classes, which a classifier takes."""
    y = np.column_stack([classes(), binary()])
    network = classifier().fit(frame(), y)
    return [network.predict(frame()), *network.predict_proba(frame()), *network.coefs_]


@case
def starts():
    """Fits that start from a pre-trained network, and from a fitted one with frozen layers."""
    pretrained = pretrain(classifier(), frame())
    first = classifier(hidden_rate_factor=0.3).fit(frame(), classes(), init=pretrained)
    second = classifier(frozen_layers=1).fit(frame(), binary(), init=first)
    return outputs(first, frame()) + outputs(second, frame())


# Outside of estimators.


def fitted_pair():
    """Return a regressor and a classifier that know all kinds of columns."""
    return [
        regressor(numeric_embedding="piecewise_linear").fit(frame(), target()),
        classifier(normalization="layer").fit(frame(), classes()),
    ]


@case
def attributions():
    """Gradients and integrated gradients."""
    kinds = [input_gradients, integrated_gradients]
    return [kind(network, frame()[:20]) for network in fitted_pair() for kind in kinds]


def table_of_layers(network):
    """Return the text of a summary without the card, which names the version of sknet."""
    return str(summary(network)).rpartition("\n\n")[2]


@case
def hidden_features_and_summary():
    """Activations of the last hidden layer, and the table of all layers."""
    return [
        said
        for network in fitted_pair()
        for said in [hidden_features(network, frame()), table_of_layers(network), repr(network)]
    ]


@case
def onnx_graph():
    """The nodes and constants of the exported graphs, without the version of sknet."""
    graphs = [to_onnx(network).graph for network in fitted_pair()]
    return [graph.SerializeToString(deterministic=True) for graph in graphs]


@case
def onnx_predictions():
    """What a runtime predicts with the exported graphs."""
    predictions = []
    for network in fitted_pair():
        session = onnxruntime.InferenceSession(
            to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        predictions += session.run(None, onnx_inputs(session, frame()))
    return predictions


# Fits on a cluster.

DASK_CASES = {}


def dask_case(name, kind, n_shards, X, y, **options):
    """Add the case of a fit of partitions of 40 rows on a cluster of threads."""
    options = {"hidden_layer_sizes": (6,), "batch_size": 10, **BRIEF, **options}

    def run():
        # Dask is imported here, because it takes longer than all that --no-dask runs first.
        import dask.array as da
        import dask.dataframe as dd
        from distributed import Client

        from sknet import distributed

        def partitioned(table):
            if isinstance(table, pd.DataFrame | pd.Series):
                return dd.from_pandas(table, npartitions=4)
            return da.from_array(table, chunks=(40, *table.shape[1:]))

        with Client(
            processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as client:
            estimator = getattr(distributed, kind)(
                n_shards=n_shards, local_steps=2, client=client, **options
            )
            estimator.fit(partitioned(X()), partitioned(y()))
        return outputs(estimator.to_local(), X())

    DASK_CASES[name] = run


def partitioned_classes():
    """Return two classes as a series, which is partitioned as a frame is."""
    return pd.Series(binary())


for n_shards in [1, 2]:
    name = f"dask, {n_shards} shards"
    dask_case(f"{name}, array", "DaskNNRegressor", n_shards, numbers, target)
    dask_case(f"{name}, frame", "DaskNNClassifier", n_shards, frame, partitioned_classes)


# The tool.


def hash_of(values):
    """Return a hash of arrays, bytes, and plain values such as dicts of numbers."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype != object:
            digest.update(f"{value.dtype} {value.shape}".encode())
            digest.update(value.tobytes())
        elif isinstance(value, bytes):
            digest.update(value)
        else:
            plain = value.tolist() if isinstance(value, np.ndarray) else value
            digest.update(repr(plain).encode())
    return digest.hexdigest()


def result_of(run):
    """Return the hash of a case, or the exception that it raised."""
    try:
        # The fits are too short to converge.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return hash_of(run())
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


def results_of(cases):
    """Return the results of cases by name, computed with one thread of BLAS."""
    with threadpool_limits(1, user_api="blas"):
        return {name: result_of(run) for name, run in cases.items()}


def differences(before, after):
    """Return a line for each case that is not the same, or that raised, by its name."""
    told = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, "missing"), after.get(name, "missing")
        if old != new:
            told.append(f"{name}: {old[:60]} before, {new[:60]} after")
        elif new.startswith("raised"):
            told.append(f"{name}: {new}")
    return told


def chosen_cases(text, with_dask):
    """Return the cases with a text in their name."""
    cases = {**CASES, **DASK_CASES} if with_dask else CASES
    return {name: run for name, run in cases.items() if text in name}


def parsed(arguments):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["write", "compare"])
    parser.add_argument("file", type=Path, help="hashes by case, as JSON")
    parser.add_argument("--only", default="", help="text in the names of the cases to run")
    parser.add_argument("--no-dask", action="store_true", help="leave out the Dask cluster")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Write hashes or compare with them; return the number that the process exits with."""
    options = parsed(arguments)
    after = results_of(chosen_cases(options.only, not options.no_dask))
    if options.command == "write":
        options.file.write_text(json.dumps(after, indent=1) + "\n")
        before = after
    else:
        left_out = {*CASES, *DASK_CASES} - {*after}
        known = json.loads(options.file.read_text())
        before = {name: result for name, result in known.items() if name not in left_out}
    told = differences(before, after)
    print(*told, f"{len(after)} cases, {len(told)} to look at", sep="\n")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
