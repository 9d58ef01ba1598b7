"""What MLflow's autologging records for pipelines and searches with networks."""

import os
import tempfile
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # MLflow reads this when it is imported

import mlflow
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sknet import NNRegressor
from sknet.export import SKOPS_TRUSTED

# The runs are rows of a local database, and the files lie beside it.
folder = Path(tempfile.mkdtemp())
mlflow.set_tracking_uri(f"sqlite:///{folder.as_posix()}/runs.db")
mlflow.create_experiment("diabetes", artifact_location=folder.as_uri())
mlflow.set_experiment("diabetes")
mlflow.sklearn.autolog(log_models=False, silent=True)

X, y = load_diabetes(return_X_y=True, as_frame=True)
network = NNRegressor((32,), max_iter=20, random_state=0)

# Autologging watches the classes of scikit-learn, so a network alone leaves no run.
network.fit(X, y)
assert mlflow.search_runs().empty

# A pipeline with a network leaves a run, with all parameters and the training scores.
pipeline = make_pipeline(network)
with mlflow.start_run() as run:
    pipeline.fit(X, y)
    fitted = pipeline[-1]
    # Autologging does not record the values of "auto", the loss of each epoch or the network.
    mlflow.log_params({f"auto {name}": value for name, value in fitted.auto_params_.items()})
    for epoch, loss in enumerate(fitted.history_["loss"], start=1):
        mlflow.log_metric("loss", loss, step=epoch)
    saved = mlflow.sklearn.log_model(
        pipeline,
        name="network",
        serialization_format="skops",
        skops_trusted_types=SKOPS_TRUSTED,
        pip_requirements=["sknet"],
    )
recorded = mlflow.get_run(run.info.run_id).data
assert recorded.params["nnregressor__hidden_layer_sizes"] == "(32,)"
assert recorded.params["nnregressor__dropout"] == "auto"
assert float(recorded.params["auto alpha"]) == fitted.auto_params_["alpha"]
assert np.isclose(recorded.metrics["training_r2_score"], pipeline.score(X, y))
losses = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
assert [one.value for one in losses] == fitted.history_["loss"]
loaded = mlflow.sklearn.load_model(saved.model_uri)
assert np.array_equal(loaded.predict(X), pipeline.predict(X))

# A search leaves a run with its best setting, and below this run, one for each setting.
search = GridSearchCV(network, {"dropout": [0.0, 0.2, 0.4]}, cv=3)
with mlflow.start_run() as run:
    search.fit(X, y)
recorded = mlflow.get_run(run.info.run_id).data
assert float(recorded.params["best_dropout"]) == search.best_params_["dropout"]
assert recorded.metrics["best_cv_score"] == search.best_score_
settings = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{run.info.run_id}'")
print(settings[["params.dropout", "metrics.mean_test_score"]])
assert set(settings["metrics.mean_test_score"]) == set(search.cv_results_["mean_test_score"])
