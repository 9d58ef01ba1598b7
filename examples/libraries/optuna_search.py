"""A search with Optuna, which ends unpromising trials after a few epochs."""

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import NNClassifier
from sknet.callbacks import FitCallback

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, train_size=600, random_state=0)


class Pruning(FitCallback):
    """Reports the validation loss of each epoch to a trial, and ends a trial that is pruned."""

    def __init__(self, trial):
        self.trial = trial

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Raise TrialPruned, which ends the fit, if the pruner asks for it."""
        if context.task_name != "epoch":
            return
        loss = fitted_estimator.history_["validation_loss"][-1]
        self.trial.report(loss, step=context.task_id)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def network_of(trial):
    return NNClassifier(
        hidden_layer_sizes=(trial.suggest_int("units", 16, 128, log=True),),
        learning_rate_init=trial.suggest_float("learning_rate_init", 1e-4, 0.1, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        max_iter=40,
        random_state=0,
    )


def objective(trial):
    network = network_of(trial).set_callbacks(Pruning(trial))
    network.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    return -network.best_validation_score_


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=5),
)
# The first trial has common settings, so the best trial is at least as good as these settings.
study.enqueue_trial({"units": 128, "learning_rate_init": 0.01, "dropout": 0.0})
study.optimize(objective, n_trials=15)

epochs = [trial.last_step + 1 for trial in study.trials]
pruned = [trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials]
print(f"{sum(pruned)} of {len(pruned)} trials were pruned; epochs: {epochs}")
print(f"validation loss {study.trials[0].value:.3f} at first, {study.best_value:.3f} at best")
assert any(pruned)
assert np.mean(np.compress(pruned, epochs)) < 20
assert study.best_value <= study.trials[0].value

# The settings of the best trial give the same network again.
best = network_of(study.best_trial).fit(X_train, y_train, X_val=X_val, y_val=y_val)
assert -best.best_validation_score_ == study.best_value
