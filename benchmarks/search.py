"""Compare what a random search gains: sknet, LightGBM and CatBoost on real tables.

    python benchmarks/search.py FOLDER [--draws 20] [--models sknet,LightGBM] [--out search.csv]
    python benchmarks/search.py --out search.csv

FOLDER, the split into training and test rows, and the scores are those of ``accuracy.py``, with
one split. A fifth of the training rows (stratified for classes) is held out. The first draw is
the default setting, and the others are random. Each draw is fitted to the rest of the training
rows, and judged by its loss on the held-out rows (log loss, or the root mean squared error).
The boosted trees also use the held-out rows to stop. Whenever a draw is the best so far, it is
fitted to all training rows (boosted trees with the number of trees at which they stopped) and
scored on the test rows. So for each k, the best of the first k draws has scores.

Each draw adds a line to the file that ``--out`` names, and a later run continues after the last
line. Without FOLDER, the script only reads the file. The table at the end has the scores of the
best of the first k draws for several k, divided by those of sknet's default setting, as
geometric means over the tables for which all models have k draws. Below 1 is better.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import MOST_ROWS, prepare, read_folder, score
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import ParameterSampler, train_test_split

from sknet import NNClassifier, NNRegressor
from sknet.search import Integers, LogUniform, Uniform, search_space

METRICS = ["error", "log loss", "nrmse"]
COLUMNS = ["table", "model", "draw", "held out", *METRICS, "seconds", "parameters"]
#: The numbers of draws that the summary compares. The first draw is the default setting.
BUDGETS = [1, 5, 10, 20, 50]
#: The number of trees without improvement after which boosting stops.
PATIENCE = 50


class Network:
    """sknet, with the space of ``sknet.search``. Its own validation rows show when to stop."""

    name = "sknet"

    def __init__(self, classes, arguments):
        self.estimator = (NNClassifier if classes else NNRegressor)(random_state=0)
        self.space = search_space(self.estimator).parameters

    def make(self, parameters):
        return type(self.estimator)(random_state=0, **parameters)

    def try_out(self, parameters, train, held_out):
        """Return a fitted model, and the parameters for a fit to all training rows."""
        return self.make(parameters).fit(*train), parameters


class Boosting:
    """Gradient boosting. The held-out rows show when to stop."""

    def __init__(self, classes, arguments):
        self.classes, self.threads, self.most = classes, arguments.threads, arguments.trees

    def try_out(self, parameters, train, held_out):
        """Return a fitted model, and the parameters for a fit to all training rows."""
        model = self.make({**parameters, self.n_trees: self.most})
        self.fit(model, train, held_out)
        return model, {**parameters, self.n_trees: max(1, self.count(model))}


class LightGBM(Boosting):
    """LightGBM, which takes categories as they are."""

    name, n_trees = "LightGBM", "n_estimators"
    space = {
        "learning_rate": LogUniform(0.02, 0.3),
        "num_leaves": Integers(4, 128),
        "min_child_samples": Integers(2, 60),
        "colsample_bytree": Uniform(0.4, 1.0),
        "subsample": Uniform(0.5, 1.0),
        "reg_alpha": LogUniform(1e-8, 10.0),
        "reg_lambda": LogUniform(1e-8, 10.0),
    }

    def make(self, parameters):
        from lightgbm import LGBMClassifier, LGBMRegressor

        # LightGBM samples the rows only if subsample_freq is set.
        return (LGBMClassifier if self.classes else LGBMRegressor)(
            n_jobs=self.threads, random_state=0, subsample_freq=1, verbose=-1, **parameters
        )

    def fit(self, model, train, held_out):
        from lightgbm import early_stopping

        model.fit(
            *train, eval_set=[held_out], callbacks=[early_stopping(PATIENCE, verbose=False)]
        )

    def count(self, model):
        return model.best_iteration_


class CatBoost(Boosting):
    """CatBoost, which gets categories as text."""

    name, n_trees = "CatBoost", "iterations"
    space = {
        "learning_rate": LogUniform(0.02, 0.3),
        "depth": Integers(4, 8),
        "l2_leaf_reg": LogUniform(1.0, 30.0),
        "random_strength": LogUniform(0.1, 10.0),
        "bagging_temperature": Uniform(0.0, 1.0),
    }

    def make(self, parameters):
        from catboost import CatBoostClassifier, CatBoostRegressor

        return TextCategories(
            CatBoostClassifier if self.classes else CatBoostRegressor,
            thread_count=self.threads,
            random_seed=0,
            allow_writing_files=False,
            verbose=False,
            **parameters,
        )

    def fit(self, model, train, held_out):
        X, y = held_out
        model.fit(*train, eval_set=(model.read(X), y), early_stopping_rounds=PATIENCE)

    def count(self, model):
        return model.model.tree_count_


class TextCategories:
    """A CatBoost model for frames with categories, whose values may be missing."""

    def __init__(self, kind, **parameters):
        self.kind, self.parameters = kind, parameters

    def read(self, X):
        categories = X.select_dtypes("category").columns
        return X.assign(**{name: X[name].astype(object).fillna("") for name in categories})

    def fit(self, X, y, **options):
        categories = list(X.select_dtypes("category").columns)
        self.model = self.kind(**self.parameters, cat_features=categories)
        self.model.fit(self.read(X), y, **options)
        return self

    def predict(self, X):
        return self.model.predict(self.read(X))

    def predict_proba(self, X):
        return self.model.predict_proba(self.read(X))

    @property
    def classes_(self):
        return self.model.classes_


MODELS = {kind.name: kind for kind in (Network, LightGBM, CatBoost)}


def draw(space, n_draws):
    """Return the parameters of each draw. The first one is the default setting."""
    space = {name: one.for_sampling() for name, one in space.items()}
    return [{}, *ParameterSampler(space, n_draws - 1, random_state=0)] if n_draws > 1 else [{}]


def loss(model, classes, X, y):
    """Return the log loss, or the root mean squared error."""
    if not classes:
        return root_mean_squared_error(y, model.predict(X))
    proba = np.clip(np.asarray(model.predict_proba(X), dtype=float), 1e-7, 1)
    return log_loss(y, proba / proba.sum(axis=1, keepdims=True), labels=model.classes_)


def split(X, y, classes, test_size):
    """Return (X, y) of the rows to fit, and (X, y) of the others."""
    parts = train_test_split(
        X, y, test_size=test_size, random_state=0, stratify=y if classes else None
    )
    return tuple(parts[0::2]), tuple(parts[1::2])


def read(table, as_numbers):
    """Return X, y, and whether y has classes."""
    X, y, classes = prepare(*table)
    return (X, y.astype(float), False) if as_numbers else (X, y, classes)


def search(table, as_numbers, kind, arguments, done):
    """Yield a line for each draw of a model, except the draws that are ``done``."""
    X, y, classes = read(table, as_numbers)
    train, test = split(X, y, classes, 0.25)
    train = tuple(part[: arguments.rows] for part in train)
    test = tuple(part[:MOST_ROWS] for part in test)
    part, held_out = split(*train, classes, 0.2)
    model = kind(classes, arguments)
    best = min((line["held out"] for line in done), default=np.inf)
    for i, parameters in list(enumerate(draw(model.space, arguments.draws)))[len(done) :]:
        start = time.process_time()
        tried, final = model.try_out(parameters, part, held_out)
        line = {"draw": i, "held out": loss(tried, classes, *held_out)}
        line["seconds"] = time.process_time() - start
        if line["held out"] < best:
            best = line["held out"]
            scores = score(model.make(final), classes, train, test)
            line |= {metric: scores[metric] for metric in METRICS if metric in scores}
        yield line | {"parameters": {key: str(value) for key, value in final.items()}}


def run(arguments):
    """Make the draws that the file lacks, one table after another."""
    if not arguments.out.exists():
        pd.DataFrame(columns=COLUMNS).to_csv(arguments.out, index=False)
    recorded = pd.read_csv(arguments.out).to_dict("records")
    for name, *table in read_folder(arguments.folder):
        if arguments.tables and name not in arguments.tables:
            continue
        for model in arguments.models:
            done = [one for one in recorded if (one["table"], one["model"]) == (name, model)]
            as_numbers = name in arguments.numbers
            for line in search(table, as_numbers, MODELS[model], arguments, done):
                line = {"table": name, "model": model, **line}
                frame = pd.DataFrame([line], columns=COLUMNS)
                frame.to_csv(arguments.out, mode="a", header=False, index=False)
                print(
                    f"{name:<20} {model:<9} {line['draw']:2} {line['held out']:.4g}", flush=True
                )


def best_of(results, n_draws):
    """Return the best of the first draws of each model and table that have ``n_draws``."""
    first = results[results["draw"] < n_draws].groupby(["model", "table"])
    complete = first.size()[lambda sizes: sizes == n_draws].index
    best = results.loc[first["held out"].idxmin()]
    return best.set_index(["model", "table"]).loc[complete]


def summarize(results):
    """Return geometric mean ratios to sknet's default setting, by number of draws and model."""
    default = best_of(results, 1).loc[Network.name, METRICS]
    rows = []
    for n_draws in BUDGETS:
        best = best_of(results, n_draws)[METRICS]
        models, n_models = best.index.unique("model"), best.groupby("table").size()
        shared = n_models.index[n_models == len(models)].intersection(default.index)
        for model in models:
            ratios = (best.loc[model].loc[shared] + 1e-3) / (default.loc[shared] + 1e-3)
            means = np.exp(np.log(ratios).mean())
            rows.append({"draws": n_draws, "model": model, "tables": len(shared), **means})
    return pd.DataFrame(rows)


def names(text):
    """Return the names in a comma-separated text."""
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--models", type=names, default=list(MODELS))
    parser.add_argument("--tables", type=names, default=[], help="the only tables to read")
    parser.add_argument("--numbers", type=names, default=[], help="tables with numeric y")
    parser.add_argument("--rows", type=int, default=MOST_ROWS, help="maximum training rows")
    parser.add_argument("--trees", type=int, default=1000, help="maximum boosted trees")
    parser.add_argument("--threads", type=int, default=1, help="threads of boosting")
    parser.add_argument("--out", type=Path, default=Path("search.csv"))
    arguments = parser.parse_args()
    if unknown := set(arguments.models).difference(MODELS):
        parser.error(f"unknown models: {', '.join(sorted(unknown))}; choose from {[*MODELS]}")
    if arguments.folder is None and not arguments.out.exists():
        parser.error(f"give a folder of tables: there is no file {arguments.out} to read")
    warnings.simplefilter("ignore")
    if arguments.folder is not None:
        run(arguments)
    results = pd.read_csv(arguments.out)
    if not (results["model"] == Network.name).any():
        parser.error("the file has no draw of sknet, whose default setting is the reference")
    print(summarize(results).to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
