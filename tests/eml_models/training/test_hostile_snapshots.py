"""A snapshot that is torn, or by somebody else, is neither loaded nor exported, and no code in it runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from exporting_testing import RUNS, Trained

from eml_models.errors import InvalidValueError
from eml_models.training.exporting import export_trained
from eml_models.training.snapshot import load_trained


@pytest.mark.parametrize("suffix", RUNS)
def test_torn_snapshot_is_not_exported(digits: Trained, suffix: str, tmp_path: Path) -> None:
    (tmp_path / "torn.pt").write_bytes(digits.path.read_bytes()[:2000])
    with pytest.raises(InvalidValueError, match=r"torn\.pt is not a snapshot, or is damaged"):
        export_trained(tmp_path / "torn.pt", tmp_path / f"net{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["torn.pt"]


HOSTILE: dict[str, dict[str, Any]] = {
    "weights of no network": {"module": {"other": torch.zeros(2)}},
    "weights that are no tensors": {"module": [1, 2]},
    "an epoch that is a text": {"epoch": "3"},
    "an owner that is a list": {"owner": []},
    "a recipe that is no object": {"recipe": "[1]"},
    "a recipe that is no text": {"recipe": 5},
    "facts of no data": {"data": {"mean": [1.0]}},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("suffix", RUNS)
def test_what_could_not_be_loaded_is_not_exported(
    digits: Trained, suffix: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    state = torch.load(digits.path, weights_only=True)
    torch.save({**state, **changes}, tmp_path / "hostile.pt")
    for use in (load_trained, lambda path: export_trained(path, tmp_path / f"net{suffix}")):
        with pytest.raises(InvalidValueError):
            use(tmp_path / "hostile.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pt"]


def test_code_in_a_file_is_not_run(digits: Trained, tmp_path: Path) -> None:
    """torch.export.load would run it: a program keeps its example images as a pickle."""

    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    hostile = io.BytesIO()
    torch.save(Code(), hostile)
    export_trained(digits.path, tmp_path / "net.pt2")
    with zipfile.ZipFile(tmp_path / "net.pt2") as whole, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for name in whole.namelist():
            pickled = name.endswith("sample_inputs/model.pt")
            bad.writestr(name, hostile.getvalue() if pickled else whole.read(name))
    (tmp_path / "bad.pt").write_bytes(hostile.getvalue())
    for source in ("bad.pt2", "bad.pt"):
        for use in (load_trained, lambda path: export_trained(path, tmp_path / "copy.pt")):
            with pytest.raises(InvalidValueError, match="is not a snapshot"):
                use(tmp_path / source)
    assert {path.name for path in tmp_path.iterdir()} == {"net.pt2", "bad.pt2", "bad.pt"}
