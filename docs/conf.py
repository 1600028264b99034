"""The site: `python -m sphinx -W docs build/site`. Nothing is fetched, neither while it is built nor while it
is read."""

import os
import sys
from pathlib import Path

import genzoo

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "extensions"))

project = "genzoo"
author = "the genzoo authors"
copyright = "the genzoo authors, MIT licence"
version = release = genzoo.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "commands",
    "lesson",
    "notebooks",
    "repository",
    "docstrings",
    "streams",
    "gallery",
]
exclude_patterns = ["extensions", "tests", "generated", "examples/*/**", "**/.ipynb_checkpoints"]
master_doc = "index"
language = "en"

html_theme = "furo"
html_title = "genzoo"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["genzoo.css"]
html_show_sphinx = False
html_copy_source = True  # tutorials link to theirs
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

# MathJax 3.2.2 lies in _static with its licence: one file that holds its fonts as well, so that a page asks
# nobody for anything.
mathjax_path = "mathjax/tex-svg.js"

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The button copies commands without prompts and outputs; what a notebook printed needs none.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.highlight-bash pre, div.highlight-python pre, div.cell_input pre"

# Tutorials run when the site is built; a cell that fails is an error, and one that did not change is not run
# again.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS.parent / "build" / "notebooks")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_number_source_lines = False

suppress_warnings = ["autosummary.import_cycle"]  # of full names, which are safe: none is looked for
autosummary_generate = False  # tables on the pages themselves, no page for each name
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
smartquotes_action = "qe"  # no dashes: an option of a command keeps its two
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
default_role = "code"
viewcode_follow_imported_members = False  # each name leads to the module where it is written

# Tutorials compute little: one thread is fastest, and they print neither colours nor bars. They use this
# environment's `genzoo` and see neither the data sets nor the weights that somebody has beside it, so that
# the site is the same wherever it is built.
os.environ.update(OMP_NUM_THREADS="1", NO_COLOR="1", TQDM_DISABLE="1", COLUMNS="100", HF_HUB_OFFLINE="1")
os.environ.update(JUPYTER_PLATFORM_DIRS="1", PYDEVD_DISABLE_FILE_VALIDATION="1")
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ["GENZOO_CACHE"] = str(DOCS.parent / "build" / "cache")
for name in ("GENZOO_DATA", "GENZOO_ZOO", "GENZOO_PLUGINS", "GENZOO_DEBUG"):
    os.environ.pop(name, None)
