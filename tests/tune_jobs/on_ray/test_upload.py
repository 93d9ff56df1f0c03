"""What a job takes with it: the code it needs, and neither data, stores, environments nor secrets."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


ODD_STORES = ("my store", "results/trials", "runs [old]", "a*b?", "!x", "#y", "back\\slash", "blank ", "t\t ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with code, environments, data, secrets, stores under odd names and an ignored file."""
    code = ("src/a.py", "src/__pycache__/a.pyc", "notes.txt", "env/agent.py", "runs o/notes.py", "d1/a.py")
    for name in (
        *code, ".venv/lib/x.py", "data/MNIST/raw/big", "ignored/b", ".git/config",
        "sub/py311/pyvenv.cfg", "sub/py311/lib/x.py", "miniforge/conda-meta/history", "d[1]/big",
        ".env", "src/.env.local", "server.pem", ".ssh/id_ed25519",
        *(f"{store}/studies/study_slug=s-a/definition-1.parquet" for store in ODD_STORES),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x" * 100)
    (tmp_path / ".gitignore").write_text("ignored/\n")
    return tmp_path


def test_upload_leaves_out_environments_stores_and_data_and_counts_as_ray_packs(folder: Path) -> None:
    from ray._private import ray_constants
    from ray._private.runtime_env.packaging import create_package

    from tune_jobs.on_ray.upload import choose_left_out, measure

    left_out = choose_left_out(folder, "data", "src/../d[1]", "/elsewhere", None, "s3://bucket/x")
    package = folder.parent / f"{folder.name}.zip"
    excludes = [*ray_constants.get_runtime_env_default_excludes(), *left_out]
    create_package(str(folder), package, include_gitignore=True, excludes=excludes)
    packed = {name for name in zipfile.ZipFile(package).namelist() if not name.endswith("/")}
    kept = {"src/a.py", "notes.txt", ".gitignore", "env/agent.py", "runs o/notes.py", "d1/a.py"}
    assert set(measure(folder, left_out)) == packed == kept


@pytest.mark.parametrize("closed", ["closed/code", "closed"])
def test_what_cannot_be_read_is_named_before_anything_is_packed(closed: str) -> None:
    from tune_jobs.on_ray.upload import check_upload, choose_left_out

    with tempfile.TemporaryDirectory(dir="/tmp") as made, as_nobody(made):
        folder = Path(made)
        (folder / "closed").mkdir()
        (folder / "closed" / "code").write_text("x")
        (folder / closed).chmod(0)
        try:
            with pytest.raises(
                InvalidValueError, match=r"'.*/closed.*' of the working folder cannot be read"
            ):
                check_upload(folder, choose_left_out(folder))
        finally:
            (folder / closed).chmod(0o700)


def test_what_is_ignored_counts_where_ray_is_told_to_send_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.on_ray.upload import choose_left_out, measure

    assert os.path.join("ignored", "b") not in measure(folder, choose_left_out(folder))
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert os.path.join("ignored", "b") in measure(folder, choose_left_out(folder))


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


def pack(folder: Path) -> set[str]:
    """The files that a job of this folder would get."""
    from ray._private import ray_constants
    from ray._private.runtime_env.packaging import create_package, get_uri_for_directory

    from tune_jobs.on_ray.upload import check_upload, choose_left_out

    left_out = choose_left_out(folder)
    check_upload(folder, left_out)
    package = folder.parent / f"{folder.name}.zip"
    excludes = [*ray_constants.get_runtime_env_default_excludes(), *left_out]
    get_uri_for_directory(str(folder), True, excludes=excludes)
    create_package(str(folder), package, include_gitignore=True, excludes=excludes)
    return {name for name in zipfile.ZipFile(package).namelist() if not name.endswith("/")}


def test_pipes_and_links_in_circles_are_left_out(tmp_path: Path) -> None:
    """Ray would open the pipe and wait, and follow two links to their own folder for ever."""
    folder = tmp_path / "work"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    (folder / "a" / "a.py").touch()
    os.mkfifo(folder / "pipe")
    for link, target in {"l": ".", "m": ".", "n": "..", "a/to_b": "../b", "b/to_a": "../a"}.items():
        (folder / link).symlink_to(target)
    assert pack(folder) == {"a/a.py", "b/to_a/a.py"}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (b"\xff.py", b"", r"'\\udcff\.py' in the working folder is no UTF-8"),
        (b".gitignore", b"\xff\n", "cannot be understood: .*can't decode byte"),
        (b".rayignore", b"!\n", r"a \.gitignore or \.rayignore of the working folder cannot be understood"),
    ],
)
def test_what_ray_cannot_pack_is_refused(name: bytes, content: bytes, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(content)
    with pytest.raises(InvalidValueError, match=told):
        pack(folder)


def test_usual_names_of_secrets_are_left_out_and_their_like_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    secret = [".git-credentials", ".npmrc", "a/.docker/config.json", "a.p12", "x/kaggle.json", ".kube/config"]
    secret += ["id_ed25519_sk", ".azure/a", "x/application_default_credentials.json", ".envrc", ".boto"]
    plain = ["token.py", "config.json", "docker/config.json", "tokens/a.txt", "id_rsa.py"]
    for name in (*secret, *plain):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert pack(folder) == set(plain)


def test_folders_to_leave_out_are_found_by_any_way_to_the_working_folder(tmp_path: Path) -> None:
    from tune_jobs.on_ray.upload import choose_left_out

    (tmp_path / "work").mkdir()
    (tmp_path / "link").symlink_to("work")
    for folder in ("link", "work/../work"):
        assert "/sets" in choose_left_out(tmp_path / folder, str(tmp_path / "work" / "sets"))
    assert "/sets" in choose_left_out(tmp_path / "work", str(tmp_path / "link" / "sets"))


def test_folder_beyond_rays_limit_is_refused_with_what_is_large(folder: Path) -> None:
    from tune_jobs.on_ray.upload import check_upload, choose_left_out

    (folder / "videos").mkdir()
    (folder / "videos" / "a.mp4").write_bytes(b"x" * 5000)
    with pytest.raises(InvalidValueError, match=r"Largest: videos \(.*List what the job does not need in"):
        check_upload(folder, choose_left_out(folder), most=4000)
    assert check_upload(folder, [*choose_left_out(folder), "/videos"], most=4000) < 700
