"""The version number, in a module that imports nothing, so that every other may import it."""

__version__ = "1.0.0.dev0"
