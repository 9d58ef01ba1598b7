"""Time training steps and predictions, side by side with scikit-learn and PyTorch.

    python benchmarks/speed.py [--rounds 5] [--only tiny,default,…] [--dtype float64]

Each fit runs in its own process, since the idle threads of one library's pool would compete
with those of another. The libraries take turns for several rounds. In the workloads of
``TRAINING``, the script checks that all do equal work: the same number of updates on batches of
the same size, and for sknet, a final loss of at most 1.25 times scikit-learn's. PyTorch takes
part only in these workloads, if it is installed (extra ``bench``).
"""

import argparse
import json
import statistics
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from workers import PLAIN, run_worker


@dataclass(frozen=True)
class Workload:
    """Rows, columns, hidden layers, batch size, epochs and classes (0: regression)."""

    n: int
    d: int
    hidden: tuple[int, ...]
    batch: int
    epochs: int
    classes: int = 0
    options: tuple[tuple[str, object], ...] = ()
    density: float = 1.0

    @property
    def updates(self):
        """Steps of a whole fit."""
        return self.epochs * -(-self.n // self.batch)


TRAINING = {
    "tiny": Workload(100, 10, (10,), 10, 500),
    "default": Workload(10_000, 20, (100,), 200, 60),
    "digits": Workload(1797, 64, (100,), 200, 200, classes=10),
    "small": Workload(5000, 30, (64, 64), 32, 25),
    "medium": Workload(20_000, 50, (256, 256), 256, 10),
    "image": Workload(10_000, 784, (512, 512), 128, 6, classes=10),
    "large": Workload(20_000, 200, (1024, 1024), 1024, 4),
}
EXTRA = {
    "sparse": Workload(20_000, 5000, (100,), 200, 3, density=0.01),
    "members": Workload(10_000, 20, (256, 256), 200, 4, options=(("n_members", 8),)),
    "silu+dropout": Workload(
        10_000, 20, (256, 256), 200, 10, options=(("activation", "silu"), ("dropout", 0.1))
    ),
    "lbfgs": Workload(2000, 50, (100,), 2000, 100, options=(("solver", "lbfgs"),)),
}
PREDICTING = {
    "predict 100 000": Workload(100_000, 20, (100,), 200, 1),
    "predict 1": Workload(1, 20, (100,), 200, 1),
}
#: Predictions of a default network for one row of a frame, and only the inputs of its ONNX
#: model. The frame has nine columns: two are dates and three are categories.
SERVING = {"row of a frame": Workload(1, 9, (), 0, 0), "ONNX row": Workload(1, 9, (), 0, 0)}
WORKLOADS = {**TRAINING, **EXTRA, **PREDICTING, **SERVING}
#: Workloads of sknet alone, without a peer.
ALONE = {"members", "silu+dropout", *SERVING}


def make_data(workload, dtype, n=None):
    """Return standardized X and a y that a network can learn."""
    rng = np.random.default_rng(0)
    n = n or workload.n
    if workload.density < 1:
        from scipy import sparse

        X = sparse.random(
            n, workload.d, workload.density, format="csr", random_state=0, dtype=dtype
        )
    else:
        X = rng.standard_normal((n, workload.d)).astype(dtype)
    signal = (
        np.asarray(X[:, :5].sum(axis=1)).ravel()
        + np.tanh(np.asarray(X[:, :1].sum(axis=1))).ravel()
    )
    if workload.classes:
        edges = np.quantile(signal, np.linspace(0, 1, workload.classes + 1)[1:-1])
        return X, np.searchsorted(edges, signal)
    return X, ((signal - signal.mean()) / signal.std()).astype(dtype)


def make_sknet(workload):
    from sknet import NNClassifier, NNRegressor

    cls = NNClassifier if workload.classes else NNRegressor
    options = {
        "hidden_layer_sizes": workload.hidden,
        "batch_size": workload.batch,
        "max_iter": workload.epochs,
        "standardize": False,
        "alpha": 1e-4 / workload.batch,
        **dict(workload.options),
    }
    return cls(**{**PLAIN, **options})


def make_sklearn(workload):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    cls = MLPClassifier if workload.classes else MLPRegressor
    return cls(
        hidden_layer_sizes=workload.hidden,
        batch_size=workload.batch,
        max_iter=workload.epochs,
        n_iter_no_change=np.inf,
        random_state=0,
        **dict(workload.options),
    )


def fit_torch(workload, X, y):
    """Train the same network in PyTorch; return the mean loss of the last epoch.

    Also return the number of updates.
    """
    import torch

    X = torch.from_numpy(X)
    y = torch.from_numpy(y if workload.classes else y[:, np.newaxis])
    widths = [workload.d, *workload.hidden, workload.classes or 1]
    layers = []
    for i in range(len(widths) - 1):
        layers += [torch.nn.Linear(widths[i], widths[i + 1], dtype=X.dtype), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    criterion = torch.nn.CrossEntropyLoss() if workload.classes else torch.nn.MSELoss()
    updates = 0
    for _ in range(workload.epochs):
        total = 0.0
        for rows in torch.randperm(len(X)).split(workload.batch):
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(network(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            updates += 1
    return total / len(X) / (1 if workload.classes else 2), updates


def measure_fit(peer, workload, dtype):
    """Return the seconds per step, the last loss and the number of updates."""
    warnings.simplefilter("ignore")
    X, y = make_data(workload, dtype)
    if peer == "torch":
        fit_torch(Workload(**{**vars(workload), "epochs": 1}), X, y)
        start = time.perf_counter()
        loss, updates = fit_torch(workload, X, y)
        return (time.perf_counter() - start) / updates, loss, updates
    make = make_sknet if peer.startswith("sknet") else make_sklearn
    make(workload).set_params(max_iter=1).fit(X, y)
    model = make(workload)
    if peer == "sknet products":
        return share_of_products(model, X, y), float("nan"), 0
    start = time.perf_counter()
    model.fit(X, y)
    seconds = time.perf_counter() - start
    # L-BFGS may converge before it has made all iterations.
    updates = model.n_iter_ * -(-workload.n // workload.batch)
    return seconds / updates, float(model.loss_), updates


def share_of_products(model, X, y):
    """Return the share of matrix products in the time of sknet's fit, on one thread."""
    from threadpoolctl import threadpool_limits

    from sknet.nn import ensembles, kernels, layers

    in_products, product = [0.0], kernels.matmul

    def timed(x, w, out):
        start = time.perf_counter()
        result = product(x, w, out)
        in_products[0] += time.perf_counter() - start
        return result

    layers.matmul = ensembles.matmul = timed
    with threadpool_limits(1):
        start = time.perf_counter()
        model.fit(X, y)
        return in_products[0] / (time.perf_counter() - start)


def measure_predict(peer, workload, dtype):
    """Return the median time of a call in seconds."""
    warnings.simplefilter("ignore")
    model = (make_sknet if peer == "sknet" else make_sklearn)(workload)
    model.set_params(max_iter=1).fit(*make_data(workload, dtype, n=1000))
    X, _ = make_data(workload, dtype)
    n_times = max(5, 3000 // workload.n)
    return median_seconds(lambda: model.predict(X), n_times), 0.0, 0


def make_customers(n=600):
    """Return a frame of numbers, dates and categories, and labels."""
    rng = np.random.default_rng(0)
    seen = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), unit="s")
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 90, n).astype(float),
            "income": np.where(rng.random(n) < 0.2, np.nan, rng.lognormal(10, 1, n)),
            "visits": rng.integers(0, 9, n),
            "score": rng.normal(size=n),
            "since": seen,
            "seen": seen[::-1].tz_localize("UTC").tz_convert("Europe/Oslo"),
            "city": rng.choice(["Bergen", "Oslo", "Tromso"], n),
            "plan": pd.Categorical(rng.choice(["a", "b", "c"], n)),
            "shop": rng.choice([f"shop {i}" for i in range(40)], n),
        }
    )
    return X, (X["age"] > 60) | (X["city"] == "Oslo")


def measure_serving(name):
    """Return the median time in seconds of ``predict_proba`` or ``onnx_inputs`` for one row."""
    from sknet import NNClassifier

    warnings.simplefilter("ignore")
    X, y = make_customers()
    model, row = NNClassifier(max_iter=2, random_state=0).fit(X, y), X[3:4]
    if name == "row of a frame":
        return median_seconds(lambda: model.predict_proba(row)), 0.0, 0
    import onnxruntime

    from sknet.export import onnx_inputs, to_onnx

    session = onnxruntime.InferenceSession(to_onnx(model, X).SerializeToString())
    return median_seconds(lambda: onnx_inputs(session, row)), 0.0, 0


def median_seconds(call, n_times=1000):
    """Return the median time of a call in seconds."""
    call()
    seconds = []
    for _ in range(n_times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def work(peer, name, dtype):
    """Measure in this process, and print the result for the parent."""
    if name in SERVING:
        print(json.dumps(measure_serving(name)))
        return
    measure = measure_predict if name in PREDICTING else measure_fit
    print(json.dumps(measure(peer, WORKLOADS[name], np.dtype(dtype).type)))


def compare(name, peers, rounds, dtype):
    """Return all measurements of a workload by peer. The peers take turns."""
    results = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            results[peer].append(run_worker(__file__, peer, name, dtype))
    if name in TRAINING:
        check_equal_work(name, results)
    return results


def check_equal_work(name, results):
    """Raise if the peers made different numbers of updates, or sknet's last loss is high."""
    updates = {peer: measured[0][2] for peer, measured in results.items()}
    if len(set(updates.values())) > 1:
        raise AssertionError(f"{name}: unequal numbers of updates {updates}")
    losses = {peer: measured[0][1] for peer, measured in results.items()}
    if "sklearn" in losses and losses["sknet"] > 1.25 * losses["sklearn"] + 1e-3:
        raise AssertionError(f"{name}: sknet's last loss is too high: {losses}")


def line(name, results, share):
    """Return a line of the table (microseconds, ratios and their spread), and the ratios."""
    ours = [seconds for seconds, _, _ in results["sknet"]]
    cells = [f"{name:<16}", f"{1e6 * statistics.median(ours):>10.0f}"]
    ratios = {}
    for peer in ("sklearn", "torch"):
        if peer not in results:
            cells += [f"{'':>10}", f"{'':>20}"]
            continue
        theirs = [seconds for seconds, _, _ in results[peer]]
        by_round = [a / b for a, b in zip(ours, theirs, strict=True)]
        ratios[peer] = statistics.median(by_round)
        spread = f"{ratios[peer]:.2f} ({min(by_round):.2f}-{max(by_round):.2f})"
        cells += [f"{1e6 * statistics.median(theirs):>10.0f}", f"{spread:>20}"]
    cells.append("" if share is None else f"{1 - share:>10.0%}")
    return " ".join(cells), ratios


def has_torch():
    from importlib.util import find_spec

    return find_spec("torch") is not None


def peers_of(name, wanted):
    """Return the peers that take part in a workload, out of those that are wanted."""
    peers = ["sklearn"]
    if name in ALONE:
        peers = []
    elif name in TRAINING and has_torch():
        peers = ["sklearn", "torch"]
    return ["sknet", *(peer for peer in peers if peer in wanted)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names of workloads, separated by commas")
    parser.add_argument("--peers", default="sklearn,torch")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(*arguments.worker)
        return
    names = arguments.only.split(",") if arguments.only else list(WORKLOADS)
    print(
        f"{arguments.dtype} input, microseconds per step or call, medians of "
        f"{arguments.rounds} rounds; ratios are sknet's time divided by the peer's\n"
    )
    print(
        f"{'workload':<16} {'sknet':>10} {'sklearn':>10} {'ratio':>20} {'PyTorch':>10} "
        f"{'ratio':>20} {'not products':>12}"
    )
    all_ratios = {}
    for name in names:
        results = compare(
            name, peers_of(name, arguments.peers), arguments.rounds, arguments.dtype
        )
        share = (
            run_worker(__file__, "sknet products", name, arguments.dtype)[0]
            if name in TRAINING
            else None
        )
        text, ratios = line(name, results, share)
        print(text, flush=True)
        if name in TRAINING:
            for peer, ratio in ratios.items():
                all_ratios.setdefault(peer, []).append(ratio)
    for peer, ratios in all_ratios.items():
        print(f"geometric mean relative to {peer}: {statistics.geometric_mean(ratios):.3f}")


if __name__ == "__main__":
    main()
