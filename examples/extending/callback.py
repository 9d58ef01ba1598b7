"""A custom callback, which stops training when the loss is low enough."""

from sklearn.datasets import load_iris

from sknet import NNClassifier
from sknet.callbacks import FitCallback


class StopAtLoss(FitCallback):
    """Ends a fit after the first epoch whose loss is at most ``loss``."""

    def __init__(self, loss):
        self.loss = loss

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Return True, which stops training, after an epoch whose loss is low enough."""
        return context.task_name == "epoch" and fitted_estimator.loss_ <= self.loss


X, y = load_iris(return_X_y=True)
network = NNClassifier(max_iter=500, early_stopping=False, random_state=0)
network.set_callbacks(StopAtLoss(0.1)).fit(X, y)
print(f"{network.n_iter_} epochs, loss {network.loss_:.3f}")
