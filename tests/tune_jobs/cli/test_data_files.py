"""Files of arrays and folders of images as the data of shipped studies: run, moved, changed, used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_testing import Cli
from PIL import Image

from eml_models import load_trained
from eml_models.data import loading
from eml_models.data.file_names import FileSetName
from eml_models.data.file_sets import forget_file_sets
from tune_jobs import TrialStore

WORDS = ("--inline", "--epochs", "2", "--no-asha", "--device", "cpu")


@pytest.fixture(autouse=True)
def _leave_no_set_behind() -> Iterator[None]:
    yield
    as_in_a_new_process()


def as_in_a_new_process() -> None:
    forget_file_sets()
    loading._cache.clear()


def put_arrays(path: Path, seed: int = 0) -> str:
    """The word of a file of 60 grey images of 3 classes."""
    random = np.random.RandomState(seed)
    images, labels = random.randint(0, 256, (60, 8, 8)).astype(np.uint8), np.arange(60) % 3
    names = np.array(["cat", "dog", "hare"])
    np.savez(path, x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9], class_names=names)
    return f"arrays:{path}"


def test_study_of_a_file_goes_on_where_the_file_has_moved_and_serves_every_verb(
    cli: Cli, folder: Path
) -> None:
    run = ("run", "digits-recipes", "--name", "cells", *WORDS)
    code, _, err = cli(*run, "--trials", "2", "--dataset", put_arrays(folder / "cats.npz"))
    assert code == 0, err
    starts = TrialStore("trials").starts("cells")
    recipes = [json.loads(text) for text in starts["recipe"]]
    (named,) = {FileSetName.parse(recipe["dataset"]) for recipe in recipes}
    assert named is not None
    assert (named.short, named.input_shape, named.num_classes) == ("cats", (1, 8, 8), 3)
    assert set(TrialStore("trials").trials("cells")["data_fingerprint"]) == {named.fingerprint}

    as_in_a_new_process()
    (folder / "cats.npz").rename(folder / "renamed.npz")
    code, _, err = cli(*run, "--trials", "3", "--dataset", f"arrays:{folder / 'renamed.npz'}")
    assert code == 0, err
    recipes = [json.loads(text) for text in TrialStore("trials").starts("cells")["recipe"]]
    assert {recipe["dataset"] for recipe in recipes} == {str(named)}

    as_in_a_new_process()  # shapes are in the name, so these need no data
    for words in (
        ("show", "cells"),
        ("show", "cells", "1"),
        ("report", "cells"),
        ("export", "cells", "best", "--output", "best.pt"),
        ("finalists", "cells", "--top", "1"),
        ("replay", "cells", "1"),
    ):
        code, out, err = cli(*words, *(("--dry-run",) if words[0] == "finalists" else ()))
        if words[0] in ("finalists", "replay"):
            assert code == 1, err
            assert "'cats' with fingerprint" in err
            assert "say where its files lie: --dataset arrays:FILE.npz or folder:DIR" in err
        else:
            assert code == 0, err
    assert load_trained("best.pt").facts.data.class_names == ("cat", "dog", "hare")
    place = ("--dataset", f"arrays:{folder / 'renamed.npz'}")
    code, out, err = cli("replay", "cells", "1", *place)
    assert code == 0, err
    assert "2 of 2 epochs equal to the bit" in err
    code, out, err = cli("finalists", "cells", "--top", "1", "--dry-run", *place)
    assert code == 0, err
    assert f"cats@{named.fingerprint[:8]}" in out

    other = put_arrays(folder / "other.npz", seed=1)
    for words in (("replay", "cells", "1"), ("finalists", "cells"), (*run, "--trials", "4")):
        code, _, err = cli(*words, "--dataset", other)
        assert code != 0
        assert named.fingerprint in err
        found = FileSetName.parse(TrialStore("trials").definition("cells")["recipe"]["dataset"])
        assert found == named
        assert err.count("with fingerprint") == 2
    assert "recipe.dataset: was data set 'cats' with fingerprint" in err


def test_folder_of_images_trains_at_the_smoke_scale_and_says_what_it_decided(cli: Cli, folder: Path) -> None:
    random = np.random.RandomState(0)
    for name in ("rose", "aster"):
        for index in range(15):
            path = folder / "flowers" / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.randint(0, 256, (12, 12, 3)).astype(np.uint8)).save(path)
    code, out, err = cli(
        *("run", "digits-mobilenet", "--scale", "smoke", "--dataset", "folder:flowers", "--dry-run"),
        *("--format", "json", "--data-dir", "sets"),
    )
    assert code == 0, err
    definition = json.loads(out)["definition"]
    named = FileSetName.parse(definition["recipe"]["dataset"])
    assert named is not None
    assert (named.short, named.input_shape, named.num_classes) == ("flowers", (3, 12, 12), 2)
    assert str(folder) not in out
    (kept,) = (folder / "sets" / "decoded").glob("*.npz")
    assert kept.name.startswith(named.fingerprint)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("arrays:none.npz", "none.npz is missing; name a file of arrays"),
        ("folder:none", "none is missing; name a folder with a folder for each class"),
        ("arrays:", "must be arrays:FILE.npz or folder:DIR, got 'arrays:'"),
        ("cats.npz", "arrays:FILE.npz or folder:DIR, got 'cats.npz'; write arrays:cats.npz"),
        ("images/cats", "arrays:FILE.npz or folder:DIR, got 'images/cats'; write folder:images/cats"),
        ("dir:images/cats", "unknown data set 'dir:images/cats'; known: "),
    ],
)
def test_files_that_are_not_there_are_said_before_anything_starts(
    cli: Cli, folder: Path, word: str, message: str
) -> None:
    code, out, err = cli("run", "digits-recipes", "--dataset", word)
    assert code != 0
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "word"), [("cats", "known: folder:cats, "), ("cats.npz", "write arrays:cats.npz")]
)
def test_files_that_are_named_by_their_path_alone_get_their_word(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "cats").mkdir()
    (folder / "cats.npz").touch()
    code, _, err = cli("run", "digits-recipes", "--dataset", name)
    assert code == 2
    assert word in err


def test_data_of_own_training_and_of_named_sets_is_checked(cli: Cli, folder: Path) -> None:
    code, _, err = cli("run", "digits-recipes", *WORDS, "--trials", "1", "--train-samples", "60")
    assert code == 0, err
    code, _, err = cli("replay", "digits-recipes", "0", "--dataset", "mnist")
    assert code != 0
    assert "--dataset must be the data of the study, data set 'digits', got data set 'mnist'" in err


def test_files_of_a_job_are_data_that_is_not_uploaded() -> None:
    from tune_jobs.cli.job_commands import files_of

    assert files_of("arrays:/shared/a:b.npz") == "/shared/a:b.npz"
    assert files_of("folder:/shared/flowers") == "/shared/flowers"
    assert files_of("digits") is files_of(None) is None


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_job_takes_files_by_an_absolute_path_alone(cli: Cli, folder: Path) -> None:
    put_arrays(folder / "cats.npz")
    code, _, err = cli(
        *("submit", "digits-recipes", "--address", "http://127.0.0.1:1", "--store", "/shared/trials"),
        *("--dataset", "arrays:cats.npz"),
    )
    assert code != 0
    assert "--dataset must name files of a job by an absolute path, got 'arrays:cats.npz'" in err
