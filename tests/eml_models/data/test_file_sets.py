"""Sets of files by word and by name: what a recipe keeps, where images are found again, changed files."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eml_models import Recipe, evaluate_test, fit, load_dataset
from eml_models.data import decoded_images, image_folders, loading
from eml_models.data.datasets import (
    DatasetSpec,
    data_fingerprint,
    get_dataset_spec,
    read_dataset,
    require_dataset,
)
from eml_models.data.file_names import FileSetName, label, short_name_of, without_short_names
from eml_models.data.file_sets import forget_file_sets, known_file_sets, register_file_set
from eml_models.errors import DatasetMissingError, InvalidValueError, UnknownNameError


@pytest.fixture(autouse=True)
def _leave_no_set_behind() -> Iterator[None]:
    yield
    forget_file_sets()
    loading._cache.clear()


def arrays(path: Path, seed: int = 0) -> str:
    """The word of a new file of 60 images of 3 classes, in which the class is the brightest channel."""
    random = np.random.RandomState(seed)
    labels = np.arange(60) % 3
    images = random.randint(0, 120, (60, 8, 8, 3)).astype(np.uint8)
    images[np.arange(60), :, :, labels] += 120
    np.savez(path, x_train=images, y_train=labels, class_names=np.array(["red", "green", "blue"]))
    return f"arrays:{path}"


def folder(path: Path) -> str:
    """The word of a new folder of images, with the training and test images of `arrays`."""
    raw = read_dataset(arrays(path.parent / "source.npz"))
    forget_file_sets()
    for part, images, labels in (
        ("train", raw.train_images, raw.train_labels),
        ("test", raw.test_images, raw.test_labels),
    ):
        for index, (image, number) in enumerate(zip(images, labels, strict=True)):
            name = path / part / ("0red", "1green", "2blue")[number] / f"{index}.png"
            name.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(name)
    return f"folder:{path}"


def test_recipe_keeps_the_content_and_not_the_place(tmp_path: Path) -> None:
    recipe = Recipe(dataset=arrays(tmp_path / "my set.npz"), learning_rate=0.1, epochs=1)
    named = FileSetName.parse(recipe.dataset)
    assert named is not None
    assert (named.short, named.input_shape, named.num_classes) == ("my_set", (3, 8, 8), 3)
    assert named.fingerprint == data_fingerprint(recipe.dataset)
    assert str(tmp_path) not in recipe.to_json()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    spec = get_dataset_spec(recipe.dataset)
    assert (spec.num_train, spec.num_test, spec.class_names) == (48, 12, ("red", "green", "blue"))
    assert spec.value_bytes == 1


def test_equal_content_has_one_identity_at_every_place(tmp_path: Path) -> None:
    first, second = (get_dataset_spec(arrays(tmp_path / f"{name}.npz")) for name in "ab")
    names = [FileSetName.parse(spec.name) for spec in (first, second)]
    assert names[0]
    assert names[1]
    assert names[0].identity == names[1].identity
    assert get_dataset_spec(first.name) == second  # the place named last
    assert len(known_file_sets()) == 1
    other = FileSetName.parse(get_dataset_spec(arrays(tmp_path / "c.npz", seed=1)).name)
    assert other
    assert other.identity != names[0].identity


def test_shapes_are_known_without_the_files_and_images_are_asked_for(tmp_path: Path) -> None:
    recipe = Recipe(dataset=arrays(tmp_path / "a.npz"), learning_rate=0.1, epochs=1)
    forget_file_sets()
    again = Recipe.from_json(recipe.to_json())
    spec = get_dataset_spec(again.dataset)
    assert (spec.input_shape, spec.num_classes, spec.num_train) == ((3, 8, 8), 3, None)
    for needs_images in (require_dataset, read_dataset, load_dataset):
        with pytest.raises(
            DatasetMissingError,
            match=r"'a' with fingerprint .*is known here by its name alone.*--dataset arrays:",
        ):
            needs_images(again.dataset, data_dir=tmp_path)
    load_dataset(arrays(tmp_path / "moved.npz"))  # now its place is known
    assert len(list(fit(again, data_dir=tmp_path))) == 1


def test_network_of_files_is_trained_and_tested(tmp_path: Path) -> None:
    recipe = Recipe(
        dataset=arrays(tmp_path / "a.npz"),
        model_options={"width": 8},
        learning_rate=0.1,
        epochs=8,
        batch_size=16,
    )
    training = fit(recipe)
    *_, last = training
    assert last.val_accuracy is not None
    assert last.val_accuracy > 0.9
    assert evaluate_test(training.module, recipe).accuracy > 0.9
    facts = training.snapshot().data
    assert facts.class_names == ("red", "green", "blue")
    assert facts.fingerprint == data_fingerprint(recipe.dataset)


def test_folder_and_arrays_of_the_same_images_are_the_same_data(tmp_path: Path) -> None:
    from_folder = load_dataset(folder(tmp_path / "images"), data_dir=tmp_path / "data")
    from_arrays = load_dataset(arrays(tmp_path / "a.npz"))
    assert from_folder.spec.class_names == ("0red", "1green", "2blue")
    ours, theirs = (
        sorted(
            (image.tobytes(), int(number))
            for image, number in zip(d.train_images_NCHW.numpy(), d.train_labels, strict=True)
        )
        for d in (from_folder, from_arrays)
    )
    assert ours == theirs


def test_folder_is_decoded_once_and_again_when_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word, data_dir, decoded = folder(tmp_path / "images"), tmp_path / "data", []
    real = image_folders._decode

    def counting(content: bytes, **options: bool) -> object:
        decoded.append(1)
        return real(content, **options)

    monkeypatch.setattr(image_folders, "_decode", counting)
    first = get_dataset_spec(word, data_dir=data_dir)
    assert len(decoded) == 60
    forget_file_sets()
    assert get_dataset_spec(word, data_dir=data_dir) == first
    read_dataset(first.name, data_dir=tmp_path / "elsewhere")
    assert len(decoded) == 60
    (kept,) = (data_dir / "decoded").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:5000])  # damaged: decoded anew
    assert get_dataset_spec(word, data_dir=data_dir) == first
    assert len(decoded) == 120
    shutil.copy(tmp_path / "images/train/0red/0.png", tmp_path / "images/train/0red/new.png")
    assert get_dataset_spec(word, data_dir=data_dir).name != first.name
    assert len(list((data_dir / "decoded").glob("*.npz"))) == 2


def test_decoded_images_are_found_by_their_fingerprint_without_the_folder(tmp_path: Path) -> None:
    spec = get_dataset_spec(folder(tmp_path / "images"), data_dir=tmp_path / "data")
    forget_file_sets()
    shutil.rmtree(tmp_path / "images")
    require_dataset(spec.name, data_dir=tmp_path / "data")
    assert len(read_dataset(spec.name, data_dir=tmp_path / "data").train_labels) == 48


def test_folder_of_data_sets_that_cannot_be_written_costs_only_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("a file in the place of the folder")
    with caplog.at_level(logging.WARNING):
        spec = get_dataset_spec(folder(tmp_path / "images"), data_dir=tmp_path / "data")
    assert "decoded images cannot be kept in" in caplog.text
    assert "--data-dir" in caplog.text
    assert len(read_dataset(spec.name, data_dir=tmp_path / "data").train_labels) == 48


def test_files_that_change_while_they_are_decoded_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = folder(tmp_path / "images")
    real = image_folders.ImageFolder.read

    def changing(images: image_folders.ImageFolder) -> object:
        found = real(images)
        images.files[0].write_bytes(images.files[1].read_bytes())
        return found

    monkeypatch.setattr(decoded_images.ImageFolder, "read", changing)
    with pytest.raises(InvalidValueError, match="changed while they were read; try again"):
        get_dataset_spec(word, data_dir=tmp_path / "data")


def test_file_that_changes_under_its_study_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    first = get_dataset_spec(arrays(tmp_path / "a.npz")).name
    arrays(tmp_path / "a.npz", seed=1)
    with pytest.raises(
        DatasetMissingError, match=r"a.npz has changed: .* fingerprint .* have fingerprint"
    ) as caught:
        read_dataset(first)
    second = FileSetName.parse(get_dataset_spec(f"arrays:{tmp_path / 'a.npz'}").name)
    assert second
    for named in (FileSetName.parse(first), second):
        assert named
        assert named.fingerprint in str(caught.value)
    (tmp_path / "a.npz").unlink()
    with pytest.raises(DatasetMissingError, match=r"a.npz is missing; say where its files lie: --dataset"):
        require_dataset(str(second))


def test_missing_test_set_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    get_dataset_spec(arrays(tmp_path / "a.npz"))
    assert "a fixed fifth of each class is held out for testing, 12 of 60 images" in caplog.text


def test_another_process_gets_the_place(tmp_path: Path) -> None:
    spec: DatasetSpec = pickle.loads(pickle.dumps(get_dataset_spec(arrays(tmp_path / "a.npz"))))
    forget_file_sets()
    register_file_set(spec)
    assert len(read_dataset(spec.name).train_labels) == 48


@pytest.mark.parametrize("word", ["arrays:", "folder:"])
def test_word_without_a_path_is_refused(word: str) -> None:
    with pytest.raises(InvalidValueError, match=r"must be arrays:FILE.npz or folder:DIR, got"):
        Recipe(dataset=word, learning_rate=0.1, epochs=1)


def test_unknown_name_shows_the_words_for_files() -> None:
    with pytest.raises(UnknownNameError, match=r"known: arrays:FILE.npz.*did you mean 'arrays:FILE.npz'"):
        get_dataset_spec("array:FILE.npz")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a b.npz", "a_b"), ("x" * 60, "x" * 40), ("Ünï", "n"), ("...", "data"), ("v1.5.npz", "v1_5")],
)
def test_short_name_is_of_the_file(path: str, expected: str) -> None:
    assert short_name_of(Path(path)) == expected


def test_short_names_do_not_identify() -> None:
    name = f"roses@{'0a' * 16}.3x8x8.5"
    assert without_short_names(f'{{"dataset":"{name}","x":"a@b"}}') == (
        f'{{"dataset":"@{"0a" * 16}.3x8x8.5","x":"a@b"}}'
    )
    assert (label(name), label("digits")) == ("roses@0a0a0a0a", "digits")
    assert str(FileSetName.parse(name)) == name
    assert FileSetName.parse(name.removesuffix("5") + "0") is None


@pytest.mark.parametrize(("count", "with_test"), [(5, False), (4, True)])
def test_set_too_small_for_a_validation_part_is_refused_before_it_is_trained_on(
    tmp_path: Path, count: int, with_test: bool
) -> None:
    images, labels = np.zeros((count, 8, 8), np.uint8), np.arange(count) % 2
    rest = {"x_test": images, "y_test": labels} if with_test else {}
    np.savez(tmp_path / "few.npz", x_train=images, y_train=labels, **rest)
    with pytest.raises(InvalidValueError, match=r"few\.npz must have at least 5 training images.*got 4; add"):
        Recipe(dataset=f"arrays:{tmp_path / 'few.npz'}", learning_rate=0.1, epochs=1)
