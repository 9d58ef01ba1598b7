"""The outputs of a network for rows of a table, computed block by block."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from sknet.data.batches import Batches, Dataset, stack_rows
from sknet.data.encoding import TableEncoder
from sknet.nn.monotone import Promise
from sknet.nn.network import Network, Workspace

#: Arrays with a row for each row of a table.
Arrays: TypeAlias = tuple[np.ndarray, ...]

#: The number of elements of the widest layer's output when rows are processed in blocks: in
#: predictions, validation and lbfgs.
WORKSPACE_ELEMENTS = 2**18
#: The smallest number of rows of a block, since products of fewer rows are slow.
MIN_BLOCK_ROWS = 64
#: The largest number of workspaces for a single row that are kept for later predictions. Each
#: thread that predicts at the same time uses one.
MOST_SPARE = 8


@dataclass(eq=False)
class Predictor:
    """Encodes rows of a table and passes them through a network, block by block.

    With a promise, the parameters are float64, and the number of rows in a block is a multiple
    of the promise's ``tile``, so that the products of all rows are rounded alike.

    The work arrays for single rows are kept for later calls, since a service would spend much
    of its time making new ones. They are not kept if a promise needs a float64 copy of the
    parameters. Threads may share a predictor: each takes its own work arrays.

    Parameters
    ----------
    network : Network
    encoder : TableEncoder
    fitted : ndarray of shape (n_params,)
        The parameters as they were fitted.
    promise : Promise or None
        The promise of the monotonic constraints.
    """

    network: Network
    encoder: TableEncoder
    fitted: np.ndarray
    promise: Promise | None
    _spare: list[Workspace] = field(default_factory=list, init=False)

    @property
    def tile(self) -> int:
        """The number of rows in a block is a multiple of this number."""
        return 1 if self.promise is None else self.promise.tile

    @property
    def params(self) -> np.ndarray:
        """The parameters in the precision of predictions."""
        if self.promise is None:
            return self.fitted
        # Converted in each call, since the user may change parameters in place.
        return self.fitted.astype(np.float64, copy=False)

    def block_rows(self, X: Any) -> int:
        """Return the number of rows of X to process at once."""
        widths = self.network.widths
        if sparse.issparse(X) and self.encoder.keeps_sparse:
            # Sparse rows need no dense work array before the first layer.
            widths = widths[1:]
        return max(MIN_BLOCK_ROWS, WORKSPACE_ELEMENTS // max(widths))

    def map_rows(self, X: Any, function: Callable[[list[np.ndarray]], Arrays]) -> Arrays:
        """Return arrays with a row for each row of X, computed block by block.

        Parameters
        ----------
        X : ndarray, CSR matrix or RowBlocks
            Rows as ``Features.read`` returns them.
        function : callable
            ``function(outputs)`` turns the outputs of all layers for a block, the raw
            predictions last, into a tuple of arrays. The next block overwrites the outputs.

        Returns
        -------
        tuple of ndarray
            Arrays of floating-point numbers have the dtype of X.
        """
        results = (
            function([one[:n_rows] for one in workspace.outputs])
            for workspace, n_rows in self.forward_blocks(X)
        )
        return stack_rows(results, X.shape[0], X.dtype)

    def forward_blocks(self, X: Any) -> Iterator[tuple[Workspace, int]]:
        """Yield a workspace after the forward pass of each block of rows.

        Parameters
        ----------
        X : ndarray, CSR matrix or RowBlocks
            Rows as ``Features.read`` returns them.

        Yields
        ------
        workspace : Workspace
            The next block overwrites its arrays.
        n_rows : int
            The number of rows of the block. The arrays may be longer.
        """
        tile = self.tile
        n_at_once = self.block_rows(X) // tile * tile
        params = self.params
        encode = partial(self.encoder.transform, dtype=params.dtype)
        blocks = Batches(Dataset(X), n_at_once, encode)
        most_rows = round_up(blocks.batch_size, tile)
        workspace = self._workspace(most_rows, params.dtype)
        for batch in blocks:
            n_rows = batch.X.shape[0]
            rows = with_rows(batch.X, round_up(n_rows, tile))
            self.network.forward(params, rows, workspace)
            yield workspace, n_rows
        # A workspace remembers the parameters, and would keep a copy of them in memory.
        if most_rows == tile and params is self.fitted and len(self._spare) < MOST_SPARE:
            self._spare.append(workspace)

    def _workspace(self, n_rows: int, dtype: np.dtype[Any]) -> Workspace:
        """Return work arrays for a number of rows: new ones, or spare ones for a single row."""
        if n_rows == self.tile:
            # At first there are none, and other threads may have taken them all.
            with suppress(IndexError):
                return self._spare.pop()
        return Workspace(self.network, n_rows, dtype)

    def settled(self, sums: np.ndarray) -> np.ndarray:
        """Return sums of products, in float64, without differences that come from rounding.

        Without a promise, they are returned unchanged.
        """
        return sums if self.promise is None else self.promise.settled(sums)


def round_up(n_rows: int, tile: int) -> int:
    """Return the smallest multiple of ``tile`` that is not below a number of rows."""
    return -(-n_rows // tile) * tile


def with_rows(X: Any, n_rows: int) -> Any:
    """Return rows of a network's input, dense or CSR, with rows of zeros up to ``n_rows``."""
    if X.shape[0] == n_rows:
        return X
    if sparse.issparse(X):
        X = X.copy()
        X.resize(n_rows, X.shape[1])
        return X
    whole = np.zeros((n_rows, X.shape[1]), X.dtype)
    whole[: len(X)] = X
    return whole
