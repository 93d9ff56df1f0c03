"""Candidates: recipes by name, and the space that names them."""

from __future__ import annotations

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.study.candidate import CANDIDATE, SAME_FOR_ALL, Candidate, candidate_problems
from tune_jobs.study.parameters import Choice, Constant, Float, Parameter
from tune_jobs.study.space import Space

A, B = Candidate(name="a", changes={"learning_rate": 0.5}), Candidate(name="b", baseline=True)
RATE = Float("learning_rate", 0.1, 1.0)


@pytest.mark.parametrize(
    ("candidates", "parameter", "problems"),
    [
        ((), RATE, []),
        ((A, B), Choice(CANDIDATE, ("a", "b")), []),
        ((A, B), Choice(CANDIDATE, ("b",)), []),
        ((A,), Constant(CANDIDATE, "a"), []),
        ((A, A), Choice(CANDIDATE, ("a",)), ["candidate 'a' appears twice; rename one"]),
        (
            (A, B),
            Choice(CANDIDATE, ("b", "c")),
            ["parameter 'candidate' must name candidates of the study (a, b), got 'c'"],
        ),
        (
            (),
            Choice(CANDIDATE, ("c",)),
            ["parameter 'candidate' must name candidates of the study (none), got 'c'"],
        ),
        (
            (A, B),
            RATE,
            ["a study with candidates needs them in its space; add Choice('candidate', ('a', 'b'))"],
        ),
    ],
)
def test_names_of_candidates_and_of_the_space_match(
    candidates: tuple[Candidate, ...], parameter: Parameter, problems: list[str]
) -> None:
    assert list(candidate_problems(candidates, Space(parameter))) == problems


@pytest.mark.parametrize("name", sorted(SAME_FOR_ALL))
def test_what_all_share_is_no_change_of_a_candidate(name: str) -> None:
    with pytest.raises(
        InvalidValueError, match=f"candidate 'x': {name} is the same for all .* recipe instead"
    ):
        Candidate(name="x", changes={name: 1})


def test_candidate_is_plain_data_in_a_definition() -> None:
    assert Candidate(**A.as_json()) == A  # type: ignore[arg-type]  # plain data
    assert B.as_json() == {"name": "b", "changes": {}, "baseline": True}
    assert hash(A) == hash(Candidate(name="a", changes={"learning_rate": 1.0}))
