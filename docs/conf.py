"""Sphinx configuration of the documentation site; ``make docs`` builds it into build/docs.

The source folder is the repository, so that a relative link works on the site as it does in a checkout.
Warnings are errors: a broken internal link or a reference to a missing name ends the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vnetcard

project = "vnetcard"
author = "the vnetcard authors"
project_copyright = "the vnetcard authors, MIT licence"
release = version = vnetcard.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "hdl/**.md", "firmware/**.md", "tests/**.md"]
exclude_patterns = [".*", "build", "dist", "docs/examples", "**/__pycache__", "**/node_modules"]

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
autodoc_class_signature = "mixed"
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"vnetcard {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "default"
smartquotes = False  # they would make a dash of the hyphens of --option
highlight_language = "none"


def write_front_page(app: Any, error: Exception | None) -> None:
    """Make ``index.html`` of the site lead to docs/index.html."""
    if error is None and app.builder.format == "html":
        Path(app.outdir, "index.html").write_text(
            '<!doctype html><meta charset="utf-8"><title>vnetcard</title>'
            '<meta http-equiv="refresh" content="0; url=docs/index.html">'
            '<a href="docs/index.html">vnetcard documentation</a>\n',
            encoding="utf-8",
        )


def setup(app: Any) -> dict[str, bool]:
    """Connect the hook above."""
    app.connect("build-finished", write_front_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
