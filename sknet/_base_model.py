"""Everything that a fit has learned, whatever the kind of y."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self, TypeAlias, cast

import numpy as np
from scipy import sparse

from sknet._building import check_memory, make_network
from sknet._prediction import Arrays, Predictor
from sknet._run import ONE_BLAS_THREAD
from sknet._settings import Provenance, Settings
from sknet.data.batches import Batch, Batches, Dataset, stack_rows
from sknet.data.draws import Augmentation, same_rows
from sknet.data.effects import MOST_NUMBERS, without_gaps
from sknet.data.encoding import TableEncoder
from sknet.data.survey import Survey
from sknet.data.tables import TableReader
from sknet.data.targets import ClassTarget
from sknet.nn.epochs import UpdateRule
from sknet.nn.links import Change
from sknet.nn.losses import Loss
from sknet.nn.network import Network, Workspace
from sknet.nn.objective import Members, Objective
from sknet.nn.optimizers import Optimizer
from sknet.nn.state import TrainingResult

# A function that changes a batch.
Augment: TypeAlias = Callable[[Batch], Batch]

#: The largest number of bytes of encoded rows that are kept; more are encoded batch by batch.
ENCODED_BYTES = 32 * 2**20
#: The largest number of rows from which the distribution of y is estimated.
CALIBRATION_ROWS = 10_000


#: The end of messages about a fit that cannot continue with a changed parameter.
OR_A_CLONE = "or fit a clone from the beginning: sklearn.base.clone(network).fit(X, y)."
#: The settings that shape encodings and layers, each with the name of its parameter. A fit that
#: starts from a model must have the same values of these settings.
BODY = {
    "standardize": "standardize",
    "categorical_features": "categorical_features",
    "hidden_layer_sizes": "hidden_layer_sizes",
    "normalization": "normalization",
    "numeric_embedding": "numeric_embedding",
    "n_components": "n_components",
    "column_scales": "column_scales",
    "n_members": "n_members",
    "share_weights": "share_weights",
    "activations": "activation",
    "promise": "monotonic_cst",
    "groups": "interaction_cst",
    "pairwise": "interaction_cst",
}


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that a fit has learned. There is a subclass for each kind of y.

    Attributes
    ----------
    settings : Settings
        The settings of the last fit.
    reader : TableReader
        Turns a frame or an array with categories into numbers.
    encoder : TableEncoder
        Turns numbers into the rows that enter the network.
    target : ClassTarget, RegressionTarget or JointTarget
        Turns y into the columns that the network predicts, and predictions back.
    loss : Loss
    network : Network
    params : ndarray of shape (n_params,)
        All parameters of the network.
    provenance : Provenance
        The training that the parameters come from.
    calibration : ndarray of shape (n_outputs, n_numbers), tuple of these or None
        What some rows say about the distribution of y: see :mod:`sknet.nn.distributions`. For
        several targets, a tuple has an array or None for each.
    """

    #: Whether y holds numbers and not labels. It is True for several targets of any kind.
    numeric_y: ClassVar[bool]
    #: What a network needs to predict a standard deviation, and what the deviation shows.
    std_remedy: ClassVar[str]

    settings: Settings
    reader: TableReader
    encoder: TableEncoder
    target: Any
    loss: Loss
    network: Network
    params: np.ndarray
    provenance: Provenance = Provenance()
    calibration: Any = None

    def __getstate__(self) -> dict[str, Any]:
        # A pickle holds only the fields, without the work arrays of predictions.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    # The beginning of a fit.

    @classmethod
    def start(
        cls,
        settings: Settings,
        reader: TableReader,
        encoder: TableEncoder,
        target: Any,
        rng: np.random.Generator,
    ) -> Self:
        """Return a model with initial parameters.

        The loss may choose where its raw predictions start, given the distribution of y.

        Parameters
        ----------
        settings : Settings
        reader : TableReader
        encoder : TableEncoder
            The encoder of the table, as :func:`learn_encoder` returns it.
        target : ClassTarget, RegressionTarget or JointTarget
            The encoder of y, as ``learn_target`` returns it.
        rng : numpy Generator
            Draws the initial parameters.

        Raises
        ------
        ValueError
            If the network has more parameters than the main memory can hold, or if monotonic
            constraints do not suit the target or the loss.
        """
        loss = cls.choose_loss(settings, target)
        if settings.promise is not None:
            settings.promise.check(target, loss)
        network = make_network(settings, encoder, reader, loss.link, target.n_outputs)
        check_memory(network, settings)
        params = network.init(rng).astype(settings.dtype)
        model = cls(settings, reader, encoder, target, loss, network, params)
        if (change := model.initial_change()) is not None:
            network.rescale_outputs(params, *change)
        return model

    def with_layers_of(self, source: "Model", data: Dataset) -> Self:
        """Return this model with the layers of another one, for training to start from.

        The output layer is that of ``source`` if y has the same form, and if predictions for
        the weighted rows ``data`` are then better than a constant. Otherwise it is a new one.
        """
        params, own, others = self.params.copy(), self.network, source.network
        own.copy_layers(params, others, source.params, with_outputs=False)
        # If these are equal, raw predictions have the same meaning and number of columns.
        heads = [(type(one), one.loss.link, one.network.layers[-1]) for one in (self, source)]
        if heads[0] == heads[1] and (change := self.rescaling_from(source.target)):
            whole = params.copy()
            own.copy_layers(whole, others, source.params, with_outputs=True)
            own.rescale_outputs(whole, *change)
            params = whole if self._beats_constant(whole, data) else params
        return self.with_params(params)

    def rescaling_from(self, before: Any) -> Change | None:
        """Return how to change raw predictions of the target ``before`` to suit this one.

        None, the default, if this is impossible. Both targets have the same number of columns.
        """
        return None

    def _beats_constant(self, params: np.ndarray, data: Dataset) -> bool:
        """Whether predictions of rows with these parameters are better than a constant."""
        blocks, objective = self.blocks(data, 0, smooth=False), self.objective
        workspace = Workspace(self.network, blocks.batch_size, params.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = objective.mean_loss(params, blocks, workspace)
            return loss < min(objective.constant_losses(blocks.without_columns()))

    def check_layers(self, settings: Settings) -> None:
        """Refuse settings whose encodings or layers differ from those of this model.

        Dropout and the output layer may differ.

        Raises
        ------
        ValueError
            If a parameter that shapes encodings or layers differs.
        """
        for key, name in BODY.items():
            there, here = getattr(self.settings, key), getattr(settings, key)
            if there != here:
                # The settings of constraints are not the values that a user has given.
                of_constraint = name.endswith("_cst")
                values = "differs from that" if of_constraint else f"is {here!r}, but {there!r}"
                raise ValueError(
                    f"{name} {values} in the fitted network, whose encodings and layers are "
                    f"kept. Set {name} as in that network to continue from it, {OR_A_CLONE}"
                )

    def check_loss(self, loss: Any) -> None:
        """Refuse a loss with which training cannot be continued.

        Raises
        ------
        ValueError
            If it does not scale y like the loss of the last fit.
        """

    def continued(self, settings: Settings) -> Self:
        """Return this model to be trained further with other settings.

        Raises
        ------
        ValueError
            If the settings describe other encodings or other layers, or a loss that scales y
            differently.
        """
        loss = self.choose_loss(settings, self.target)
        self.check_loss(loss)
        self.check_layers(settings)
        n_outputs = self.target.n_outputs
        network = make_network(settings, self.encoder, self.reader, loss.link, n_outputs)
        if network != self.network:
            of_dropout = settings.dropout != self.settings.dropout
            what = "dropout" if of_dropout else "The loss, its quantile or target_weights"
            raise ValueError(
                f"{what} has changed since the fit of the network, whose layers are kept. Set "
                f"it back to continue, {OR_A_CLONE}"
            )
        # A calibration, such as a dispersion, has the units of its loss.
        kept = self.calibration if loss == self.loss else None
        # In the network, the strength of the penalty on levels may differ.
        return replace(self, settings=settings, loss=loss, network=network, calibration=kept)

    def with_late_scales(self, data: Dataset) -> Self:
        """Return the model with scales for columns that were constant until now.

        The limits of principal components also cover the rows.
        """
        encoder = self.encoder.with_late_scales(data).covering(data)
        if encoder is self.encoder:
            return self  # Building a network takes a twentieth of the time of a small pass.
        link, n_outputs = self.loss.link, self.target.n_outputs
        network = make_network(self.settings, encoder, self.reader, link, n_outputs)
        return replace(self, encoder=encoder, network=network)

    def with_params(self, params: np.ndarray, **training: Any) -> Self:
        """Return the model with other parameters, and with these fields of its provenance."""
        return replace(self, params=params, provenance=replace(self.provenance, **training))

    def begun(
        self, n_rows: int, n_validation: int, cross_fitted: bool = False, resumed: bool = False
    ) -> Self:
        """Return the model of a fit to these numbers of training and validation rows."""
        begun = self.provenance.begun(n_rows, n_validation, cross_fitted, resumed)
        return replace(self, provenance=begun)

    def trained(self, result: TrainingResult) -> Self:
        """Return the model with the parameters of a finished fit."""
        known = {"ending": result.ending.value, "certainty": result.certainty}
        model = self.with_params(result.params, **known, **result.counted)
        return replace(model, calibration=result.calibration)

    def passed(self, result: TrainingResult, n_rows: int) -> Self:
        """Return the model with the parameters after a pass of ``partial_fit``."""
        provenance = self.provenance.passed(n_rows)
        share = min(1.0, n_rows / min(provenance.n_seen, CALIBRATION_ROWS))
        calibration = _moved(self.calibration, result.calibration, share)
        params = result.params
        return replace(self, params=params, provenance=provenance, calibration=calibration)

    # What depends on the kind of y.

    @staticmethod
    def choose_loss(settings: Settings, target: Any) -> Loss:
        """Return the loss of the settings in the form that suits the target."""
        raise NotImplementedError

    def check_target(self, y: Any, name: str, order: tuple[Any, ...] = ()) -> None:
        """Refuse a y that does not suit the target that was learned.

        ``order`` has the classes in the order that the dtype of y declares, if any.

        Raises
        ------
        ValueError
            If y has different outputs, unknown labels, numbers outside the loss's domain, or,
            for a loss that uses it, a different order of the classes.
        """
        raise NotImplementedError

    def initial_change(self) -> Change | None:
        """Return how to change the initial raw predictions, or None for no change.

        The loss may choose where they start, given the distribution of y.
        """
        return self.loss.initial_outputs(*self.target.standardized_moments())

    def training_targets(self, y: Any, smooth: bool = True) -> np.ndarray:
        """Return encoded targets. Labels are smoothed unless ``smooth=False``."""
        Y = self.target.transform(y, self.params.dtype)
        amount = self.settings.values.get("label_smoothing", 0) if smooth else 0
        return self.target.smooth(Y, amount) if amount else Y

    def absorb(self, data: Dataset, others: Iterable[np.ndarray]) -> Self:
        """Return the model whose target has learned from further rows.

        The scale of y changes, and the output layer is changed so that the predictions stay
        the same. The parameter vectors ``others`` are changed in place in the same way.
        """
        target, change = self.absorbed(data)
        if change is None:
            return self
        params = self.params.copy()
        for vector in (params, *others):
            self.network.rescale_outputs(vector, *change)
        loss = self.loss.of_spread(target.spread_)
        return replace(self, target=target, params=params, loss=loss)

    def absorbed(self, data: Dataset) -> tuple[Any, Change | None]:
        """Return the target with further rows, and the change of raw predictions for it.

        If there is no such change, as by default, return the unchanged target and None.
        """
        return self.target, None

    # The rows of training.

    def encode(self, X: Any) -> Any:
        """Return the input of the network for rows of the table."""
        return self.encoder.transform(X, self.params.dtype)

    def blocks(
        self, data: Dataset, encoded_bytes: float | None = None, smooth: bool = True
    ) -> Batches:
        """Return encoded rows in blocks, each of which is processed in one go.

        Labels are smoothed, as in training, unless ``smooth=False``. The weights are divided by
        their mean, as the objective requires. Up to ``encoded_bytes`` of encoded rows are kept,
        by default ``ENCODED_BYTES``.
        """
        Y = self.training_targets(data.y, smooth)
        n_at_once, dtype = self.predictor.block_rows(data.X), self.params.dtype
        given = data.sample_weight
        weight = None if given is None else (given / given.mean()).astype(dtype)
        rows = data._replace(y=Y, sample_weight=weight)
        encode: Callable[[Any], Any] | None = self.encode
        # Rows that are used in each epoch are encoded once, where memory allows.
        n_bytes = data.n_rows * self.encoder.n_outputs_ * dtype.itemsize
        limit = ENCODED_BYTES if encoded_bytes is None else encoded_bytes
        if n_bytes <= limit and not sparse.issparse(data.X):
            blocks = Batches(Dataset(data.X, rows=data.rows), n_at_once, encode)
            (X,) = stack_rows(((batch.X,) for batch in blocks), data.n_rows, dtype)
            rows, encode = Dataset(X, Y, weight), None
        return Batches(rows, n_at_once, encode)

    def augmentation(self, rng: np.random.Generator) -> Augment | None:
        """Return the random changes of training batches, or None if all are off."""
        noise, mixup, encoder = self.settings.input_noise, self.settings.mixup, self.encoder
        if not (noise or mixup):
            return None
        return Augmentation(noise, mixup, encoder.n_numeric_, encoder.n_plain_, rng)

    @property
    def update_rule(self) -> UpdateRule:
        """The rule that turns gradients into steps, for a stochastic solver.

        Fields such as ``ema_decay`` are the settings of the same names.
        """
        settings, n_first = self.settings, self.settings.frozen_layers
        n_frozen = 1 + self.network.hidden_ends[n_first - 1] if n_first else 0
        n_others = len(self.network.layers) - 1 - n_frozen
        rates = *[0.0] * n_frozen, *[settings.hidden_rate_factor] * n_others, 1.0
        solver = cast(Optimizer, settings.solver)
        return UpdateRule(solver, **settings.fields_of(UpdateRule), rates_of_layers=rates)

    @property
    def objective(self) -> Objective:
        """What training minimizes."""
        weighs_steps, penalty = self.settings.solver.stochastic, self.settings.penalty
        return Objective(self.network, self.loss, penalty, weighs_steps=weighs_steps)

    # Predictions.

    @cached_property
    def predictor(self) -> Predictor:
        """The object that computes the outputs of the network for rows of a table."""
        return Predictor(self.network, self.encoder, self.params, self.settings.promise)

    def predict(self, X: Any, function: Callable[[np.ndarray], Arrays]) -> Arrays:
        """Return arrays with a row for each row of X, computed from the raw predictions.

        ``function(raw)`` turns raw predictions in float64 into a tuple of arrays.

        Raises
        ------
        ValueError
            If X is float32, and float32 cannot hold the predictions.
        """
        self.check_precision(X.dtype)
        predictor = self.predictor
        # Inverse links may overflow for very large raw predictions, but give the right limit.
        with np.errstate(over="ignore"):
            return predictor.map_rows(
                X, lambda outputs: function(predictor.settled(outputs[-1].astype(np.float64)))
            )

    def check_precision(self, dtype: np.dtype[Any]) -> None:
        """Refuse X of a dtype that cannot hold the predictions; labels have none to hold."""

    @property
    def n_raw(self) -> int:
        """The number of columns of a member's raw predictions."""
        return self.loss.link.n_raw(self.target.n_outputs)

    @property
    def n_predicted(self) -> int:
        """The number of columns of a prediction of numbers, or of a decision function."""
        return self.loss.link.n_predicted(self.target.n_outputs)

    @property
    def predicts_std(self) -> bool:
        """Whether predictions have a standard deviation: of the members, or of y."""
        return self.n_members > 1 or self.loss.link.predicts_std

    def check_std(self, return_std: bool) -> None:
        """Refuse ``return_std=True`` for a network that predicts no standard deviation.

        Raises
        ------
        ValueError
            If ``return_std`` is True and the network predicts no standard deviation.
        """
        if return_std and not self.predicts_std:
            raise ValueError(f"return_std=True needs {self.std_remedy}")

    @property
    def n_members(self) -> int:
        """The number of members of the ensemble, 1 for a single network."""
        return self.network.n_members

    @property
    def members(self) -> Members:
        """How the members' raw predictions become one prediction."""
        return Members.of(self.network, self.loss.link)


def _moved(before: Any, now: Any, share: float) -> Any:
    """Return a calibration, or one for each target, moved by a share toward a new one."""
    if before is None or now is None:
        return now
    if isinstance(now, tuple):
        return tuple(_moved(*pair, share) for pair in zip(before, now, strict=True))
    return before + share * (now - before)


def learn_encoder(
    settings: Settings, survey: Survey, target: Any = None, keep_rare: bool = False
) -> TableEncoder:
    """Return the encoder of a table.

    Parameters
    ----------
    settings : Settings
    survey : Survey
        The survey of the table, or the merged survey of all its parts, with a sample.
    target : ClassTarget, RegressionTarget or JointTarget, optional
        The encoder of y, from which the effects of levels and codes are learned.
    keep_rare : bool, default=False
        Whether a level that the survey has seen at most once remains a level of its own,
        because further rows may contain it. Otherwise, it is treated as missing.
    """
    ordered = () if settings.promise is None else settings.promise.columns
    fields = settings.fields_of(TableEncoder)
    encoder = TableEncoder(**fields, ordered=ordered, keep_rare=keep_rare)
    # With another number of threads, the last bits of the encoding might differ.
    with ONE_BLAS_THREAD:
        encoder.fit_survey(survey)
        finds_codes = settings.finds_codes
        if target is not None and (finds_codes or encoder.embedded_):
            most_rows = max(1, MOST_NUMBERS // target.n_outputs)
            sample = same_rows(cast(Dataset, survey.sample), most_rows)
            Y = without_gaps(target.transform(sample.y, np.float64))
            labels = isinstance(target, ClassTarget)
            encoder.learn_from_target(sample, Y, labels=labels, finds_codes=finds_codes)
    return encoder
