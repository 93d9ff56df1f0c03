"""A short digest of the code that trains a study: equal in every process that loaded the same code.

Sessions and attempts record it, so that a change of code shows beside the results. It is no part of a study's
definition. Reads source files; imports no torch. Called by the driver and by workers. `code_walk` says what a
digest covers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import eml_models
from tune_jobs.study.code_walk import iter_parts
from tune_jobs.study.fits import SHIPPED_FITS, Fit, name_of_fit
from tune_jobs.study.own_training import CostFunction

OF_COST = "+"
"""Stands between the digest of the training and that of the cost function."""


def code_digest(fit: Fit, cost: CostFunction | None = None) -> str:
    """The digest of a study's code: ``a1b2c3d4``, and with a cost function ``a1b2c3d4+55667788``.

    For a shipped training function the digest covers all files of `eml_models`. For any other function it
    covers the text of its file, or compiled code where there is no such text, and the values that it carries:
    those of a closure, of `functools.partial`, of a callable object. The digest of a cost function is of
    compiled code alone, so that another change in its file leaves it as it is. Compiled code differs between
    versions of Python.
    """
    return with_cost(_digest_of_training(fit), cost_digest(cost))


def cost_digest(cost: CostFunction | None) -> str | None:
    """The digest of a cost function; None without a function."""
    return None if cost is None else _short(iter_parts(cost, by_text=False))


def with_cost(training: str, cost: str | None) -> str:
    """The digest of a study's code, from that of its training and that of its cost function."""
    return training if cost is None else f"{training}{OF_COST}{cost}"


def parts_of(code: str) -> tuple[str, str]:
    """The digest of the training and that of the cost function, which is empty without a function."""
    training, _, cost = code.partition(OF_COST)
    return training, cost


def _digest_of_training(fit: Fit) -> str:
    if name_of_fit(fit) in SHIPPED_FITS:
        return _digest_of_package()
    return _short(iter_parts(fit, by_text=True))


@cache
def _digest_of_package() -> str:
    folder = Path(eml_models.__file__).parent
    files = sorted(folder.rglob("*.py"))
    return _short(
        part for path in files for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes())
    )


def _short(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
