"""The split of positions: its parts, its shares of each class, and its fixed values."""

from __future__ import annotations

import numpy as np
import pytest

from eml_models.data.splits import in_equal_shares, split_indices


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.9])
def test_parts_are_disjoint_whole_and_of_the_asked_share(fraction: float) -> None:
    labels = np.repeat(np.arange(5), (40, 30, 20, 10, 3))
    kept, held_out = split_indices(labels, fraction)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert len(held_out) == int(len(labels) * fraction)
    for label in range(5):
        share = (labels == label).sum() * fraction
        assert abs((labels[held_out] == label).sum() - share) < 1


def test_kept_positions_are_shuffled_and_held_out_positions_rise() -> None:
    kept, held_out = split_indices(np.arange(100) % 10, 0.3)
    assert list(kept) != sorted(kept)
    assert list(held_out) == sorted(held_out)
    assert kept.dtype == held_out.dtype == np.int64


def test_a_seed_fixes_the_split() -> None:
    labels = np.arange(60) % 3
    first, again, other = (split_indices(labels, 0.2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_a_split_never_changes() -> None:
    kept, held_out = split_indices(np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1]), 0.4)
    assert (kept.tolist(), held_out.tolist()) == ([8, 0, 9, 3, 2, 7], [1, 4, 5, 6])


@pytest.mark.parametrize("count", [0, 1, 4])
def test_few_images_leave_the_held_out_part_empty(count: int) -> None:
    kept, held_out = split_indices(np.zeros(count, dtype=np.int64), 0.2)
    assert (len(kept), len(held_out)) == (count, 0)


@pytest.mark.parametrize("sizes", [(50, 50, 50), (90, 9, 1), (1, 1), (7,)])
def test_every_beginning_has_the_share_of_each_class_and_the_whole_is_all(sizes: tuple[int, ...]) -> None:
    labels = np.random.RandomState(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    positions = np.random.RandomState(1).permutation(len(labels))
    ordered = in_equal_shares(positions, labels)
    assert sorted(ordered) == list(range(len(labels)))
    for count in range(1, len(labels) + 1):
        found = np.bincount(labels[ordered[:count]], minlength=len(sizes))
        assert np.abs(found - count * np.asarray(sizes) / len(labels)).max() < 1.5
    for label in range(len(sizes)):
        drawn, given = (order[labels[order] == label] for order in (ordered, positions))
        assert drawn.tolist() == given.tolist()
    assert in_equal_shares(positions[:0], labels).tolist() == []
