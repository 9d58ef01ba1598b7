"""The model of several targets: a model of labels or of numbers for each, in one network."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from sknet._base_model import OR_A_CLONE, Model
from sknet._model import ClassificationModel, RegressionModel
from sknet._parameters import is_auto
from sknet._prediction import Arrays
from sknet._settings import Settings
from sknet._target_learning import check_several_targets
from sknet.data.batches import Dataset
from sknet.data.joint import JointTarget
from sknet.data.kinds import naming
from sknet.data.targets import ClassTarget, RegressionTarget
from sknet.nn.joint import JointLoss
from sknet.nn.links import Change
from sknet.nn.losses import Loss, SquaredError, shown
from sknet.nn.objective import Members, of_targets

#: The value of ``target_weights`` with which the network learns the weights.
LEARNED = "learned"


class JointModel(Model):
    """A model of several targets, composed of the models that each target would have alone."""

    numeric_y = True
    # With several targets, only a classifier's predictions have a standard deviation.
    std_remedy = ClassificationModel.std_remedy
    target: JointTarget
    loss: JointLoss

    @staticmethod
    def choose_loss(settings: Settings, target: JointTarget) -> JointLoss:
        """Return the sum of the losses of the targets.

        Raises
        ------
        ValueError
            If a parameter or a loss does not suit several targets.
        """
        check_several_targets(settings, len(target.parts))
        losses = []
        for name, one in target.parts.items():
            with naming(f"Target {name!r}"):
                losses.append((_loss_of_target(settings, name, one), one.n_outputs))
        given = settings.values.get("target_weights")
        by_name = given if isinstance(given, dict) else {}
        if unknown := [name for name in by_name if name not in target.parts]:
            raise ValueError(
                f"target_weights has {unknown}, but the targets are {target.names}."
            )
        shares = zip(target.parts, target.shares, strict=True)
        weights = tuple(float(by_name.get(name, 1)) / share for name, share in shares)
        # Standardized numbers have comparable losses. Their learned weights only grow as the
        # network memorizes the training rows.
        comparable = settings.standardize
        comparable &= all(type(loss) is SquaredError for loss, _ in losses)
        learns = given == LEARNED or (is_auto(given) and not comparable)
        # The weight of a single target changes nothing.
        learned = learns and len(losses) > 1
        constant = tuple(k for k, one in enumerate(target.targets) if one.is_constant)
        return JointLoss(tuple(losses), weights, learned, constant)

    # The models of single targets.

    @cached_property
    def models(self) -> list[Any]:
        """The model of each target, whose raw predictions are some columns of this model's."""
        return [self._alone(*one) for one in enumerate(self.target.targets)]

    def _alone(self, number: int, target: Any) -> Any:
        """Return the model of one target."""
        loss, _ = self.loss.losses[number]
        certainty, calibration = self.provenance.certainty, self.calibration
        certainty = certainty and certainty[number]
        calibration = calibration and calibration[number]
        settings = replace(self.settings, loss=loss)
        provenance = replace(self.provenance, certainty=certainty)
        known = self.__getstate__() | {"settings": settings, "target": target, "loss": loss}
        known |= {"provenance": provenance, "calibration": calibration}
        return KINDS[type(target)](**known)

    def separated(self, number: int) -> Any:
        """Return the model of one target, with its own network, which has all shared layers."""
        columns = self.loss.link.columns[number]
        n_varying = self.n_raw - self.loss.link.n_constant(self.n_raw)
        network, params = self.network.with_outputs(self.params, columns, n_varying)
        return replace(self.models[number], network=network, params=params)

    @property
    def target_weights(self) -> list[float]:
        """The weight of each target's mean loss; if learned, a geometric mean over members."""
        weights = np.array(self.loss.weights) * self.target.shares
        if self.loss.learned:
            constants = self.network.views(self.params)[-1].constant
            logs = constants.mean(axis=0, dtype=np.float64)
            weights *= np.exp(np.where(self.loss.are_learned, -logs, 0.0))
        return weights.tolist()

    def each(self, raw: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield the model of each target with its raw predictions."""
        by_member = self.members.split(raw)
        for model, columns in zip(self.models, self.loss.link.columns, strict=True):
            yield model, by_member[:, :, columns].reshape(len(raw), -1)

    def calibration_of(
        self, members: Members, raw: np.ndarray, Y: np.ndarray, weight: Any, *unseen: np.ndarray
    ) -> tuple[np.ndarray | None, ...]:
        """Return what rows say about the distribution of each target, or None if nothing.

        The arguments are those of ``RegressionModel``. A target without rows keeps what it has.
        """
        of_each = of_targets(self.loss, members, raw, Y, weight, *unseen)
        return tuple(
            model.calibration_of(*rows)
            if loss.predicts_distribution and len(rows[1])
            else model.calibration
            for model, (loss, rows) in zip(self.models, of_each, strict=True)
        )

    def columns(self, y: Any) -> Iterator[tuple[Any, Any]]:
        """Yield the model of each target with its column of a checked y."""
        return zip(self.models, (column for _, column in self.target.columns(y)), strict=True)

    def check_target(self, y: Any, name: str, order: tuple[Any, ...] = ()) -> None:
        """Refuse targets other than those of training, and values that do not suit them."""
        self.target.check_columns(y, name)
        for model, column in self.columns(y):
            if model.numeric_y and column.values.dtype.kind not in "biuf":
                raise ValueError(
                    f"{name}[{column.name!r}] has labels, but had numbers in training."
                )
            if column.known.any():
                model.check_target(column.values, f"{name}[{column.name!r}]")

    def initial_change(self) -> Change:
        """Return the changes of the raw predictions of each target."""
        return self.loss.link.joined([model.initial_change() for model in self.models])

    def rescaling_from(self, before: JointTarget) -> Change | None:
        """Return the changes for all targets, or None if one of them has none."""
        if before.names != self.target.names:
            return None
        pairs = zip(self.models, before.targets, strict=True)
        changes = [model.rescaling_from(target) for model, target in pairs]
        return None if None in changes else self.loss.link.joined(changes)

    def check_loss(self, loss: JointLoss) -> None:
        """Refuse to continue if the loss of a target has changed."""
        if loss.losses != self.loss.losses:
            pairs = zip(self.target.names, loss.losses, self.loss.losses, strict=True)
            changed = [name for name, one, before in pairs if one != before]
            raise ValueError(
                f"The losses of the targets {changed} have changed since the last fit. Set "
                f"targets back to continue, {OR_A_CLONE}"
            )

    def absorbed(self, data: Dataset) -> tuple[JointTarget, Change]:
        """Return the targets with further rows, and the change of raw predictions for them."""
        parts, changes = {}, []
        for model, (name, _, known, values) in self.columns(data.y):
            own, found = data.choose(known)._replace(y=values), (model.target, None)
            parts[name], change = model.absorbed(own) if known.any() else found
            changes.append(change)
        return replace(self.target, parts=parts), self.loss.link.joined(changes)

    # Predictions.

    def check_precision(self, dtype: np.dtype[Any]) -> None:
        """Refuse X of a dtype that cannot hold the predictions of a target."""
        for name, model in zip(self.target.names, self.models, strict=True):
            with naming(f"Target {name!r}"):
                model.check_precision(dtype)

    def values(self, raw: np.ndarray) -> Arrays:
        """Return, for each target, the positions of the predicted classes, or the numbers."""
        return tuple(
            model.predictions(own, False)[0][:, 0] if model.numeric_y else model.places(own)
            for model, own in self.each(raw)
        )

    def predict_by_name(self, X: Any) -> dict[str, np.ndarray]:
        """Return the predictions of each target for encoded rows, in the form of y."""
        return self.target.in_form_of_y(self.predict(X, self.values))

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


def _loss_of_target(settings: Settings, name: Any, target: Any) -> Loss:
    """Return the loss of one of several targets.

    Raises
    ------
    ValueError
        If the loss does not suit the target, or needs a network of its own.
    """
    kind = KINDS[type(target)]
    own = settings.of_target(name, kind.numeric_y)
    if own.loss.predicts_quantiles:
        raise ValueError(
            f"{own.loss!r} predicts a list of quantiles. Give it one quantile as a number, "
            "such as Pinball(0.3), or fit an NNRegressor."
        )
    if own.loss.link.ordered:
        raise ValueError(
            f"{shown(own.loss)} needs a network of its own. Fit an NNClassifier to this column "
            "alone."
        )
    return kind.choose_loss(own, target)


#: The class of the model for each type of target.
KINDS: dict[type, type[Model]] = {
    ClassTarget: ClassificationModel,
    RegressionTarget: RegressionModel,
    JointTarget: JointModel,
}
