"""The one way in which images are held out: at random, the same share of each class, fixed by a seed.

Pure NumPy on labels. `eml_models.data.readers` cuts the test set of digits with it, `eml_models.data.loading`
the validation set of every data set.
"""

from __future__ import annotations

from typing import Any

SPLIT_SEED = 20_261_123
"""Seeds the validation split and the test split of digits, for every trial of every study."""


def split_indices(labels: Any, fraction: float, seed: int = SPLIT_SEED) -> tuple[Any, Any]:
    """Split positions 0 ... n - 1 in two, class by class.

    The shuffled positions are sorted by label, and every (1 / fraction)-th is held out: floor(n * fraction)
    in all, and of each class its share, give or take one.

    Args:
        labels: (n,) integers, as a NumPy array.
        fraction: share to hold out, in (0, 1).

    Returns:
        The kept positions in random order (so that any first part of them is a random sample), and those held
        out in rising order; int64 arrays. Either may be empty if there are few.
    """
    import numpy as np  # a search checks names and shapes only, and imports none of it

    # NumPy keeps the stream of RandomState (not of Generator) the same for ever; this one is our own.
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    taken = np.floor(np.arange(1, len(labels) + 1) * fraction).astype(np.int64)
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[by_class[np.diff(taken, prepend=0) > 0]] = True
    return shuffled[~held_out[shuffled]].astype(np.int64), np.flatnonzero(held_out).astype(np.int64)
