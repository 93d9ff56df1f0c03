"""Seeds as a pure function of who needs them: no global generator, no hidden order.

The root of all chance in the project. It draws nothing itself; the sampler, the training loop and the
splits call `derive` and seed a generator of their own.
"""

from __future__ import annotations

import hashlib

SEED_BITS = 32
"""Seeds fit in 32 bits because NumPy's legacy generator (which Optuna uses) takes no more."""


def derive(study_seed: int, trial_number: int, role: str) -> int:
    """The seed for one role of one trial, in [0, 2**32).

    Different (study_seed, trial_number, role) give unrelated seeds; the same give the same on every
    machine and Python version (BLAKE2b of the text, not `hash`).

    Args:
        study_seed: any integer.
        trial_number: order of proposal in the study, from 0; -1 for what belongs to the study itself.
        role: what the seed is for, for instance ``"training"`` or ``"sampler"``.
    """
    text = f"{study_seed}/{trial_number}/{role}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=SEED_BITS // 8).digest(), "big")
