"""The rules that choose the values of parameters that are "auto".

A rule depends only on the other parameters and on the facts of the training table.
``docs/default_settings.md`` has the rules in one table, and ``docs/study.md`` the measurements
behind them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from sknet._parameters import ADAPTIVE, SIZES, hidden_layer_sizes, is_auto
from sknet.data.columns.categories import MOST_ONE_HOT_LEVELS
from sknet.data.columns.times import MOST_PHASES
from sknet.nn.embeddings import NUMERIC_EMBEDDINGS, MappedPiecewiseLinear, NumericEmbedding
from sknet.nn.lbfgs import is_stochastic
from sknet.nn.losses import is_log_loss
from sknet.nn.optimizers import SGD
from sknet.nn.schedules import SCHEDULES

#: On small tables, the rules choose no dropout, no validation split and no mini-batches, so
#: that a row of weight two has the same effect as two equal rows. A table is small if it has
#: fewer rows than the first number, or fewer than the second in the cases of ``_is_small``:
#: mostly, members would share a split, and a single split of so few rows is no guide.
SMALL, SMALL_WITHOUT_CROSS_FITTING = 50, 100
#: On other tables with few rows: the number of updates that a network needs, and the largest
#: number of epochs in which it makes them.
MIN_UPDATES, MOST_EPOCHS = 2000, 300
#: The number of epochs on a table of 10 000 to 50 000 rows. On larger tables: the number of
#: rows that training visits, where a row counts once for each epoch, and the smallest number
#: of epochs.
EPOCHS, ROW_VISITS, FEWEST_EPOCHS = 60, 3_000_000, 10
#: The number of epochs on small tables, when no validation rows can end the training.
EPOCHS_OF_FEW = 60
#: The number of epochs if the schedule does not take the learning rate to zero, and of
#: iterations of lbfgs.
UNPLANNED_EPOCHS = 200
#: The number of epochs without improvement that ends training if the schedule does not take the
#: learning rate to zero. If it does, this is the upper limit of that number for classes without
#: an order if no column is a category.
PATIENCE = 10
#: What replaces this number on small tables with a stochastic solver and without such a
#: schedule. By default, an epoch is then a single update, and the loss swings at first.
PATIENCE_OF_SINGLE_UPDATES = 20
#: With early stopping and a schedule that takes the learning rate to zero, shares of the number
#: of epochs: if the validation score has not improved for the first share, and for at least
#: ``LEAST_PATIENCE`` epochs, the learning rate falls to zero within the second, unless the last
#: epochs train on all rows.
PLANNED_PATIENCE, COOLING, LEAST_PATIENCE = 0.1, 0.2, 5
#: The score of whole groups of rows is uncertain: one of the first epochs is often the best
#: until the learning rate has fallen. With groups, the patience is therefore multiplied by this
#: number, except for classes without an order.
PATIENCE_OF_GROUPS = 3
#: Except on small tables: the number of mini-batches in an epoch, and the smallest and the
#: largest number of rows in a mini-batch.
BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 25, 32, 200
#: On tables with more than ``BATCHES_OF_MANY`` mini-batches of that size: the number of
#: mini-batches in an epoch, and the largest number of rows in a mini-batch. The second pair
#: follows the first in the same way.
BATCHES_OF_MANY, LARGEST_BATCH_OF_MANY = 100, 500
BATCHES_OF_MOST, LARGEST_BATCH_OF_MOST = 250, 1000
#: The learning rate for batches of the usual number of rows, at most ``LARGEST_BATCH``. The
#: noise of a gradient falls with the square root of the batch size, so the rate grows with this
#: square root. In classification, it grows for batches of up to ``LARGEST_GROWTH`` times the
#: usual number of rows; in regression, only for batches of up to the usual number, since higher
#: rates make the loss of some fits jump.
LEARNING_RATE, LARGEST_GROWTH = 0.01, 2.5
#: The dropout rate, and its upper limit in classification with few rows for each input.
DROPOUT, LARGEST_DROPOUT = 0.1, 0.3
#: The share of each label that is spread over the classes: for each row, and its upper limit.
#: The fewer rows there are, the less exactly the certainty of predictions is corrected.
SMOOTHING_PER_ROW, MOST_SMOOTHING = 1e-5, 0.02
#: The share of the rows that is held out for validation: with fewer than ``MANY`` rows, and
#: with ``MANY`` or more. Members that share no weights hold out the first share of any number
#: of rows, but at most 1 / n_members.
VALIDATION_OF_FEW, VALIDATION_OF_MANY, MANY = 0.2, 0.1, 500
#: The strength of the penalty: alpha times the number of rows.
PENALTY = 0.3
#: The upper limit of alpha. For classes without an order, the second number divides it once,
#: except with very few rows or many inputs, and once for each hidden layer after the second or
#: third, since a strong penalty lets all weights of deep networks fall to zero.
LARGEST_ALPHA, ALPHA_DIVISOR = 0.03, 3
#: alpha on small tables without groups of columns, where it does not depend on the number of
#: rows, so that a row of weight two has the same effect as two equal rows; and alpha for lbfgs
#: and for fewer rows than the last number. These are all there is to learn, as in the truth
#: table of XOR.
ALPHA_OF_FEW, WEAK_ALPHA, FEWEST = 0.025, 5e-7, 5
#: The strength of the penalty with groups of columns. No weight serves several groups, so the
#: usual strength would shrink groups with a small effect to nothing.
PENALTY_OF_GROUPS = 0.003
#: For classes without an order, fewer rows than this for each input mean a stronger penalty and
#: a higher dropout rate. For numbers and ordered classes with many inputs, they mean a stronger
#: penalty, by a factor of at most the second number.
ROWS_PER_INPUT, STRONGEST_OF_NUMBERS = 40, 10
#: The largest number of numeric columns whose embeddings have their usual size, and the
#: smallest number of rows for each of them. The embeddings of more columns shrink in
#: proportion, down to their smallest size. This keeps the network from memorizing small tables,
#: and limits the time of training to a few times the time without embeddings.
FULLY_EMBEDDED, ROWS_PER_EMBEDDED = 50, 10
#: The largest number of principal components of the numeric columns, and the smallest number of
#: rows for each component, in regression and in classification.
MOST_COMPONENTS, ROWS_PER_COMPONENT, ROWS_PER_COMPONENT_OF_CLASSES = 64, 10, 30
#: The number of training rows for each quantile bin, and the limits of the number of bins.
ROWS_PER_BIN, FEWEST_BINS, MOST_BINS = 30, 8, 48
#: The same for groups of columns: a function of few columns hardly overfits, and it can be no
#: sharper than the bins.
ROWS_PER_BIN_OF_GROUPS, MOST_BINS_OF_GROUPS = 5, 128
#: Members share no weights on tables with fewer rows than this, in classification (or if small
#: members suit the table) and in regression. The last number is the usual number of such
#: members.
SEPARATE_ROWS, SEPARATE_ROWS_OF_NUMBERS, SEPARATE_MEMBERS = 4000, 1000, 2
#: In classification, members that share no weights are small on tables with fewer rows than
#: this. So are they if fewer rows than the second number are outside the largest class, on
#: tables of at most the third number of rows: such rows are too few to score a large network.
FEW_ROWS, FEW_OUTSIDE, MOST_IMBALANCED_ROWS = 2000, 600, 20_000
#: The sizes of the layers of small members, the number of updates that they need, and the
#: largest number of epochs in which they make them. With few rows, and more than
#: ``MOST_NARROW`` inputs, the network of a regression has the same sizes.
MOST_NARROW, SMALL_SIZES, SMALL_UPDATES, SMALL_EPOCHS = 100, (64, 64), 800, 100
#: In classification with up to ``MOST_NARROW`` inputs, there are many small members: their
#: number times the number of rows, and the limits of their number.
ROWS_OF_MEMBERS, FEWEST_MEMBERS, MOST_MEMBERS = 5000, 5, 8
#: The last epochs of a fit to more rows than this do not train on the validation rows: a tenth
#: more rows then gains little, and a cool-down that is scored is better. With so many rows, the
#: score is precise enough to begin the cool-down at the best epoch.
MANY_ROWS = 50_000


class Facts(NamedTuple):
    """The facts of the training data that the rules depend on.

    ``n_rows`` is the number of rows of positive weight, including the validation rows that
    are split off later. ``n_levels`` has the number of levels of each category, and ``n_dates``
    is the number of date columns. If the rows are a chunk of a stream, ``n_earlier`` is the
    number of rows in the chunks before it, otherwise None. ``ordered_y`` says whether the loss
    uses an order of the classes, and ``grouped`` whether splits must not divide groups of rows.
    ``minority_share`` is the share of the rows that are not of the largest class, and 1 if
    rows do not have exactly one label. ``is_small`` says whether the rules for small tables
    hold: see ``SMALL``. :func:`choose` sets it.
    """

    n_rows: int
    n_columns: int
    is_sparse: bool
    dtype: np.dtype
    numeric_y: bool
    n_levels: Sequence[int] = ()
    n_dates: int = 0
    n_earlier: int | None = None
    ordered_y: bool = False
    grouped: bool = False
    minority_share: float = 1.0
    is_small: bool = False

    @property
    def n_informative(self) -> int:
        """The number of rows, but at most twice the number outside the largest class."""
        return round(self.n_rows * min(1.0, 2 * self.minority_share))

    @property
    def one_score(self) -> bool:
        """Whether one score determines y: for a numeric y, and for classes with an order."""
        return self.numeric_y or self.ordered_y

    @property
    def is_wide(self) -> bool:
        """Whether there are many inputs."""
        return self.n_inputs > MOST_NARROW

    @property
    def n_seen(self) -> int:
        """The number of rows, including those of earlier chunks."""
        return self.n_rows + (self.n_earlier or 0)

    @property
    def n_numbers(self) -> int:
        """The number of numeric columns; a date also counts once for each possible phase."""
        return self.n_columns - len(self.n_levels) + MOST_PHASES * self.n_dates

    @property
    def n_inputs(self) -> int:
        """How many numbers describe a row.

        A category counts once for each level, up to the largest number of one-hot columns.
        """
        return self.n_numbers + sum(min(n, MOST_ONE_HOT_LEVELS) for n in self.n_levels)

    @property
    def n_memorable(self) -> int:
        """The number of inputs if all levels count: rare ones help to memorize rows."""
        return self.n_numbers + sum(self.n_levels)


def choose(
    parameters: Mapping[str, Any], facts: Facts, last: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a value for each parameter that is "auto", by name.

    Parameters
    ----------
    parameters : mapping of str to object
        All parameters of an estimator.
    facts : Facts
    last : mapping of str to object
        The values that were chosen in the last fit, if it is to be continued; otherwise empty.
        Those of ``SHAPING`` are kept.
    """
    known = dict(parameters)
    facts = facts._replace(is_small=_is_small(known, facts))
    chosen = {}
    for name, rule in RULES.items():
        if is_auto(known.get(name)):
            keeps = name in SHAPING and name in last
            chosen[name] = known[name] = last[name] if keeps else rule(known, facts)
    return chosen


