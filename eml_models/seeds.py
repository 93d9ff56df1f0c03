"""Derives seeds from a study, a trial and a role: no global generator, no hidden order.

All chance in the project begins here. This module draws no number itself; the sampler and the training loop
call `derive` and seed their own generators.
"""

from __future__ import annotations

import hashlib

SEED_BITS = 32
"""Seeds fit in 32 bits because NumPy's legacy generator (which Optuna uses) takes no more."""


def derive(study_seed: int, trial_number: int, role: str) -> int:
    """The seed for one role of one trial, in [0, 2**32).

    Different (study_seed, trial_number, role) give unrelated seeds. Equal arguments give the same seed on
    every machine and Python version (BLAKE2b of the text, not `hash`).

    Args:
        study_seed: any integer.
        trial_number: order of proposal in the study, from 0; -1 for a seed of the study itself.
        role: the use of the seed, for instance ``"training"`` or ``"sampler"``.
    """
    text = f"{study_seed}/{trial_number}/{role}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=SEED_BITS // 8).digest(), "big")
