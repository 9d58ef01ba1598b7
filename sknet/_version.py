"""The version, in a room of its own so that every module may import it."""

__version__ = "0.2.0.dev0"
