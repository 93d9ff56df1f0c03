"""What a head keeps of a submitted folder, and how much it takes: on a real one, behind its token."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_cluster import JobCluster, job_cluster
from patience import wait_until

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the unpacked folder below the head's own"),
]


@pytest.fixture(scope="module")
def head() -> Iterator[JobCluster]:
    with job_cluster(workers=0) as made:
        yield made


def put(head: JobCluster, num_bytes: int) -> int:
    """The HTTP status with which the dashboard answers a package of this size."""
    token = Path(head.environment["RAY_AUTH_TOKEN_PATH"]).read_text()
    request = urllib.request.Request(
        f"{head.url}/api/packages/gcs/_ray_pkg_{num_bytes}.zip",
        data=bytes(num_bytes),
        method="PUT",
        headers={"Authorization": f"Bearer {token}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return 413 if b"Maximum request body size" in error.read() else error.code


def test_our_limit_is_that_of_a_real_dashboard(head: JobCluster) -> None:
    from tune_jobs.on_ray.jobs.upload import MOST_BYTES

    assert put(head, MOST_BYTES) == 200
    assert put(head, MOST_BYTES + 1) == 413


def test_head_has_the_files_that_were_named_and_no_others(head: JobCluster, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for name in (
        "work/src/a.py",
        "work/prod.env",
        "work/build/x",
        "house/.aws/credentials",
        "house/notes.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (work / "run.sh").touch(mode=0o755)
    (work / "empty").mkdir()
    (work / ".rayignore").write_text("build\n")
    for link, target in {"creds": "../house/.aws", "notes": "../house/notes.txt", "b.py": "src/a.py"}.items():
        (work / link).symlink_to(target)
    words = ("submit", "digits-recipes", "--trials", "1", "--epochs", "1", "--no-wait")
    done = head.call(*words, "--store", str(tmp_path / "store"), folder=work)
    assert done.returncode == 0, done.stderr
    assert "uploading 4 files (32 bytes, packed " in done.stderr
    unpacked = wait_until(
        lambda: [*Path(head.temp).glob("h/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/src")],
        "the head unpacked nothing",
    )
    there = unpacked[0].parent
    wait_until(lambda: (there / "run.sh").exists(), "the last file did not come")
    assert {str(path.relative_to(there)) for path in there.rglob("*")} == {
        *("src", "src/a.py", "run.sh", "empty", ".rayignore", "b.py")
    }
    assert (there / "b.py").read_text() == "work/src/a.py"
    assert (there / "run.sh").stat().st_mode & 0o100
