"""Holds images out at random: the same share of each class, fixed by a seed.

Pure NumPy on labels. `eml_models.data.raw_data` holds out the test set of a set without any this way, and
`eml_models.data.loading` takes the validation set of every data set, and the part that `--train-samples` asks
for.
"""

from __future__ import annotations

from typing import Any

SPLIT_SEED = 20_261_123
"""The seed of every validation split and of the test split of digits; the same in all studies."""


def split_indices(labels: Any, fraction: float, seed: int = SPLIT_SEED) -> tuple[Any, Any]:
    """Split the positions 0 ... n - 1 in two parts, class by class.

    The shuffled positions are sorted by label, and every (1 / fraction)-th is held out: floor(n * fraction)
    in total, and the same share of each class, to within one image.

    Args:
        labels: (n,) integers, as a NumPy array.
        fraction: share to hold out, in (0, 1).
        seed: of the shuffle; equal seeds give equal splits.

    Returns:
        Two int64 arrays. The kept positions are in random order, so that their first k are a random sample;
        the held-out positions are in rising order. Either array may be empty if n is small.
    """
    import numpy as np  # imported late: a search checks names and shapes only

    # NumPy promises the same stream for RandomState in all versions, but not for Generator. This instance is
    # ours alone, no global generator.
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    taken = np.floor(np.arange(1, len(labels) + 1) * fraction).astype(np.int64)
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[by_class[np.diff(taken, prepend=0) > 0]] = True
    return shuffled[~held_out[shuffled]].astype(np.int64), np.flatnonzero(held_out).astype(np.int64)


def in_equal_shares(positions: Any, labels: Any) -> Any:
    """The positions in an order of which every beginning has about the same share of each class.

    The first k are shared out among the classes by their sizes as seats are, by the method of Sainte-Laguë
    (1910): to within one image for classes of about equal size. Within a class the order stays, and so it
    does at equal places, so that random positions give a random sample of each class.

    Args:
        positions: (k,) positions in `labels`, in random order.
        labels: (n,) integers, as a NumPy array.
    """
    import numpy as np

    chosen = labels[positions]
    by_class = np.argsort(chosen, kind="stable")
    _, starts, counts = np.unique(chosen[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(chosen)) - np.repeat(starts, counts)
    place = np.empty(len(chosen))
    place[by_class] = (rank + 0.5) / np.repeat(counts, counts)
    return positions[np.argsort(place, kind="stable")]
