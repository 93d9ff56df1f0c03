"""The file of a snapshot: whole or not there, refused where a bit is wrong, and never code."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
import torch

from eml_models.errors import InvalidValueError
from eml_models.training import snapshot as snapshot_module
from eml_models.training.loop import fit
from eml_models.training.recipe import Recipe
from eml_models.training.snapshot import Snapshot, load_snapshot, read_owner, save_snapshot

SMALL = Recipe(model_options={"width": 4}, learning_rate=0.05, epochs=6, batch_size=64, max_train_samples=150)


class TestSnapshotFile:
    @pytest.fixture
    def taken(self) -> Snapshot:
        return fit(SMALL).snapshot()

    def test_failed_write_leaves_the_earlier_file_and_nothing_else(
        self, taken: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a b.pt"
        save_snapshot(taken, path)
        before = path.read_bytes()

        def fail(descriptor: int) -> None:
            raise OSError("no space left on device")

        monkeypatch.setattr(snapshot_module.os, "fsync", fail)
        with pytest.raises(OSError, match="no space left"):
            save_snapshot(dataclasses.replace(taken, epoch=3), path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_torn_file_is_an_error(self, taken: Snapshot, tmp_path: Path) -> None:
        path = tmp_path / "snapshot.pt"
        save_snapshot(taken, path)
        whole = path.read_bytes()
        for length in (0, 10, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(InvalidValueError, match="is not a snapshot"):
                load_snapshot(path)

    def test_no_bit_of_a_file_turns_unseen(self, taken: Snapshot, tmp_path: Path) -> None:
        """Any that is turned is refused, or changes nothing that is read."""
        path, chance = tmp_path / "snapshot.pt", random.Random(0)
        save_snapshot(taken, path)
        whole, refused = path.read_bytes(), 0
        for _ in range(100):
            content = bytearray(whole)
            content[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
            try:
                read = load_snapshot(path)
            except InvalidValueError:
                refused += 1
                continue
            assert read.recipe == taken.recipe
            assert all(torch.equal(read.module[name], value) for name, value in taken.module.items())
        assert refused > 80

    @pytest.mark.parametrize("name", ["module", "optimizer"])
    def test_state_that_does_not_fit_is_an_error(self, taken: Snapshot, name: str) -> None:
        with pytest.raises(InvalidValueError, match="does not fit the network or optimizer that this"):
            fit(taken.recipe, resume_from=dataclasses.replace(taken, **{name: {"other": 1}}))

    def test_owner_is_kept_and_read_without_the_rest(self, taken: Snapshot, tmp_path: Path) -> None:
        owner = {"study": "s", "trial": 3}
        save_snapshot(dataclasses.replace(taken, owner=owner), tmp_path / "snapshot.pt")
        assert read_owner(tmp_path / "snapshot.pt") == owner == load_snapshot(tmp_path / "snapshot.pt").owner

    def test_earlier_file_is_kept_under_its_other_name(self, taken: Snapshot, tmp_path: Path) -> None:
        path, earlier = tmp_path / "snapshot.pt", tmp_path / "earlier.pt"
        for epoch in (1, 2, 3):
            save_snapshot(dataclasses.replace(taken, epoch=epoch), path, earlier_to=earlier)
        assert [load_snapshot(one).epoch for one in (earlier, path)] == [2, 3]
        assert sorted(tmp_path.iterdir()) == [earlier, path]

    def test_other_file_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "snapshot.pt"
        for content in ({"format": "other"}, [1, 2]):
            torch.save(content, path)
            with pytest.raises(InvalidValueError, match="is not a snapshot of this version"):
                load_snapshot(path)
        path.write_text("epoch,loss", encoding="utf-8")
        with pytest.raises(InvalidValueError, match="is not a snapshot"):
            load_snapshot(path)

    def test_code_in_a_file_is_not_run(self, tmp_path: Path) -> None:
        class Code:
            def __reduce__(self) -> tuple[object, ...]:
                return Path.touch, (tmp_path / "ran",)

        torch.save({"format": Code()}, tmp_path / "snapshot.pt")
        with pytest.raises(InvalidValueError, match="is not a snapshot"):
            load_snapshot(tmp_path / "snapshot.pt")
        assert not (tmp_path / "ran").exists()

    def test_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidValueError, match=r"cannot read a snapshot at .*: No such file"):
            fit(SMALL, resume_from=tmp_path / "none.pt")
