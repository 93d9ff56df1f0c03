"""The part of a GPU's memory that torch may take."""

from __future__ import annotations

import pytest

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES, memory_fraction

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


GB = 10**9


def test_share_of_memory_leaves_room_for_the_context() -> None:
    assert memory_fraction(0.25, 40 * GB) == pytest.approx(0.25 - CONTEXT_BYTES / (40 * GB))
    with pytest.raises(TuneJobsError, match="no more than a CUDA context"):
        memory_fraction(0.01, 40 * GB)


def test_what_was_measured_beside_torchs_memory_is_left_out_of_the_share() -> None:
    assert memory_fraction(0.25, 40 * GB, 2 * GB) == pytest.approx(0.25 - 2 / 40)
    with pytest.raises(TuneJobsError, match=r"no more than a CUDA context takes \(3\.0 GB\)"):
        memory_fraction(0.05, 40 * GB, 3 * GB)
