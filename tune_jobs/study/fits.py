"""Training functions of studies: the shipped two, and the name that a definition gives to any of them.

A study is known by its name and its definition, so a function's name must outlive a moved or mended file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from eml_models.training.recipe import Recipe

Fit = Callable[..., Iterable[Any]]
"""``fit(recipe, *, device, data_dir, resume_from)`` yields one `EpochReport` per epoch, like
`eml_models.fit`; the shipped two also take ``download`` and ``kernels``."""


def fit_recipe(recipe: Recipe, **options: Any) -> Iterable[Any]:
    """`eml_models.fit`, imported when it is called, so that a study can be looked at without torch."""
    from eml_models.training.loop import fit

    return fit(recipe, **options)


def fit_and_test(recipe: Recipe, **options: Any) -> Iterable[Any]:
    """The same, and after the last epoch the test set, once; imported when it is called."""
    from eml_models.training.final_fit import FinalFit

    return FinalFit(recipe, **options)


SHIPPED_FITS: Mapping[str, Fit] = {"eml_models:fit": fit_recipe, "eml_models:fit_and_test": fit_and_test}
"""The shipped training functions by the names that definitions give them. The names are written by hand, so
that a function may move; no name of a function has a colon."""


def name_of_fit(fit: Fit) -> str:
    """The name of a training function in a definition: the pinned name of a shipped function, else its
    qualified name alone.

    Neither module, path nor text is part of it, so a moved file or a mended bug leaves the study the same. A
    `functools.partial` has the name of its function, an object that can be called the name of its class.
    """
    for name, shipped in SHIPPED_FITS.items():
        if fit is shipped:
            return name
    inner = fit.func if isinstance(fit, partial) else fit
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
