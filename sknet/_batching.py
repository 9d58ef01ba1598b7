"""Batches of a table's rows, encoded as the input of a model's network."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from sknet._model import Model
from sknet.data.batches import Batch, Batches, Dataset, n_rows, stack_rows
from sknet.data.draws import Augmentation

#: The largest number of bytes of encoded rows that are kept. Larger tables are encoded batch
#: by batch.
ENCODED_BYTES = 32 * 2**20

Streams = Mapping[str, Any]


def mini_batches(
    model: Model, data: Dataset, streams: Streams, encoded_bytes: float | None = None
) -> Batches:
    """Return the batches of training steps, shuffled and augmented by random ``streams``.

    Up to ``encoded_bytes`` of encoded rows are kept, by default ``ENCODED_BYTES``.
    """
    return _encoded(
        model,
        _training_targets(model, data),
        model.settings.batch_size,
        encoded_bytes,
        rng=streams["shuffle"] if model.settings.shuffle else None,
        augment=augmentation(model, streams),
    )


def encoded_chunk(model: Model, mean_weight: float, chunk: Batch) -> Batch:
    """Return a chunk of checked rows as the encoded input of the network.

    ``mean_weight`` is that of the training rows of all chunks.
    """
    dtype = model.params.dtype
    weight = model.row_weights(model.settings, model.target, chunk.y, chunk.sample_weight)
    if weight is None and mean_weight != 1:
        weight = np.ones(n_rows(chunk))  # Other chunks have weights.
    if weight is not None:
        weight = (weight / mean_weight).astype(dtype)
    Y = model.smoothed(model.target.transform(chunk.y, dtype))
    return Batch(model.encode(chunk.X), Y, weight)


def training_blocks(model: Model, data: Dataset) -> Batches:
    """Return blocks of all training rows, for a solver that needs all rows in each step."""
    return _encoded(model, _training_targets(model, data), model.block_rows(data.X))


def validation_blocks(
    model: Model, data: Dataset, encoded_bytes: float | None = None
) -> Batches:
    """Return blocks of validation rows, which are evaluated after each epoch."""
    targets = model.target.transform(data.y, model.params.dtype)
    return _encoded(model, data._replace(y=targets), model.block_rows(data.X), encoded_bytes)


def _training_targets(model: Model, data: Dataset) -> Dataset:
    """Return the rows with the encoded targets of training, after label smoothing."""
    Y = model.target.transform(data.y, model.params.dtype)
    return data._replace(y=model.smoothed(Y))


def augmentation(model: Model, streams: Streams) -> Augmentation | None:
    """Return the random changes of training batches, or None if both are switched off."""
    settings, encoder = model.settings, model.encoder
    if not (settings.input_noise or settings.mixup):
        return None
    return Augmentation(
        settings.input_noise,
        settings.mixup,
        encoder.n_numeric_,
        encoder.n_plain_,
        streams["augmentation"],
    )


def _encoded(
    model: Model,
    data: Dataset,
    batch_size: int,
    encoded_bytes: float | None = None,
    rng: np.random.Generator | None = None,
    augment: Augmentation | None = None,
) -> Batches:
    """Return batches of encoded rows, given encoded targets.

    The weights are divided by their mean, as the objective requires.
    """
    weight, dtype = data.sample_weight, model.params.dtype
    if weight is not None:
        weight = (weight / weight.mean()).astype(dtype)
    data = data._replace(sample_weight=weight)
    encode: Callable[[Any], Any] | None = model.encode
    # Rows that are used in each epoch are encoded once, where memory allows.
    n_bytes = data.n_rows * model.encoder.n_outputs_ * dtype.itemsize
    limit = ENCODED_BYTES if encoded_bytes is None else encoded_bytes
    if n_bytes <= limit and not sparse.issparse(data.X):
        rows = Dataset(data.X, rows=data.rows)
        blocks = Batches(rows, model.block_rows(data.X), encode)
        (X,) = stack_rows(((batch.X,) for batch in blocks), data.n_rows, dtype)
        data, encode = Dataset(X, data.y, weight), None
    return Batches(data, batch_size, encode, rng, augment)
