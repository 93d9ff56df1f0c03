"""Seeds are the same for ever: stored studies and published numbers depend on these values."""

from __future__ import annotations

import itertools

import pytest

from eml_models.seeds import SEED_BITS, derive


@pytest.mark.parametrize(
    ("study_seed", "trial_number", "role", "seed"),
    [
        (0, 0, "training", 1_280_779_449),
        (0, -1, "sampler", 2_315_590_936),
        (7, 12, "init", 1_892_888_237),
        (-3, 0, "noise/4", 2_031_018_348),
        (9223372036854775807, 1000, "images", 3_980_108_449),
    ],
)
def test_a_derived_seed_never_changes(study_seed: int, trial_number: int, role: str, seed: int) -> None:
    assert derive(study_seed, trial_number, role) == seed


def test_derived_seeds_differ_in_each_argument_and_fit_in_their_bits() -> None:
    arguments = itertools.product((0, 1, 11), (-1, 0, 1, 10), ("training", "sampler"))
    seeds = [derive(*each) for each in arguments]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**SEED_BITS for seed in seeds)
