"""Parts of pages that are made: `commands` from click, `names` from docstrings, `layers` from contracts.

`docs/conf.py` calls the first two while Sphinx builds; `docs/pictures/make.py` writes the pictures. Nothing
here is part of the packages.
"""
