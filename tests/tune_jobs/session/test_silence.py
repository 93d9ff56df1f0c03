"""A trial that says nothing for many times its usual epoch is noticed once for each silence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tune_jobs.session.silence import LEAST_S, MANY, Silence, SilenceWatch, longest_epoch_s
from tune_jobs.study.rows import ReportRow

PLACE = "Its worker is process 7 on host"


def watch_of(*epochs_s: float, longest_s: float = 0.0) -> tuple[SilenceWatch, float]:
    """A watch on trial 3, whose epochs took these seconds, and the instant of its last report."""
    watch, now = SilenceWatch(longest_s=longest_s), 1000.0
    watch.begin(3, now, place=PLACE)
    for epoch, seconds in enumerate(epochs_s, start=1):
        now += seconds
        watch.hear(3, now, epoch=epoch)
    return watch, now


def test_silence_of_many_usual_epochs_is_noticed_once() -> None:
    watch, now = watch_of(30.0, 20.0, 20.0)  # the first epoch takes longer, as it often does
    assert [*watch.iter_new(now + MANY * 20.0 - 1)] == []
    (found,) = watch.iter_new(now + MANY * 20.0)
    assert (found.number, found.silent_s, found.last_epoch, found.usual_s) == (3, 200.0, 3, 20.0)
    assert found.is_own
    assert [*watch.iter_new(now + 10_000)] == []


def test_word_of_the_trial_ends_the_silence_and_the_next_is_noticed_again() -> None:
    watch, now = watch_of(20.0, 20.0, 20.0)
    assert len([*watch.iter_new(now + 900)]) == 1
    watch.hear(3, now + 1000, epoch=4)
    assert [*watch.iter_new(now + 1000 + MANY * 20.0 - 1)] == []
    assert len([*watch.iter_new(now + 1000 + MANY * 20.0)]) == 1  # the long epoch is not usual


def test_short_epochs_have_a_least_time() -> None:
    watch, now = watch_of(0.1, 0.1)
    assert [*watch.iter_new(now + LEAST_S - 1)] == []
    assert len([*watch.iter_new(now + LEAST_S)]) == 1


def test_reports_that_arrive_together_hide_no_silence() -> None:
    watch, now = watch_of(0.0, 0.0, 0.0)
    assert len([*watch.iter_new(now + LEAST_S)]) == 1


def test_before_its_first_epoch_a_trial_is_measured_by_the_longest_of_the_study() -> None:
    watch, now = watch_of(longest_s=40.0)
    assert [*watch.iter_new(now + MANY * 40.0 - 1)] == []
    (found,) = watch.iter_new(now + MANY * 40.0)
    assert (found.is_own, found.usual_s, found.last_epoch) == (False, 40.0, 0)
    other, now = watch_of(50.0)
    other.begin(4, now, place=PLACE)
    assert [silence.number for silence in other.iter_new(now + MANY * 50.0)] == [3, 4]


def test_nothing_is_usual_before_any_epoch_has_ended() -> None:
    watch, now = watch_of()
    assert [*watch.iter_new(now + 10**6)] == []


def test_trial_that_ended_is_not_listened_to() -> None:
    watch, now = watch_of(20.0)
    watch.end(3)
    watch.end(3)
    watch.hear(3, now + 1, epoch=2)
    assert [*watch.iter_new(now + 10**6)] == []


def test_new_attempt_begins_a_new_silence() -> None:
    watch, now = watch_of(20.0)
    assert len([*watch.iter_new(now + 500)]) == 1
    watch.begin(3, now + 600, place=PLACE)
    assert [*watch.iter_new(now + 601)] == []
    assert len([*watch.iter_new(now + 600 + MANY * 20.0)]) == 1


SILENCE = Silence(number=3, silent_s=720.0, last_epoch=5, usual_s=20.4, is_own=True, place=PLACE)


def test_silence_in_words() -> None:
    assert SILENCE.describe(timeout_s=None) == (
        "trial 3 has said nothing for 12 min, since epoch 5, and its epochs take 20 s. Its worker is process"
        " 7 on host; the run keeps waiting. If it hangs, press Ctrl-C and run the same command again with"
        " --trial-timeout 204: that ends a silent worker, and tries its trial again from its checkpoint"
    )
    assert SILENCE.describe(timeout_s=1800.0).endswith(
        "on host; its worker ends itself after 30 min (--trial-timeout)"
    )


def test_time_to_give_is_never_below_the_least() -> None:
    short = Silence(number=3, silent_s=60.0, last_epoch=5, usual_s=0.5, is_own=True, place=PLACE)
    assert "--trial-timeout 60:" in short.describe(timeout_s=None)


def test_silence_before_the_first_epoch_in_words() -> None:
    first = Silence(number=3, silent_s=90.0, last_epoch=0, usual_s=9.0, is_own=False, place=PLACE)
    assert first.describe(timeout_s=None).startswith(
        "trial 3 has said nothing for 90 s, since its training began, and no epoch of the study took longer"
        " than 9 s. Its worker"
    )


@pytest.mark.parametrize(("epochs_s", "longest_s"), [((), 0.0), ((None,), 0.0), ((2.0, None, 3.0, 1.0), 3.0)])
def test_longest_epoch_of_earlier_runs(epochs_s: tuple[float | None, ...], longest_s: float) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    rows = [
        ReportRow(
            study="a", trial_id="a/0", number=0, attempt=1, epoch=epoch, epoch_s=seconds, reported_at=now
        )
        for epoch, seconds in enumerate(epochs_s, start=1)
    ]
    assert longest_epoch_s(rows) == longest_s
