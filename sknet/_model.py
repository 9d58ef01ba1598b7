"""The models of labels and of numbers: what a fit has learned, and its predictions.

A model knows nothing about scikit-learn's estimators. An estimator keeps its model in
``_model``.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from sknet._base_model import Model
from sknet._prediction import Arrays
from sknet._settings import Settings
from sknet._target_learning import check_domain, check_precision, measure_target
from sknet.data.batches import Dataset
from sknet.data.kinds import LARGEST
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.nn.cumulative import Cumulative
from sknet.nn.distributions import Distribution
from sknet.nn.links import Change, Identity
from sknet.nn.losses import Loss, Ordinal, shown
from sknet.nn.objective import Members


class ClassificationModel(Model):
    """A model of labels."""

    numeric_y = False
    std_remedy = (
        "several members: set n_members, for example to 8, and fit again. Their spread shows "
        "where they disagree; the probabilities themselves show how uncertain y is."
    )
    target: ClassTarget

    @staticmethod
    def choose_loss(settings: Settings, target: ClassTarget) -> Loss:
        """Return the loss, for two classes and for multi-label targets in its binary form.

        Raises
        ------
        ValueError
            If the loss does not suit the form or the number of the classes.
        """
        if target.kind == "multilabel" and settings.loss.link.ordered:
            raise ValueError(
                f"loss={settings.loss!r} needs one class for each row, but y has "
                f"{target.n_outputs} columns of labels. Use 'log_loss'."
            )
        if target.kind == "multiclass" and not settings.loss.link.exclusive:
            raise ValueError(
                f"loss={settings.loss!r} needs two classes or a multi-label y, because its "
                "probabilities of several classes would not sum to one. y has "
                f"{target.classes_.size} class(es). Use 'log_loss', or define link = "
                "Softmax() in the class of your loss."
            )
        if target.kind == "multilabel":
            loss = settings.loss.binary()
        else:
            loss = settings.loss.of_classes(target.classes_, target.declared_)
        if isinstance(loss.link, Identity):
            raise ValueError(
                f"loss={loss!r} predicts no probabilities, because its link is Identity(). "
                "For labels, use 'log_loss', or define link in the class of your loss, such as "
                "sknet.nn.links.Softmax(), or Logit() for two classes."
            )
        opposite = np.array([[-1.0], [1.0]])
        has_one = target.kind != "multiclass" and not loss.link.ordered
        if has_one and not np.isclose(loss.link.inverse(opposite).sum(), 1):
            raise ValueError(
                f"loss={loss!r} has one raw prediction for two classes, or for a label. "
                "inverse(-raw) of its link must therefore be 1 - inverse(raw), which is false "
                f"for {loss.link!r}. Define the method binary of the loss: it returns the loss "
                "for this case, with a link such as Logit()."
            )
        return loss

    def check_target(self, y: Any, name: str, order: tuple[Any, ...] = ()) -> None:
        """Refuse unknown labels, and a different order of the classes if the loss uses it."""
        self.target.check_labels(y, name)
        loss, given = self.loss, self.settings.loss
        if not (isinstance(loss, Ordinal) and isinstance(given, Ordinal)) or given.classes:
            return
        found = tuple(one for one in order if one in loss.classes)
        if found != tuple(one for one in loss.classes if one in found):
            raise ValueError(
                f"{name} declares the order {found}, but the network was fitted with the order "
                f"{loss.classes}."
            )

    @property
    def thresholds(self) -> np.ndarray:
        """The thresholds of ordered classes, for each member if there are several.

        Raises
        ------
        AttributeError
            If the loss has no thresholds.
        """
        if not isinstance(link := self.loss.link, Cumulative):
            raise AttributeError(f"The loss {self.loss!r} has no thresholds_.")
        raw = np.zeros((self.n_members, self.n_raw))
        raw[:, 1:] = getattr(self.network.views(self.params)[-1], "constant", ())
        thresholds = link.thresholds(raw)
        return thresholds[0] if self.n_members == 1 else thresholds

    def rescaling_from(self, before: ClassTarget) -> Change | None:
        """Return a change that keeps logits as they are, or None if the classes differ."""
        known, now = before.classes_, self.target.classes_
        same = before.kind == self.target.kind and np.array_equal(known, now)
        return (np.ones(self.n_raw), np.zeros(self.n_raw)) if same else None

    def decision(self, raw: np.ndarray) -> np.ndarray:
        """Return the columns of the decision function."""
        return self.members.decision(raw)

    def places(self, raw: np.ndarray) -> np.ndarray:
        """Return the position of each row's predicted class, or 0 or 1 for each label.

        For ordered classes, the median is predicted. It has the smallest expected absolute
        error, and never falls when the probabilities of exceeding each class rise.
        """
        if isinstance(link := self.loss.link, Cumulative):
            return link.median(self.members.predictions(raw, link.exceeding)[0])
        return self.target.places(self.decision(raw))

    def probabilities(self, raw: np.ndarray, with_std: bool) -> Arrays:
        """Return the members' mean probabilities, and their standard deviation on request."""

        def predict(members: np.ndarray) -> np.ndarray:
            return self.target.probabilities(members, self.loss.link)

        return self.members.predictions(raw, predict, with_std)


