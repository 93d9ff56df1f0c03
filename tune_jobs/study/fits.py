"""Training functions of studies: the two shipped ones, and the names of functions in definitions.

A study is recognised by its name and its definition, so the name of a function must survive a moved or mended
file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from eml_models.training.recipe import Recipe

Fit = Callable[..., Iterable[Any]]
"""``fit(recipe, *, device, data_dir, resume_from)`` yields one `EpochReport` per epoch, like
`eml_models.fit`; the shipped two also take ``download``, ``kernels`` and ``execution``."""


def fit_recipe(recipe: Recipe, **options: Any) -> Iterable[Any]:
    """Train by `eml_models.fit`, imported at the call: a study can be looked at without torch."""
    from eml_models.training.loop import fit

    return fit(recipe, **options)


def fit_and_test(recipe: Recipe, **options: Any) -> Iterable[Any]:
    """Train in the same way, and look at the test set once, after the last epoch; imported at the call."""
    from eml_models.training.final_fit import FinalFit

    return FinalFit(recipe, **options)


SHIPPED_FITS: Mapping[str, Fit] = {"eml_models:fit": fit_recipe, "eml_models:fit_and_test": fit_and_test}
"""The shipped training functions by the names that definitions give them. They are written by hand, so that
a function may move. No other name has a colon."""


def name_of_fit(fit: Fit) -> str:
    """The name of a training function in a definition: the pinned name of a shipped function, else its
    qualified name alone.

    Neither module, path nor text is part of it, so a moved file or a mended bug leaves the study the same. A
    `functools.partial` has the name of its function, and a callable object the name of its class.
    """
    for name, shipped in SHIPPED_FITS.items():
        if fit is shipped:
            return name
    inner = fit.func if isinstance(fit, partial) else fit
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
