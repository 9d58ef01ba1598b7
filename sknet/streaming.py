"""Data larger than memory: tables that are read in blocks, files that are read in chunks."""

from sknet.data.row_blocks import RowBlocks

__all__ = ["RowBlocks"]
