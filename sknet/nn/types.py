"""Names for the types of arrays that the modules of ``sknet.nn`` hand to each other."""

from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: A dense array of float32 or float64.
Array: TypeAlias = NDArray[np.floating[Any]]
#: Rows of a network's input: a dense array or a sparse matrix in CSR format. Sparse
#: matrices are Any, since SciPy has no types.
Rows: TypeAlias = Array | Any
#: The arrays of one layer by attribute: its parameters, or the gradients of its parameters.
Views: TypeAlias = SimpleNamespace
#: The declarations of a layer's work arrays by name. A number declares an array with a row for
#: each row of the batch and so many columns. A function ``make(n_rows, dtype)`` returns
#: anything else. A dict declares the work arrays of an inner layer.
WorkArrays: TypeAlias = dict[str, Any]
#: The work arrays of one layer by name, as they were declared.
Buffers: TypeAlias = dict[str, Any]
#: The increasing edges of the bins of each column.
Edges: TypeAlias = tuple[tuple[float, ...], ...]
#: The positions of the columns of each group.
Groups: TypeAlias = tuple[tuple[int, ...], ...]
