"""Configuration of Sphinx.

Build without a network by: python -m sphinx -W -b html docs docs/_build/html
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE / "_ext"))

import skgeo  # noqa: E402

project = "skgeo"
author = "The skgeo developers"
copyright = "The skgeo developers"
release = skgeo.__version__
version = ".".join(release.split(".")[:2])

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "offline_math",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "api_reference",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "_templates", "reference/generated/overview.rst"]
root_doc = "index"
language = "en"
# Quotes in types and code stay what they are.
smartquotes = False
# `Name` in single backticks, as docstrings have it: a link where there is something to link to.
default_role = "py:obj"
add_module_names = False
toc_object_entries_show_parents = "hide"

autosummary_generate = True
autosummary_imported_members = False
autodoc_member_order = "bysource"
# numpydoc has the types in the docstrings, with their shapes and units.
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["auto_examples"],
    # Only scripts named plot_*.py are run while the pages are built; the others, which take minutes
    # or photographs of your own, are shown.
    "filename_pattern": r"[\\/]plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skgeo"
html_math_renderer = "matplotlib"  # docs/_ext/offline_math.py
html_static_path = ["_static"]
html_css_files = ["skgeo.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skgeo"},
    "navbar_align": "left",
    "show_nav_level": 1,
    "show_toc_level": 2,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "index": [],
    "install": [],
    "quickstart": [],
    "paper": [],
    "contributing": [],
}
