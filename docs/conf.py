"""The documentation site: `make docs` builds it from the Markdown files of the repository, as they are.

Sphinx's source folder is the repository, so that every link between files works on GitHub and on the site alike;
`include_patterns` names its pages. Nothing is fetched from a network.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "site"))  # our extensions

project = "backcast"
author = "the backcast developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "docstrings", "program"]

root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/notebooks/*.md",
    "results/small/*.md",
    "benchmarks/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "runs", "demo", "build", "dist", "docs/_build", "results/*/runs", "src", "tests"]

# Markdown as GitHub reads it; headings have the same links as on GitHub, too.
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4
smartquotes = False  # flags begin with two hyphens
highlight_language = "none"

# Every build runs the notebooks from scratch, and a cell that fails ends it.
# Their networks are so small that one thread is faster than two.
os.environ.setdefault("OMP_NUM_THREADS", "1")
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}  # its definition fills half a page
toc_object_entries_show_parents = "hide"
add_module_names = False
python_maximum_signature_line_length = 90
python_display_short_literal_types = True
# Every name in backcast that a page refers to must exist; those of other packages are not looked up.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!backcast\.).*")]

html_theme = "furo"
html_title = "backcast"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_extra_path = ["site/extra"]
html_show_copyright = False
html_copy_source = False
html_show_sphinx = False
