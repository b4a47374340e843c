"""One thread for the numerical libraries: lives where images can reach it, too."""

from .._threads import single_threaded

__all__ = ["single_threaded"]
