"""Sphinx's settings. docs/site/build.py lays the sources together; nothing is fetched, now or by a reader."""

from classlab.version import __version__

project = "classlab"
author = "the classlab authors"
copyright = "the classlab authors, MIT licence"
release = version = __version__
root_doc = "index"
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["html_image", "deflist"]
html_theme = "furo"
html_title = "classlab"
html_static_path = ["_static"]
html_extra_path = ["live"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": False, "footer_icons": []}
smartquotes = False  # two hyphens begin an option
highlight_language = "none"  # a block says its language, or is what a terminal shows
pygments_style = "default"
pygments_dark_style = "monokai"
