"""Every shipped sampler keeps the contract; a new `SamplerName` is tested without a word here."""

from __future__ import annotations

import pytest

from tune_jobs.study.method import SamplerName
from tune_jobs.testing.contracts.samplers import SamplerContract


class TestTpe(SamplerContract):
    method = SamplerName.TPE


class TestRandom(SamplerContract):
    method = SamplerName.RANDOM


class TestGrid(SamplerContract):
    method = SamplerName.GRID
    needs_grid = True


def test_every_sampler_has_its_class() -> None:
    tested = {kind.method for kind in SamplerContract.__subclasses__() if kind.__module__ == __name__}
    assert tested == set(SamplerName)


class Forgetful(SamplerContract):
    """A sampler with a state of its own, which proposals must not depend on."""

    def build(self, study):  # type: ignore[no-untyped-def]  # a test double
        sampler, asked = super().build(study), [0]

        class Counting:
            def propose(self, history, number):  # type: ignore[no-untyped-def]  # as above
                asked[0] += 1
                return sampler.propose(history, number + asked[0])

            def end_reason(self, number):  # type: ignore[no-untyped-def]  # as above
                return sampler.end_reason(number)

        return Counting()


@pytest.mark.parametrize(
    "name",
    [
        # Hypothesis makes its smallest example smaller for half a minute
        pytest.param("test_proposals_follow_from_the_rows_alone", marks=pytest.mark.slow),
        "test_proposals_do_not_depend_on_earlier_questions",
        "test_returned_params_may_be_changed",
    ],
)
def test_the_contract_finds_a_sampler_that_remembers(name: str) -> None:
    with pytest.raises(AssertionError):
        getattr(Forgetful(), name)()
