"""The documentation as a site: `make docs` writes site/index.html, and every warning is an error.

The pages are plain Markdown that a code host shows as well. The API reference comes from the docstrings.
"""

import re

from sphinx.application import Sphinx

from chromascape import __version__

project = "Chromascape"
author = "The Chromascape authors"
copyright = author
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
myst_heading_anchors = 3  # links to headings work as on a code host
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_preserve_defaults = True  # SHIPPED, and not its path on this machine
default_role = "code"
html_theme = "furo"
html_title = f"Chromascape {__version__}"
html_show_sphinx = False


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """The site's contents are the pages that the index lists, in its order; a page that it lacks is a warning."""
    if page == app.config.root_doc:
        listed = re.findall(r"\]\(([\w-]+)\.md\)", source[0])
        source[0] += "\n".join(["\n```{toctree}", ":hidden:", "", *listed, "```\n"])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
