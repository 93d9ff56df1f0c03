"""A user's files as the data of a study in Python: named by `with_changes`, trained on, changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eml_models.data import loading
from eml_models.data.file_sets import forget_file_sets
from tune_jobs import RunFailedError, StudyChangedError, TrialStore, run_study
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.study.definition import Study


@pytest.fixture(autouse=True)
def _in_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    forget_file_sets()
    loading._cache.clear()


def put_files(kind: str, seed: int = 0) -> str:
    """The word of new files: 40 grey images of the classes cat and dog."""
    images = np.random.RandomState(seed).randint(0, 256, (40, 8, 8)).astype(np.uint8)
    names = np.array(["cat", "dog"])
    if kind == "arrays":
        np.savez("pets.npz", x_train=images, y_train=np.arange(40) % 2, class_names=names)
        return "arrays:pets.npz"
    for index, image in enumerate(images):
        path = Path("pets") / names[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return "folder:pets"


def of_files(word: str, trials: int = 1) -> Study:
    return digits_recipes().with_changes(name="pets", dataset=word, epochs=1, trials=trials, no_asha=True)


@pytest.mark.parametrize("kind", ["arrays", "folder"])
def test_files_train_a_network_that_knows_their_classes_and_changed_ones_are_refused(kind: str) -> None:
    word = put_files(kind)
    found = run_study(of_files(word), store="trials", inline=True)
    network = found.best.weights.load()
    assert network.facts.data.class_names == ("cat", "dog")
    assert network.facts.data.input_shape == (1, 8, 8)
    later = TrialStore("trials").results("pets")
    assert later.best == found.best
    assert later.study.recipe == of_files(word).recipe
    changed = of_files(put_files(kind, seed=1), trials=2)
    with pytest.raises(StudyChangedError, match=r"was data set 'pets' with fingerprint .*, is now data set"):
        run_study(changed, store="trials", inline=True)


def test_file_that_changes_between_a_study_and_its_run_is_named() -> None:
    study = of_files(put_files("arrays"))
    put_files("arrays", seed=1)
    with pytest.raises(RunFailedError, match=r"pets\.npz has changed: this needs data set 'pets' with"):
        run_study(study, store="trials", inline=True)


def test_a_share_of_a_network_is_of_the_images_of_the_files() -> None:
    limited = digits_recipes().with_changes(dataset=put_files("folder"), max_macs="0.5*small_cnn")
    assert limited.limits.max_macs is not None
    assert 0 < limited.limits.max_macs < 1_000_000
