"""Batches of a model's data, as its network takes them."""

from functools import partial

from scipy import sparse

from sknet.data.augmentation import Augmentation
from sknet.data.batches import Batch, Batches, Dataset, stack_rows
from sknet.data.chunks import ChunkBatches

#: Most bytes of encoded rows that are kept, instead of encoding them batch by batch.
ENCODED_BYTES = 32 * 2**20
#: Elements of the widest work array where rows are processed in blocks, outside of steps,
#: and the fewest rows of a block: products of fewer are slow.
BLOCK_ELEMENTS = 2**18
MIN_BLOCK_ROWS = 64


def mini_batches(model, data, streams, encoded_bytes=None):
    """Return the batches to make steps on, shuffled and augmented by ``streams``.

    Up to ``encoded_bytes`` of encoded rows are kept; by default ``ENCODED_BYTES``.
    """
    rng = streams["shuffle"] if model.shuffle else None
    augment = _augmentation(model, streams)
    return _encoded(
        model,
        data,
        model._settings.batch_size,
        training=True,
        encoded_bytes=encoded_bytes,
        rng=rng,
        augment=augment,
    )


def chunk_batches(model, open_chunks, n_rows, mean_weight, streams):
    """Return the batches to make steps on, of chunks that come anew in each epoch.

    ``open_chunks()`` begins an epoch of checked chunks; ``mean_weight`` is that of a row.
    """
    encode = partial(_encoded_chunk, model, mean_weight=mean_weight)
    augment = _augmentation(model, streams)
    return ChunkBatches(open_chunks, n_rows, model._settings.batch_size, encode, augment)


def _encoded_chunk(model, chunk, mean_weight):
    """Return a chunk of checked rows as the network takes it."""
    dtype = model._params.dtype
    weight = model._row_weights(chunk.y, chunk.sample_weight, chunk.y)
    if weight is not None:
        weight = (weight / mean_weight).astype(dtype)
    X = model._table.transform(chunk.X, dtype)
    return Batch(X, model._smoothed(model._target.transform(chunk.y, dtype)), weight)


def _augmentation(model, streams):
    """Return what changes the batches to make steps on, or None."""
    if not (model.input_noise or model.mixup):
        return None
    return Augmentation(
        model.input_noise,
        model.mixup,
        model._table.n_numeric_,
        model._table.n_plain_,
        streams["augmentation"],
    )


def training_blocks(model, data):
    """Return blocks of all rows to train on, for a solver that takes them at once."""
    return _encoded(model, data, block_rows(model, data.X), training=True)


def validation_blocks(model, data, encoded_bytes=None):
    """Return blocks of rows to evaluate again and again."""
    return _encoded(model, data, block_rows(model, data.X), encoded_bytes=encoded_bytes)


def prediction_blocks(model, X):
    """Return blocks of rows to predict for, each encoded when its turn comes."""
    encode = partial(model._table.transform, dtype=model._params.dtype)
    return Batches(Dataset(X), block_rows(model, X), encode)


def block_rows(model, X):
    """Return how many rows fit a block; sparse ones take no room before the first layer."""
    widths = model._network.widths
    if sparse.issparse(X) and model._table.keeps_sparse:
        widths = widths[1:]
    return max(MIN_BLOCK_ROWS, BLOCK_ELEMENTS // max(widths))


def _encoded(model, data, batch_size, *, training=False, encoded_bytes=None, **options):
    """Return batches of encoded rows and targets, with weights of mean one."""
    weight, dtype = data.sample_weight, model._params.dtype
    y = model._target.transform(data.y, dtype)
    if training:
        y = model._smoothed(y)
    if weight is not None:
        weight = (weight / weight.mean()).astype(dtype)
    data = data._replace(y=y, sample_weight=weight)
    encode = partial(model._table.transform, dtype=dtype)
    # Rows that are used in each epoch are encoded once, where memory allows.
    n_bytes = data.n_rows * model._table.n_outputs_ * dtype.itemsize
    limit = ENCODED_BYTES if encoded_bytes is None else encoded_bytes
    if n_bytes <= limit and not sparse.issparse(data.X):
        rows = Dataset(data.X, rows=data.rows)
        blocks = Batches(rows, block_rows(model, data.X), encode)
        (X,) = stack_rows(((batch.X,) for batch in blocks), data.n_rows, dtype)
        data, encode = Dataset(X, y, weight), None
    return Batches(data, batch_size, encode, **options)
