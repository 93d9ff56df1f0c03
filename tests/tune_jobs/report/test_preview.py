"""The page of a dry run: its lines for each case, and that they fit the width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from session_testing import a_study

from eml_models import Recipe
from tune_jobs.feasible.passing import Passing
from tune_jobs.inputs.shipped import SHIPPED, digits_families
from tune_jobs.report.preview import Preview, preview_page
from tune_jobs.search.history import History
from tune_jobs.session.attempt import SessionSettings
from tune_jobs.session.forecast import Pace, Work, estimate_time, work_before
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, LatencyMode, Limits
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Constant
from tune_jobs.study.rows import State
from tune_jobs.study.space import Space

PACE = Pace(epoch_s=2.0, count=5, source="this study")


def work_of(study: Study) -> Work:
    return work_before(study, History(study), SessionSettings())


def page(study: Study | None = None, *, width: int = 80, **changes: object) -> str:
    study = study or a_study()
    values: dict[str, object] = {
        "study": study,
        "settings": RunSettings(),
        "num_points": None,
        "ended": None,
        "work": work_of(study),
        "pace": None,
        "estimate": None,
        "workers": 2,
        "passing": None,
        "warm_start": None,
        "adapted": {},
        "store": "/somewhere/trials",
        "new_store": False,
        "used_s": 0.0,
        **changes,
    }
    return preview_page(Preview(**values), width=width)  # type: ignore[arg-type]  # as each test names them


def line(text: str, label: str) -> str:
    """The text behind a label, in one line."""
    lines = text.splitlines()
    at = next(index for index, found in enumerate(lines) if found.startswith(label))
    more = []
    for found in lines[at + 1 :]:
        if not found.startswith("     "):
            break
        more.append(found.strip())
    return " ".join([lines[at].removeprefix(label).strip(), *more])


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("name", SHIPPED)
def test_page_of_every_shipped_study_fits_the_width(name: str, width: int) -> None:
    study = SHIPPED[name]()
    text = page(study, width=width, adapted={"resnet18": ["stage4.block1: stride 2 became 1"]})
    assert max(map(cell_len, text.splitlines())) <= width
    assert text.startswith(f"{name}: ")
    assert text.endswith("\n")


def test_page_says_what_is_searched_and_for_how_long() -> None:
    study = a_study()
    text = page(study, pace=PACE, estimate=estimate_time(work_of(study), PACE, workers=2))
    assert " learning_rate   0.0001 to 1 on a logarithmic scale" in text
    assert line(text, "objective") == "val_accuracy (larger is better)"
    assert line(text, "sampler") == "tpe: first at random, then near the best trials so far; seed 0"
    assert line(text, "stopping") == "ASHA: rungs at epoch 1 and 3; about 1 trial in 3 continues at a rung"
    assert line(text, "limits") == "none"
    assert line(text, "trials") == "16 to train; the study is new"
    assert line(text, "epochs") == "24 to 144 in all, about 37 if 1 trial in 3 continues at each rung"
    assert line(text, "time") == (
        "24 s to 2 min, likely 37 s with 2 workers (2 s an epoch, the mean of 5 epochs of this study; starts"
        " not included)"
    )
    assert line(text, "workers") == (
        "2 at a time on this machine, each with 1 CPU core and a GPU if there is any"
    )
    assert line(text, "rows") == "in /somewhere/trials"
    assert "dry run: nothing was trained, and no row was written" in text


def test_time_that_nobody_knows_has_its_reason() -> None:
    assert line(page(), "time") == (
        "unknown until the first trial has trained an epoch: the store has no time of an epoch of this study,"
        " or of the same recipe on this machine"
    )
    assert "there is no store yet" in line(page(new_store=True), "time")
    far = page(settings=RunSettings(address="head:6379"))
    assert line(far, "time").endswith("the store has no time of an epoch of this study")
    study = a_study(asha=None)
    some = page(study, pace=PACE, estimate=estimate_time(work_of(study), PACE, workers=None), workers=None)
    assert "about 5 min of a single worker's time; several share it" in line(some, "time")
    assert line(some, "workers").startswith("as many as fit on this machine")


def test_study_in_the_store_continues() -> None:
    ended = {State.COMPLETED: 3, State.STOPPED: 1, State.INFEASIBLE: 2, State.FAILED: 0}
    left = Work(
        trials=12,
        unfinished=1,
        given=2,
        least_epochs=12,
        most_epochs=108,
        likely_epochs=28,
        longest=9,
        surely=0,
    )
    text = page(ended=ended, work=left)
    assert line(text, "trials") == (
        "the store holds 4 trials of 16 (3 completed and 1 stopped) and 2 refused proposals; the run"
        " continues with 12 more, 1 of them begun by an earlier run"
    )
    assert "2 given points first" in line(text, "sampler")
    none = Work(
        trials=0, unfinished=0, given=0, least_epochs=0, most_epochs=0, likely_epochs=0, longest=9, surely=0
    )
    text = page(ended={State.COMPLETED: 16}, work=none)
    assert line(text, "trials").endswith("nothing is left to train. More trials: --trials 32")
    assert "\ntime" not in text


def test_limits_show_the_share_of_networks_that_pass() -> None:
    study = a_study(
        limits=Limits(max_macs=100_000, max_latency_ms=2.5),
        latency=LatencyMode(),
        objectives=(Objective(), Objective(metric="macs")),
    )
    text = page(study, passing=Passing(drawn=100, admitted=19))
    assert line(text, "limits") == (
        "max_macs 100,000 and max_latency_ms 2.5 (measured by workers: fp32/channels_last/eager, batch 1);"
        " 19 % of 100 networks drawn at random pass"
    )
    assert line(text, "objectives") == "val_accuracy (larger is better) and macs (smaller is better)"


def test_stopping_that_stops_nothing_says_so() -> None:
    assert line(page(a_study(asha=None)), "stopping") == "none: each trial is trained to its last epoch"
    late = page(a_study(asha=Asha(min_epochs=20)))
    assert line(late, "stopping") == (
        "none: ASHA's first rung, at epoch 20, is not below the 9 epochs of a trial"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (RunSettings(device="cpu"), "1 CPU core and no GPU"),
        (RunSettings(cpus_per_trial=3, gpus_per_trial="auto"), "3 CPU cores and a share of a GPU, which is"),
        (RunSettings(gpus_per_trial=0.25), "0.25 of a GPU"),
        (RunSettings(gpus_per_trial=1.0), "1 GPU"),
        (RunSettings(gpus_per_trial=2), "2 GPUs"),
        (RunSettings(address="head:6379"), "on the cluster at head:6379"),
        (
            RunSettings(max_device_hours=2),
            "the run ends after 2 hours of all workers together, of which 5 min",
        ),
    ],
)
def test_workers_and_what_each_gets(settings: RunSettings, words: str) -> None:
    assert words in line(page(settings=settings, used_s=300.0), "workers")


def test_nothing_searched_is_said_and_equal_changes_stand_together() -> None:
    study = Study(name="one", space=Space(Constant("width", 8)), recipe=Recipe(learning_rate=0.1, epochs=2))
    text = page(study, adapted={"a": ["pool left out"], "b": ["pool left out"], "c": ["other"]})
    assert line(text, "searched") == "nothing: all trials have the same params"
    assert "a and b, because the images are small: pool left out" in text
    assert text.count("adapted") == 2


def test_text_of_an_author_cannot_command_a_terminal() -> None:
    assert "\x1b" not in page(digits_families().with_changes(description="red \x1b[31m"))
