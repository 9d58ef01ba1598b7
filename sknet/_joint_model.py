"""The model of several targets: a model of labels or of numbers for each, with one network."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from sknet._base_model import Model
from sknet._model import ClassificationModel, RegressionModel
from sknet._prediction import Arrays
from sknet._settings import Settings
from sknet.data.batches import Dataset
from sknet.data.joint import LIBRARY, JointTarget, KnownTargets, columns_of, is_multioutput
from sknet.data.kinds import naming
from sknet.data.targets import ClassTarget
from sknet.nn.distributions import CALIBRATED
from sknet.nn.joint import JointLoss, stretches
from sknet.nn.links import Change
from sknet.nn.losses import Loss, MultinomialLogLoss, SquaredError
from sknet.nn.objective import Members, of_targets

#: The weights of the targets that the network learns.
LEARNED = "learned"


class JointModel(Model):
    """A model of several targets, made of the models that each of them would have by itself."""

    numeric_y = True
    target: JointTarget
    loss: JointLoss

    @staticmethod
    def measure_target(settings: Settings, data: Dataset) -> KnownTargets:
        """Return what is known of each target in the rows that have it."""
        parts, forms = {}, []
        weight = np.ones(data.n_rows) if data.sample_weight is None else data.sample_weight
        columns = list(columns_of(data.y))
        weights = [float(weight[one.known].sum()) for one in columns]
        for name, numeric, known, values in columns:
            own = data.choose(known)._replace(y=values)
            kind = RegressionModel if numeric else ClassificationModel
            own_settings = _settings_of(settings, name, numeric)
            with naming(f"Target {name!r}"):
                parts[name] = kind.measure_target(own_settings, own) if known.any() else None
            forms.append(f"{name!r} ({'numbers' if numeric else 'labels'})")
        library = (data.y.dtype.metadata or {}).get(LIBRARY)
        weights_of_all = np.array([*weights, float(weight.sum())])
        form = f"the targets {', '.join(forms)}"
        return KnownTargets(parts, weights_of_all, data.weight_unit, form, library)

    @staticmethod
    def learn_target(
        settings: Settings, known: KnownTargets, dtype: np.dtype, classes: Any = None
    ) -> tuple[Settings, JointTarget]:
        """Return the settings, and the encoder of all targets.

        Raises
        ------
        ValueError
            If no row has a target, or as the model of one target raises it.
        """
        if settings.class_weight is not None:
            raise ValueError(
                "class_weight is for one column of classes or a multi-label y, but y has "
                f"{len(known.parts)} columns of classes. Give weights of rows as sample_weight."
            )
        if lacking := [name for name, part in known.parts.items() if part is None]:
            raise ValueError(f"No row of y has the target(s) {lacking}. Leave them out.")
        targets = []
        for name, part in known.parts.items():
            kind = _kind_of(part)
            own = _settings_of(settings, name, kind.numeric_y)
            own_classes = (classes or {}).get(name)
            targets.append(kind.learn_target(own, part, dtype, own_classes)[1])
        *weights, total = known.weights.tolist()
        shares = tuple(weight / total for weight in weights)
        return settings, JointTarget(tuple(known.parts), tuple(targets), shares, known.library)

    @staticmethod
    def choose_loss(settings: Settings, target: JointTarget) -> JointLoss:
        """Return the sum of the losses of the targets.

        Raises
        ------
        ValueError
            If a parameter or a loss does not suit several targets.
        """
        kinds = [_kind_of(one) for one in target.targets]
        of_each = [
            _settings_of(settings, name, kind.numeric_y)
            for name, kind in zip(target.names, kinds, strict=True)
        ]
        _check_losses(settings, [own.loss for own in of_each])
        parts = zip(kinds, of_each, target.targets, strict=True)
        losses = tuple(kind.choose_loss(own, one) for kind, own, one in parts)
        given = settings.values.get("target_weights")
        by_name = given if isinstance(given, dict) else {}
        if unknown := [name for name in by_name if name not in target.names]:
            raise ValueError(
                f"target_weights has {unknown}, but the targets are {list(target.names)}."
            )
        weights = tuple(
            float(by_name.get(name, 1)) / share
            for name, share in zip(target.names, target.shares, strict=True)
        )
        # The weight of a single target changes nothing.
        learned = given == LEARNED and len(losses) > 1
        constant = tuple(k for k, one in enumerate(target.targets) if one.is_constant)
        with_sizes = tuple(zip(losses, target.sizes, strict=True))
        return JointLoss(with_sizes, weights, learned, constant)

    # The models of single targets.

    def alone(self, number: int) -> Any:
        """Return the model of one target, whose raw predictions are some of this model's."""
        target, (loss, _) = self.target.targets[number], self.loss.losses[number]
        certainty = self.provenance.certainty
        own = certainty[number] if isinstance(certainty, tuple) else certainty
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        known |= {"settings": replace(self.settings, loss=loss), "target": target, "loss": loss}
        known |= {"provenance": replace(self.provenance, certainty=own)}
        if self.calibration is not None:
            numbers = self.calibration[number : number + 1]
            numbers = numbers[:, ~np.isnan(numbers[0])]
            known["calibration"] = numbers if numbers.size else None
        return _kind_of(target)(**known)

    def separated(self, number: int) -> Any:
        """Return the model of one target with a network of its own, which has all layers."""
        columns = self.loss.link.columns[number]
        n_varying = self.n_raw - self.loss.link.n_constant(self.n_raw)
        network, params = self.network.with_outputs(self.params, columns, n_varying)
        return replace(self.alone(number), network=network, params=params)

    @property
    def target_weights(self) -> list[float]:
        """The weight of the mean loss of each target; learned ones are means over members."""
        weights = np.array(self.loss.weights) * self.target.shares
        if self.loss.learned:
            constants = self.network.views(self.params)[-1].constant
            logs = constants.mean(axis=0, dtype=np.float64)
            weights *= np.exp(np.where(self.loss.are_learned, -logs, 0.0))
        return weights.tolist()

    @cached_property
    def models(self) -> list[Any]:
        """The model of each target."""
        return [self.alone(number) for number in range(len(self.target.names))]

    def each(self, raw: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield the model of each target with its raw predictions."""
        by_member = self.members.split(raw)
        for model, columns in zip(self.models, self.loss.link.columns, strict=True):
            yield model, by_member[:, :, columns].reshape(len(raw), -1)

    def calibration_of(
        self, members: Members, raw: np.ndarray, Y: np.ndarray, weight: Any, *unseen: np.ndarray
    ) -> np.ndarray:
        """Return what rows tell of the distribution of each target, with NaN for nothing.

        The arguments are those of ``RegressionModel``.
        """
        found = np.full((len(self.models), CALIBRATED.size), np.nan)
        of_each = of_targets(self.loss, members, raw, Y, weight, *unseen)
        for row, model, (loss, rows) in zip(found, self.models, of_each, strict=True):
            told = loss.predicts_distribution and len(rows[1])
            own = model.calibration_of(*rows) if told else model.calibration
            if own is not None:
                row[: own.size] = own[0]
        return found

    def columns(self, y: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the model of each target with its column of a checked y."""
        return zip(self.models, columns_of(y), strict=True)

    def y_as_given(self, y: Any, like: Any) -> Any:
        """Return a checked y in the form of the user's, a frame with the index of ``like``."""
        return self.target.as_given(y, like)

    def check_target(self, y: Any, name: str, order: tuple[Any, ...] = ()) -> None:
        """Refuse other targets than those of training, and values that do not suit them."""
        self.target.check_columns(y, name)
        for model, column in self.columns(y):
            if column.known.any():
                model.check_target(column.values, f"{name}[{column.name!r}]")

    def check_all_labels(self, y: Any) -> None:
        """Check that each class of each target occurs in y."""
        for model, column in self.columns(y):
            model.check_all_labels(column.values)

    def training_targets(self, y: Any) -> np.ndarray:
        """Return encoded targets with label smoothing."""
        Y = super().training_targets(y)
        if amount := self.settings.values.get("label_smoothing"):
            places = stretches(self.target.sizes)
            for target, columns in zip(self.target.targets, places, strict=True):
                Y[:, columns] = target.smooth(Y[:, columns], amount)
        return Y

    def initial_change(self) -> Change:
        """Return the changes of the raw predictions of each target."""
        return self.loss.link.joined([model.initial_change() for model in self.models])

    def rescaling_from(self, before: JointTarget) -> Change | None:
        """Return the changes for all targets, or None if one of them is another."""
        if before.names != self.target.names:
            return None
        pairs = zip(self.models, before.targets, strict=True)
        changes = [model.rescaling_from(target) for model, target in pairs]
        return None if None in changes else self.loss.link.joined(changes)

    def continued(self, settings: Settings) -> Self:
        """Return this model to be trained further with other settings.

        Raises
        ------
        ValueError
            If the loss of a target has changed, or as every model raises it.
        """
        if self.choose_loss(settings, self.target).losses != self.loss.losses:
            raise ValueError("The losses of the targets have changed since the last fit.")
        return super().continued(settings)

    def absorb(self, data: Dataset, others: Iterable[np.ndarray]) -> Self:
        """Return the model whose mean and scale of each target include further rows."""
        found = []
        for model, column in self.columns(data.y):
            own = data.choose(column.known)._replace(y=column.values)
            grows = column.numeric and column.known.any()
            found.append(model.absorbed(own) if grows else (model.target, None))
        targets, changes = zip(*found, strict=True)
        change = self.loss.link.joined(changes)
        return self.rescaled(replace(self.target, targets=targets), change, others)

    # Predictions.

    def values(self, raw: np.ndarray) -> Arrays:
        """Return for each target the places of the predicted classes, or the numbers."""
        return tuple(
            model.predictions(own, False)[0][:, 0] if model.numeric_y else model.places(own)
            for model, own in self.each(raw)
        )

    def decision(self, raw: np.ndarray) -> np.ndarray:
        """Return the columns of the decision functions of all targets."""
        return np.hstack([model.decision(own) for model, own in self.each(raw)])

    def places(self, raw: np.ndarray) -> np.ndarray:
        """Return the position of the predicted class of each target."""
        return np.column_stack(self.values(raw))

    def probabilities(self, raw: np.ndarray, with_std: bool) -> Arrays:
        """Return the probabilities of the targets that have labels, side by side."""
        found = [
            model.probabilities(own, with_std)
            for model, own in self.each(raw)
            if not model.numeric_y
        ]
        return tuple(np.hstack(one) for one in zip(*found, strict=True))


def _kind_of(known: Any) -> Any:
    """Return the class of the model of a target, given its encoder or what is known of it."""
    has_labels = isinstance(known, ClassTarget) or hasattr(known, "labels")
    return ClassificationModel if has_labels else RegressionModel


def _settings_of(settings: Settings, name: Any, numeric: bool) -> Settings:
    """Return the settings of the model of one target."""
    loss: Any = settings.loss
    if not isinstance(loss, Loss):
        loss = loss.get(name) or (SquaredError() if numeric else MultinomialLogLoss())
    return replace(settings, loss=loss)


def _check_losses(settings: Settings, losses: list[Loss]) -> None:
    """Refuse what several targets cannot have.

    Raises
    ------
    ValueError
        If there are monotonic constraints, or if the predictions of a target are several
        quantiles or classes that have an order.
    """
    if settings.promise is not None:
        raise ValueError("monotonic_cst needs one target. Fit a network for each target.")
    if several := [one for one in losses if one.predicts_quantiles]:
        raise ValueError(
            f"A target has one column of predictions, but {several[0]!r} has several."
        )
    if ordered := [one for one in losses if one.link.ordered]:
        raise ValueError(f"{ordered[0]!r} needs one target. Fit a network for each target.")


def model_class(numeric_y: bool, y: Any) -> type[Model]:
    """Return the class of models for a checked y: numbers, labels, or several targets."""
    if y.dtype.names is not None or (not numeric_y and is_multioutput(y)):
        return JointModel
    return RegressionModel if numeric_y else ClassificationModel