def _is_small(given: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether the rules for small tables hold, for the parameters that are given."""
    if not SMALL <= facts.n_rows < SMALL_WITHOUT_CROSS_FITTING:
        return facts.n_rows < SMALL
    stops = given["early_stopping"] and given["scoring"] == "loss"
    fraction = given["validation_fraction"]
    stops = stops and (is_auto(fraction) or isinstance(fraction, Real))
    separate = not given["share_weights"] and given["n_members"] != 1
    if is_auto(given["share_weights"]):
        separate = not _share_weights(given, facts)
    return not (stops and separate)


def bins_for(n_rows: int, grouped: bool = False) -> int:
    """Return the number of quantile bins of each numeric column, with or without groups."""
    per_bin, most = ROWS_PER_BIN, MOST_BINS
    if grouped:
        per_bin, most = ROWS_PER_BIN_OF_GROUPS, MOST_BINS_OF_GROUPS
    return int(np.clip(n_rows // per_bin, FEWEST_BINS, most))


def learning_rate(batch_size: int, usual: int, numeric_y: bool) -> float:
    """Return the learning rate for a batch size, given the usual batch size.

    The square root is the scaling rule of Malladi, Lyu, Panigrahi and Arora (2022), "On the
    SDEs and scaling rules for adaptive gradient algorithms".
    """
    growth = min(batch_size / usual, 1 if numeric_y else LARGEST_GROWTH)
    return LEARNING_RATE * math.sqrt(growth)


def scores_gaps(embedding: NumericEmbedding | None, facts: Facts) -> bool:
    """Return whether numeric columns with a gap also become normal scores.

    Without an embedding, each numeric column remains one input, as it does for an embedding
    whose edges of bins are given by column.
    """
    if embedding is None or facts.n_numbers > MOST_NARROW:
        return False
    return not (isinstance(embedding, MappedPiecewiseLinear) and embedding.edges)


def scores_tails(facts: Facts) -> bool:
    """Return whether there are enough rows for scores of columns with a very long tail, too.

    Scores are further inputs, so there must be enough rows even if all columns have them.
    """
    # Nobody knows how many rows follow a chunk.
    enough = facts.n_rows >= 2 * ROWS_PER_INPUT * facts.n_inputs
    return enough or facts.n_earlier is not None


def keeps_tails(facts: Facts) -> bool:
    """Return whether numeric columns with a long tail are clipped farther from their center.

    With many columns, a few rows with numbers far out would decide the weights.
    """
    return facts.numeric_y and facts.n_numbers <= MOST_NARROW


def level_penalty(known: Mapping[str, Any], facts: Facts) -> float:
    """Return the strength of the penalty on levels' vectors, per row that the prior is worth.

    It is zero with ``alpha=0`` and with lbfgs. It is also zero for a chunk, since the number of
    rows that follow is unknown.
    """
    penalized = known["alpha"] > 0 and is_stochastic(known["solver"])
    return 1 / facts.n_rows if penalized and facts.n_earlier is None else 0.0


def _is_planned(known: Mapping[str, Any]) -> bool:
    """Return whether the schedule takes the learning rate to zero over ``max_iter`` epochs."""
    given = known["learning_rate"]
    schedule = SCHEDULES[given] if isinstance(given, str) else given
    return is_stochastic(known["solver"]) and schedule.has_horizon


def _is_sgd(known: Mapping[str, Any]) -> bool:
    return known["solver"] == "sgd" or isinstance(known["solver"], SGD)


def _has_adaptive_solver(known: Mapping[str, Any]) -> bool:
    """Return whether the solver adapts its steps to each parameter, unlike sgd and lbfgs."""
    return is_stochastic(known["solver"]) and not _is_sgd(known)


def _suits_extras(known: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether the number of rows and the solver suit dropout and learned features.

    With sgd or lbfgs, users expect the plain network of scikit-learn, and its time.
    """
    return not facts.is_small and _has_adaptive_solver(known)


def _batch_size(known: Mapping[str, Any], facts: Facts) -> int:
    of_many = min(facts.n_rows // BATCHES_OF_MANY, LARGEST_BATCH_OF_MANY)
    of_most = min(facts.n_rows // BATCHES_OF_MOST, LARGEST_BATCH_OF_MOST)
    return max(_usual_batch_size(facts), of_many, of_most)


def _usual_batch_size(facts: Facts) -> int:
    """Return the batch size for which ``LEARNING_RATE`` is chosen."""
    if facts.is_small:
        return facts.n_rows
    return int(np.clip(facts.n_rows // BATCHES, SMALLEST_BATCH, LARGEST_BATCH))


def _learning_rate_init(known: Mapping[str, Any], facts: Facts) -> float:
    if not is_stochastic(known["solver"]):
        return LEARNING_RATE
    batch_size = min(known["batch_size"], facts.n_rows)
    return learning_rate(batch_size, _usual_batch_size(facts), facts.numeric_y)


def _alpha(known: Mapping[str, Any], facts: Facts) -> float:
    if not is_stochastic(known["solver"]) or facts.n_seen < FEWEST:
        return WEAK_ALPHA
    if known["interaction_cst"] is not None:
        return PENALTY_OF_GROUPS / facts.n_seen
    scarcity = _scarcity(facts, facts.n_inputs, facts.n_rows)
    very_few = facts.n_seen < SMALL_WITHOUT_CROSS_FITTING
    few = facts.is_small and very_few
    if facts.one_score:
        factor = min(scarcity, STRONGEST_OF_NUMBERS) if facts.is_wide else 1
        n_divided = 0
    else:
        factor = scarcity**2
        keeps = very_few or facts.is_wide
        n_divided = max(0 if keeps else 1, len(hidden_layer_sizes(known)) - 2)
    alpha = ALPHA_OF_FEW if few else PENALTY * factor / facts.n_seen
    return min(alpha, LARGEST_ALPHA / ALPHA_DIVISOR**n_divided)


def _scarcity(facts: Facts, n_inputs: int, n_rows: int) -> float:
    """Return the factor by which rows are too few for the inputs; 1 if there are enough.

    It is 1 for sparse rows, whose inputs are mostly zero, and for chunks, since the number of
    rows that follow is unknown.
    """
    if facts.is_sparse or facts.n_earlier is not None:
        return 1.0
    return max(1.0, ROWS_PER_INPUT * n_inputs / max(1, n_rows))


def _max_iter(known: Mapping[str, Any], facts: Facts) -> int:
    if not _is_planned(known):
        return UNPLANNED_EPOCHS
    if facts.is_small:
        return EPOCHS_OF_FEW
    updates = math.ceil(facts.n_rows / known["batch_size"])
    if _has_small_members(known, facts):
        return min(math.ceil(SMALL_UPDATES / updates), SMALL_EPOCHS)
    enough = min(math.ceil(MIN_UPDATES / updates), MOST_EPOCHS)
    affordable = max(FEWEST_EPOCHS, min(EPOCHS, ROW_VISITS // facts.n_rows))
    return max(enough, affordable)


def _n_iter_no_change(known: Mapping[str, Any], facts: Facts) -> float:
    if not _is_planned(known):
        single = facts.is_small and is_stochastic(known["solver"])
        return PATIENCE_OF_SINGLE_UPDATES if single else PATIENCE
    patience = max(math.ceil(PLANNED_PATIENCE * known["max_iter"]), LEAST_PATIENCE)
    if facts.grouped and facts.one_score:
        return patience * PATIENCE_OF_GROUPS
    by_numbers = not (facts.one_score or facts.n_levels)
    return min(patience, PATIENCE) if by_numbers else patience


def _early_stopping(known: Mapping[str, Any], facts: Facts) -> bool:
    # With sgd, users expect the training of scikit-learn, unless the network is a richer one,
    # such as one that a fit continues, or they ask for something that needs validation rows.
    is_plain = known["numeric_embedding"] is None and known["n_members"] == 1
    asked = (
        facts.grouped or known["scoring"] != "loss" or not is_auto(known["validation_fraction"])
    )
    return not facts.is_small and (asked or not (_is_sgd(known) and is_plain))


def _validation_fraction(known: Mapping[str, Any], facts: Facts) -> float:
    if not known["share_weights"]:
        return min(1 / known["n_members"], VALIDATION_OF_FEW)
    return VALIDATION_OF_FEW if facts.n_rows < MANY else VALIDATION_OF_MANY


def _dropout(known: Mapping[str, Any], facts: Facts) -> float | str:
    # The network of a group has few units, and none to spare.
    if not _suits_extras(known, facts) or known["interaction_cst"] is not None:
        return 0.0
    if facts.numeric_y:
        return ADAPTIVE
    if facts.ordered_y:
        return DROPOUT
    # A large class says little about the boundary to rows of other classes, if these are few.
    scarcity = _scarcity(facts, facts.n_memorable, facts.n_informative)
    return min(DROPOUT * scarcity, LARGEST_DROPOUT)


def _label_smoothing(known: Mapping[str, Any], facts: Facts) -> float:
    # Predictions become less certain than they should be, which only held-out rows that are
    # independent can correct. Rows of several labels were not measured.
    is_corrected = known["early_stopping"] and facts.n_earlier is None and not facts.grouped
    has_one_label = facts.minority_share < 1 and is_log_loss(known["loss"])
    suited = is_corrected and has_one_label and _suits_extras(known, facts)
    return min(SMOOTHING_PER_ROW * facts.n_rows, MOST_SMOOTHING) if suited else 0.0


def _numeric_embedding(known: Mapping[str, Any], facts: Facts) -> str | NumericEmbedding | None:
    if facts.is_sparse or not _suits_extras(known, facts):
        return None
    grouped = known["interaction_cst"] is not None
    name = "piecewise_linear" if facts.one_score or grouped else "periodic"
    usual = min(FULLY_EMBEDDED, facts.n_rows / ROWS_PER_EMBEDDED)
    if facts.n_numbers <= usual:
        return name
    return NUMERIC_EMBEDDINGS[name]().reduced(usual / facts.n_numbers)


def _is_constrained(known: Mapping[str, Any]) -> bool:
    """Return whether a constraint sets the effects of columns apart."""
    return known["interaction_cst"] is not None or bool(known["monotonic_cst"])


def _n_components(known: Mapping[str, Any], facts: Facts) -> int:
    given = known["numeric_embedding"]
    embedding = NUMERIC_EMBEDDINGS[given] if isinstance(given, str) else given
    suited = _suits_extras(known, facts) and embedding is not None and embedding.keeps_numbers
    if not suited or facts.n_numbers == 1 or _is_constrained(known):
        return 0
    n_rows = ROWS_PER_COMPONENT if facts.one_score else ROWS_PER_COMPONENT_OF_CLASSES
    return min(MOST_COMPONENTS, facts.n_numbers, facts.n_rows // n_rows)


def _column_scales(known: Mapping[str, Any], facts: Facts) -> bool:
    suited = _suits_extras(known, facts) and known["numeric_embedding"] is not None
    return suited and bool(hidden_layer_sizes(known)) and not _is_constrained(known)


def _suits_small_network(facts: Facts) -> bool:
    """Return whether so few rows, or so few of the rarer classes, need a small network."""
    if facts.numeric_y:
        few = not facts.is_small and facts.n_rows < SEPARATE_ROWS_OF_NUMBERS
    else:
        n_outside = facts.n_rows * facts.minority_share
        imbalanced = n_outside < FEW_OUTSIDE and facts.n_rows <= MOST_IMBALANCED_ROWS
        few = facts.n_rows < FEW_ROWS or imbalanced
    return few and facts.n_earlier is None


def _suits_separate_members(known: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether members may share no weights.

    The table must not have too many rows, and the other parameters must suit such members.
    """
    # The loss is a mean over the members, so it would divide sgd's steps by their number.
    adaptive = _has_adaptive_solver(known)
    suited = adaptive and not facts.is_sparse and not _is_constrained(known)
    embedded = known["numeric_embedding"] is not None or facts.is_small
    of_classes = not facts.numeric_y and facts.n_earlier is None
    separate = _suits_small_network(facts) or (of_classes and facts.n_rows < SEPARATE_ROWS)
    return separate and embedded and suited


def _is_one_small_network(known: Mapping[str, Any], facts: Facts) -> bool:
    """Return whether one small network is enough: a second would double a long fit's time."""
    return facts.numeric_y and facts.is_wide and _suits_separate_members(known, facts)


def _share_weights(known: Mapping[str, Any], facts: Facts) -> bool:
    # If the user has chosen the sizes, several networks would cost more than expected.
    chosen = not is_auto(known["hidden_layer_sizes"]) or known["n_members"] == 1
    suited = _suits_separate_members(known, facts)
    return chosen or not suited or _is_one_small_network(known, facts)


def _suits_small_members(known: Mapping[str, Any], facts: Facts) -> bool:
    separate = known["n_members"] != 1 and not known["share_weights"]
    return separate and _suits_small_network(facts) and not facts.numeric_y


def _hidden_layer_sizes(known: Mapping[str, Any], facts: Facts) -> tuple[int, ...]:
    small = _is_one_small_network(known, facts) or _suits_small_members(known, facts)
    return SMALL_SIZES if small or _is_sgd(known) else SIZES


def _has_small_members(known: Mapping[str, Any], facts: Facts) -> bool:
    sizes = tuple(hidden_layer_sizes(known))
    return _suits_small_members(known, facts) and sizes == SMALL_SIZES


def _n_members(known: Mapping[str, Any], facts: Facts) -> int:
    if _is_sgd(known):
        return 1
    if not facts.is_wide and _has_small_members(known, facts):
        return int(np.clip(ROWS_OF_MEMBERS // facts.n_rows, FEWEST_MEMBERS, MOST_MEMBERS))
    if not known["share_weights"]:
        return SEPARATE_MEMBERS
    return 1 if facts.numeric_y or known["interaction_cst"] is not None else 2


def _dtype(known: Mapping[str, Any], facts: Facts) -> str:
    small = facts.is_small and facts.dtype == np.float64
    return "float64" if small or not is_stochastic(known["solver"]) else "float32"


Rule = Callable[[Mapping[str, Any], Facts], Any]

#: The rule of each parameter. The order matters, since a rule sees the values that the rules
#: before it have chosen.
RULES: dict[str, Rule] = {
    "numeric_embedding": _numeric_embedding,
    "share_weights": _share_weights,
    "hidden_layer_sizes": _hidden_layer_sizes,
    "n_members": _n_members,
    "alpha": _alpha,
    "batch_size": _batch_size,
    "learning_rate_init": _learning_rate_init,
    "max_iter": _max_iter,
    "n_iter_no_change": _n_iter_no_change,
    "early_stopping": _early_stopping,
    "validation_fraction": _validation_fraction,
    "dropout": _dropout,
    "label_smoothing": _label_smoothing,
    "n_components": _n_components,
    "column_scales": _column_scales,
    "dtype": _dtype,
}

#: The parameters that shape the network. A fit that continues a network keeps their values.
SHAPING = (
    *("numeric_embedding", "share_weights", "hidden_layer_sizes", "n_members"),
    *("dropout", "n_components", "column_scales", "dtype"),
)
