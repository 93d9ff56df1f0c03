"""A training is saved, resumed to the bit, and fenced by attempt."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bucket_testing import MoodyFileSystem, bucket_away, moody_url

from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.checkpoints.saving import CHECKPOINT, WEIGHTS, Saving

RECIPE = Recipe(learning_rate=0.05, epochs=3, max_train_samples=128)
IDENTITY = Identity(fingerprint="f0", created_at="2026-11-24T12:00:00+00:00")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(store=str(tmp_path), study="study", identity=IDENTITY)


def newest(checkpoints: Checkpoints) -> Path:
    """The file that trial 4 would be gone on from."""
    return next(checkpoints.iter_living(4, dict.fromkeys(range(1, 10), RECIPE.to_json()), []))


def saving_of(checkpoints: Checkpoints, attempt: int, **changes: float) -> Saving:
    return Saving(
        checkpoints=checkpoints,
        number=4,
        attempt=attempt,
        epochs=RECIPE.epochs,
        **{"period_s": 0.0, **changes},
    )  # type: ignore[arg-type]  # only period_s changes


def reports_of(saving: Saving, *, until: int = RECIPE.epochs) -> list[tuple[int, float]]:
    training = saving.begin(fit, RECIPE)
    seen = []
    for report in training:
        saving.before_report(training, report)
        seen.append((report.epoch, report.train_loss))
        if report.epoch == until:
            break
        saving.after_report(training)
    return seen


def test_interrupted_attempt_is_gone_on_with_to_the_bit(checkpoints: Checkpoints) -> None:
    whole = [(report.epoch, report.train_loss) for report in fit(RECIPE)]
    assert reports_of(saving_of(checkpoints, 1), until=2) == whole[:2]
    again = saving_of(checkpoints, 2)
    assert reports_of(again) == whole[1:]  # epoch 2 was not saved: its report may not have been recorded
    assert again.resumed_from_epoch == 1


def test_first_attempt_ignores_files_of_another_study(checkpoints: Checkpoints) -> None:
    reports_of(saving_of(checkpoints, 1), until=2)
    assert [epoch for epoch, _ in reports_of(saving_of(checkpoints, 1))] == [1, 2, 3]


def test_long_period_saves_the_final_weights_alone(checkpoints: Checkpoints) -> None:
    reports_of(saving_of(checkpoints, 1, period_s=1e6))
    assert [path.name for path in checkpoints.folder(4).iterdir()] == ["final-1.pt"]


def test_older_attempt_cannot_overwrite_a_newer_one(checkpoints: Checkpoints) -> None:
    reports_of(saving_of(checkpoints, 3), until=2)
    reports_of(saving_of(checkpoints, 1), until=3)
    assert newest(checkpoints) == checkpoints.folder(4) / "attempt-3.pt"


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def turn_a_bit(path: Path) -> None:
    """In the middle of the weights, where no other byte tells of it."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [tear, turn_a_bit])
def test_of_a_damaged_checkpoint_the_one_before_it_is_gone_on_from(
    checkpoints: Checkpoints, damage: Callable[[Path], None]
) -> None:
    whole = [(report.epoch, report.train_loss) for report in fit(RECIPE)]
    reports_of(saving_of(checkpoints, 1), until=3)
    latest = newest(checkpoints)
    assert latest.name == "attempt-1.pt"  # of epoch 2
    damage(latest)
    saving = saving_of(checkpoints, 2)
    assert reports_of(saving) == whole[1:]
    assert saving.resumed_from_epoch == 1
    assert saving.passed_over == f"{latest} is not a snapshot, or is damaged; start without it"


def test_that_no_checkpoint_could_be_used_is_told(checkpoints: Checkpoints) -> None:
    reports_of(saving_of(checkpoints, 1), until=2)
    tear(newest(checkpoints))
    saving = saving_of(checkpoints, 2)
    assert [epoch for epoch, _ in reports_of(saving)] == [1, 2, 3]
    assert saving.resumed_from_epoch == 0
    assert "attempt-1.pt is not a snapshot, or is damaged" in (saving.passed_over or "")
    assert saving_of(checkpoints, 1).passed_over is None


def test_a_trial_without_a_checkpoint_starts_again_without_a_word(checkpoints: Checkpoints) -> None:
    saving = saving_of(checkpoints, 2)
    reports_of(saving)
    assert saving.passed_over is None


def test_full_disk_costs_the_checkpoint_and_not_the_trial(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    saving = saving_of(Checkpoints(store=str(tmp_path), study="study", identity=IDENTITY), 1)
    assert len(reports_of(saving)) == 3
    unsaved = saving.take_unsaved()
    assert set(unsaved) == {WEIGHTS, CHECKPOINT}
    assert all(f"{tmp_path / 'checkpoints'} is no folder" in reason for reason in unsaved.values())
    assert saving.take_unsaved() == {}


@contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """While this holds, no file grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_disk_that_fills_up_anywhere_in_a_file_costs_the_checkpoint(checkpoints: Checkpoints) -> None:
    saving = saving_of(checkpoints, 1)
    training = saving.begin(fit, RECIPE)
    next(iter(training))
    for num_bytes in range(0, 200_000, 10_000):
        with full_disk(num_bytes):
            saving.after_report(training)
        assert list(checkpoints.folder(4).iterdir()) == []
        assert saving.take_unsaved()[CHECKPOINT].startswith("[Errno 27] File too large")
    saving.after_report(training)
    assert newest(checkpoints).name == "attempt-1.pt"


def test_moment_without_the_bucket_costs_the_checkpoint_and_not_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tune_jobs.checkpoints.saving.READ_PAUSES_S", (0.0, 0.0))
    checkpoints = Checkpoints(store=moody_url(), study="study", identity=IDENTITY)
    assert len(reports_of(saving_of(checkpoints, 1), until=2)) == 2
    saving = saving_of(checkpoints, 2)
    with bucket_away():
        assert [epoch for epoch, _ in reports_of(saving)] == [1, 2, 3]
    assert (saving.passed_over or "").startswith("could not list")
    assert saving.unsaved[WEIGHTS].startswith("could not write")
    assert [epoch for epoch, _ in reports_of(saving_of(checkpoints, 3))] == [2, 3]


def test_moment_without_the_bucket_is_waited_for_before_a_trial_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoints = Checkpoints(store=moody_url(), study="study", identity=IDENTITY)
    reports_of(saving_of(checkpoints, 1), until=2)
    pauses: list[float] = []
    monkeypatch.setattr(MoodyFileSystem, "is_away", False)  # and so again after this test

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        MoodyFileSystem.is_away = seconds == 0.0

    monkeypatch.setattr("tune_jobs.checkpoints.saving.READ_PAUSES_S", (0.0, 1.0))
    monkeypatch.setattr("tune_jobs.checkpoints.saving.time.sleep", sleep)
    assert [epoch for epoch, _ in reports_of(saving_of(checkpoints, 2))] == [2, 3]
    assert pauses == [0.0, 1.0]
