"""Sphinx: ``python -m sphinx -W docs docs/build``."""

import re
from pathlib import Path

project = "glassnet"
author = "The glassnet developers"
copyright = author
release = re.search(
    r'^__version__ = "(.+)"', (Path(__file__).parents[1] / "src/glassnet/__init__.py").read_text(encoding="utf-8"), re.M
)[1]
version = release

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["build"]

html_theme = "furo"
html_title = f"glassnet {release}"
