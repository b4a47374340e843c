"""The command ``skgeo``: fit, locate, evaluate and info, over the objects of the library."""

from ._main import main as main