class RegressionModel(Model):
    """A model of numbers."""

    numeric_y = True
    std_remedy = (
        "a network that predicts a standard deviation: set loss='normal', which estimates that "
        "of y for each row, and fit again. With another loss and several members, such as "
        "n_members=8, the standard deviation is the spread of the members' predictions. It "
        "shows where the members disagree, but not how much y varies, so it gives no interval "
        "for y."
    )
    target: RegressionTarget

    @staticmethod
    def choose_loss(settings: Settings, target: RegressionTarget) -> Loss:
        """Return the loss, in units that suit how much y varies."""
        return settings.loss.of_spread(target.spread_)

    def check_target(self, y: Any, name: str, order: tuple[Any, ...] = ()) -> None:
        """Refuse a different number of outputs, and numbers outside the loss's domain."""
        self.target.check_outputs(y, name)
        check_domain(self.loss, y, name)

    def check_loss(self, loss: Loss) -> None:
        """Refuse a loss that does not scale y like the loss of the last fit."""
        if self.target.shift != loss.shifts_y:
            raise ValueError(
                f"{shown(loss)} scales y differently from the loss of the last fit, "
                "so training cannot continue from its parameters. Fit a clone."
            )

    def absorbed(self, data: Dataset) -> tuple[RegressionTarget, Change | None]:
        """Return the target with further rows, and the change of raw predictions for it.

        If no change of the output layer keeps the predictions the same at the new scale, return
        the unchanged target and None.
        """
        after = self.target.merged(measure_target(self.settings, data, numeric=True))
        loss = self.loss.of_spread(after.spread_)
        rescaling = replace(self, target=after, loss=loss).rescaling_from(self.target)
        return (self.target, None) if rescaling is None else (after, rescaling)

    def rescaling_from(self, before: RegressionTarget) -> Change | None:
        """Return the change for the scale of y, or None if the loss allows none."""
        after = self.target
        shift = (before.mean_ - after.mean_) / after.scale_
        change = self.loss.link.rescaling(before.scale_, after.scale_, shift)
        if change is None:
            return None
        old, new = (self.loss.of_spread(one.spread_).link.units for one in (before, after))
        return change[0] * np.divide(old, new), change[1]

    def check_precision(self, dtype: np.dtype[Any]) -> None:
        """Refuse X of a dtype that cannot hold the predictions."""
        check_precision(self.target, self.settings, dtype)

    def calibration_of(
        self, members: Members, raw: np.ndarray, Y: np.ndarray, weight: Any, *unseen: np.ndarray
    ) -> np.ndarray | None:
        """Return what rows say about the distribution of y, or None if they say nothing.

        Parameters
        ----------
        members : Members
        raw : ndarray of shape (n_rows, members.n * n_raw)
            Raw predictions.
        Y : ndarray of shape (n_rows, n_outputs)
            The encoded targets.
        weight : ndarray of shape (n_rows,) or None
        *unseen : ndarray of shape (n_rows, members.n * n_raw)
            Raw predictions of parameters that were not trained on the rows, from which the
            errors are computed. Without them, the errors are those of ``raw``, which give only
            a dispersion.
        """
        loss = self.loss
        if not (loss.predicts_distribution if unseen else loss.has_dispersion):
            return None
        known, new = (
            self.predictions(one.astype(np.float64), loss.link.predicts_std, members)
            for one in (raw, *(unseen or [raw]))
        )
        change = known[0] - new[0]
        if loss.predicts_quantiles:
            change = change.mean(axis=1, keepdims=True)
        y = self.target.inverse_transform(Y) + change
        return loss.distribution(*known).calibration(y[..., np.newaxis], weight)

    def distribution(self, X: Any) -> Distribution:
        """Return the distribution of y in each row of X, in the units of y.

        Raises
        ------
        ValueError
            If the loss has a dispersion that has not been estimated.
        """
        if self.loss.has_dispersion and self.calibration is None:
            raise ValueError(
                f"The dispersion of {shown(self.loss)} has not been estimated. Only a "
                "finished fit estimates it, so the model of an unfinished fit has none. If the "
                "fit is finished, no held-out row has this target: set early_stopping=False."
            )
        with_std = self.loss.link.predicts_std
        found = self.predict(X, lambda raw: self.predictions(raw, with_std))
        plain = self.loss.distribution(*(one.astype(np.float64) for one in found))
        return plain if self.calibration is None else plain.calibrated(self.calibration)

    def predictions(
        self, raw: np.ndarray, with_std: bool, members: Members | None = None
    ) -> Arrays:
        """Return the members' mean prediction, and the standard deviation on request.

        The deviation is that of y if the loss predicts it, otherwise that of the members'
        predictions. Each member's prediction and deviation are clipped to the magnitude
        ``LARGEST``. ``members`` are those of the network by default.
        """
        link = self.loss.link

        def predict(members: np.ndarray) -> np.ndarray:
            predicted = self.target.inverse_transform(link.inverse(members))
            return predicted.clip(-LARGEST, LARGEST, out=predicted)

        def deviation(members: np.ndarray) -> np.ndarray:
            return np.minimum(self.target.scaled(link.std(members)), LARGEST)

        of_y = deviation if link.predicts_std else None
        return (members or self.members).predictions(raw, predict, with_std, of_y)
