"""What a job takes with it: the code it needs, and neither data, stores, environments nor secrets."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from eml_models.errors import InvalidValueError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


ODD_STORES = ("my store", "results/trials", "runs [old]", "a*b?", "!x", "#y", "back\\slash", "blank ", "t\t ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with code, environments, data, secrets, stores under odd names and an ignored file."""
    folder = tmp_path / "work"
    code = ("src/a.py", "src/__pycache__/a.pyc", "notes.txt", "env/agent.py", "runs o/notes.py", "d1/a.py")
    for name in (
        *code, ".venv/lib/x.py", "data/MNIST/raw/big", "ignored/b", ".git/config",
        "sub/py311/pyvenv.cfg", "sub/py311/lib/x.py", "miniforge/conda-meta/history", "d[1]/big",
        ".env", "src/.env.local", "server.pem", ".ssh/id_ed25519",
        *(f"{store}/studies/study_slug=s-a/definition-1.parquet" for store in ODD_STORES),
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x" * 100)
    (folder / ".gitignore").write_text("ignored/\n")
    return folder


def arrived(folder: Path, **options: Any) -> set[str]:
    """The files that a job of this folder finds, unpacked by Ray; they are the files that were named."""
    from ray._private.runtime_env.packaging import unzip_package

    from tune_jobs.on_ray.jobs.upload import choose_files, pack

    upload = choose_files(folder, **options)
    with tempfile.TemporaryDirectory() as made:
        there = Path(made) / "there"
        pack(upload, Path(made) / "folder.zip")
        unzip_package(
            str(Path(made) / "folder.zip"), str(there), remove_top_level_directory=False, unlink_zip=True
        )
        found = {str(path.relative_to(there)) for path in there.rglob("*") if not path.is_dir()}
        for name in found:
            assert not (there / name).is_symlink()
            assert (there / name).read_bytes() == (folder / name).read_bytes()
    assert found == set(upload.sizes)
    assert all(size == (folder / name).stat().st_size for name, size in upload.sizes.items())
    return found


def test_upload_leaves_out_environments_stores_and_data(folder: Path) -> None:
    found = arrived(folder, named=("data", "src/../d[1]", "/elsewhere", None, "s3://bucket/x"))
    assert found == {"src/a.py", "notes.txt", ".gitignore", "env/agent.py", "runs o/notes.py", "d1/a.py"}


def test_links_that_ray_would_follow_are_not_in_the_package(tmp_path: Path) -> None:
    """Given the folder itself, Ray packs what any link leads to."""
    from ray._private.runtime_env.packaging import create_package

    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "outside").write_text("x")
    (folder / "a.py").write_text("x")
    (folder / "link").symlink_to("../outside")
    create_package(str(folder), tmp_path / "of-ray.zip", include_gitignore=True)
    assert set(ZipFile(tmp_path / "of-ray.zip").namelist()) == {"a.py", "link"}
    assert arrived(folder) == {"a.py"}


@pytest.mark.parametrize("closed", ["closed/code", "closed"])
def test_what_cannot_be_read_is_named_before_anything_is_packed(closed: str) -> None:
    from tune_jobs.on_ray.jobs.upload import choose_files

    with tempfile.TemporaryDirectory(dir="/tmp") as made, as_nobody(made):
        folder = Path(made)
        (folder / "closed").mkdir()
        (folder / "closed" / "code").write_text("x")
        (folder / closed).chmod(0)
        try:
            with pytest.raises(
                InvalidValueError, match=r"'.*/closed.*' of the working folder cannot be read"
            ):
                choose_files(folder)
        finally:
            (folder / closed).chmod(0o700)


def test_link_out_to_what_is_closed_is_left_out_and_no_hindrance() -> None:
    from tune_jobs.on_ray.jobs.left_out import Why
    from tune_jobs.on_ray.jobs.upload import choose_files

    with tempfile.TemporaryDirectory(dir="/tmp") as made, as_nobody(made):
        folder, closed = Path(made) / "work", Path(made) / "closed"
        (closed / "inner").mkdir(parents=True)
        folder.mkdir()
        (folder / "deep").symlink_to("../closed/inner/x")
        (folder / "a.py").touch()
        closed.chmod(0)
        try:
            upload = choose_files(folder)
        finally:
            closed.chmod(0o700)
    assert set(upload.sizes) == {"a.py"}
    assert [(one.name, one.why) for one in upload.left_out] == [("deep", Why.OUTSIDE)]


