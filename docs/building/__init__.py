"""Pages that are made while Sphinx builds: `commands` from click, `names` from the public names.

`docs/conf.py` calls them. Nothing here is part of the packages.
"""