def test_file_that_goes_before_it_is_packed_is_named(folder: Path, tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs.upload import choose_files, pack

    upload = choose_files(folder)
    (folder / "src" / "a.py").unlink()
    with pytest.raises(InvalidValueError, match=r"a\.py' of the working folder cannot be read: No such file"):
        pack(upload, tmp_path / "folder.zip")


def test_ignored_files_are_sent_if_ray_is_set_to_send_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.path.join("ignored", "b") not in arrived(folder)
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert os.path.join("ignored", "b") in arrived(folder)


@contextmanager
def as_nobody(folder: str) -> Iterator[None]:
    """As a user who owns the folder and may not read everything; root may."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_pipes_and_links_in_circles_are_left_out(tmp_path: Path) -> None:
    """A pipe would be waited for, and two links to their own folder followed for ever."""
    from tune_jobs.on_ray.jobs.left_out import Why
    from tune_jobs.on_ray.jobs.upload import choose_files

    folder = tmp_path / "work"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "a" / "a.py").touch()
    os.mkfifo(folder / "pipe")
    for name, target in {"l": ".", "m": ".", "n": "..", "a/to_b": "../b", "b/to_a": "../a"}.items():
        (folder / name).symlink_to(target)
    (folder / "self").symlink_to("self")
    assert arrived(folder) == {"a/a.py", "b/to_a/a.py"}
    assert {one.name: one.why for one in choose_files(folder).left_out} == {
        "pipe": Why.SPECIAL, "l": Why.CIRCLE, "m": Why.CIRCLE, "n": Why.OUTSIDE, "self": Why.NOWHERE,
        "a/to_b/to_a": Why.CIRCLE, "b/to_a/to_b": Why.CIRCLE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (b"\xff.py", b"", r"'\\udcff\.py' in the working folder is not UTF-8"),
        (b".gitignore", b"\xff\n", "cannot be understood: .*can't decode byte"),
        (b".rayignore", b"!\n", r"a \.gitignore or \.rayignore of the working folder cannot be understood"),
    ],
)
def test_what_cannot_be_packed_is_refused(name: bytes, content: bytes, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(content)
    with pytest.raises(InvalidValueError, match=message):
        arrived(folder)


def test_names_that_ray_would_not_unpack_are_left_out_by_name(tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs.left_out import Why
    from tune_jobs.on_ray.jobs.upload import choose_files

    for name in ("a\\b.py", "c:d.py", "e.py", "ff:g.py"):
        (tmp_path / name).touch()
    assert arrived(tmp_path) == {"e.py", "ff:g.py"}
    assert {(one.name, one.why) for one in choose_files(tmp_path).left_out} == {
        ("a\\b.py", Why.NO_NAME),
        ("c:d.py", Why.NO_NAME),
    }


def test_what_options_name_is_left_out_by_any_way_to_it(tmp_path: Path) -> None:
    (tmp_path / "work" / "sets").mkdir(parents=True)
    (tmp_path / "work" / "sets" / "x").touch()
    (tmp_path / "work" / "our").touch()
    (tmp_path / "link").symlink_to("work")
    (tmp_path / "work" / "again").symlink_to("sets")
    (tmp_path / "work" / "our-too").symlink_to("our")
    for folder in (tmp_path / "link", tmp_path / "work" / ".." / "work"):
        assert arrived(folder) == {"sets/x", "again/x", "our", "our-too"}
        for way in ("work", "link"):
            sets, token = tmp_path / way / "sets", tmp_path / way / "our"
            assert arrived(folder, named=(str(sets),), secrets=(str(token),)) == set()


def test_same_files_make_the_same_package_and_programs_stay_programs(folder: Path, tmp_path: Path) -> None:
    """So that it is sent once; whatever has been touched or was found in another order."""
    from tune_jobs.on_ray.jobs.upload import choose_files, pack

    (folder / "empty").mkdir()
    (folder / "run.sh").touch(mode=0o755)
    first, second = tmp_path / "1.zip", tmp_path / "2.zip"
    assert pack(choose_files(folder), first) == first.stat().st_size
    os.utime(folder / "notes.txt", (1, 1))
    pack(choose_files(folder), second)
    assert first.read_bytes() == second.read_bytes()
    modes = {one.filename: one.external_attr >> 16 for one in ZipFile(first).infolist()}
    assert stat.S_IMODE(modes["run.sh"]) & 0o100
    assert stat.S_ISDIR(modes["empty/"])


def test_limit_is_of_the_package_and_named_with_what_is_large(folder: Path, tmp_path: Path) -> None:
    from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE

    from tune_jobs.on_ray.jobs import upload

    assert upload.MOST_BYTES == DASHBOARD_CLIENT_MAX_SIZE
    (folder / "videos").mkdir()
    (folder / "videos" / "a.mp4").write_bytes(os.urandom(50_000))
    chosen = upload.choose_files(folder)
    size = upload.pack(chosen, tmp_path / "a.zip", most=100_000)
    assert upload.pack(chosen, tmp_path / "b.zip", most=size) == size
    message = (
        r"has 14 files .* more than the .* that Ray takes\. Largest: videos/ \(48\.8 KiB\).*List files that"
    )
    with pytest.raises(InvalidValueError, match=message.replace("14", str(len(chosen.sizes)))):
        upload.pack(chosen, tmp_path / "c.zip", most=size - 1)


def test_packing_stops_once_it_is_too_large(tmp_path: Path) -> None:
    from tune_jobs.on_ray.jobs import upload

    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "big").write_bytes(os.urandom(8 << 20))
    with pytest.raises(InvalidValueError, match="more than"):
        upload.pack(upload.choose_files(tmp_path / "work"), tmp_path / "a.zip", most=1000)
    assert (tmp_path / "a.zip").stat().st_size < 3 << 20
