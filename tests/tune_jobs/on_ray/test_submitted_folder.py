"""What `submit` sends and says, end to end but for the cluster: the package that a dashboard was given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from job_dashboard import Dashboard

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

WORDS = ("submit", "digits-recipes", "--store", "/shared/trials", "--no-wait")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder that the command line is called in."""
    folder = tmp_path / "work"
    write(folder, "src/a.py")
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def link(folder: Path, **targets: str) -> None:
    for name, target in targets.items():
        (folder / name).symlink_to(target)


def test_links_that_lead_out_are_left_out_and_named(dashboard: Dashboard, call: Any, work: Path) -> None:
    write(work.parent, "house/.aws/credentials", "house/notes.txt", "house/etc/shadow")
    link(
        work,
        creds="../house/.aws",
        etc=str(work.parent / "house" / "etc"),
        notes="../house/notes.txt",
        up="..",
    )
    link(work, same="src", code="src/a.py", gone="nowhere")
    link(work / "src", **{"b.py": "../notes", "c.py": "a.py"})
    code, _, message = call(*WORDS)
    assert code == 0, message
    assert dashboard.sent == {"src/a.py", "src/c.py", "same/a.py", "same/c.py", "code"}
    assert b"shadow" not in dashboard.package
    lines = message.splitlines()
    assert "  left out as secrets, by their names: creds -> ../house/.aws" in lines
    assert (
        f"  left out as links that lead out of the folder: etc -> {work.parent}/house/etc, notes ->"
        " ../house/notes.txt, same/b.py -> ../notes, src/b.py -> ../notes, up -> .."
    ) in lines
    assert "  left out as links that lead to nothing: gone -> nowhere" in lines


def test_link_that_is_asked_for_is_followed_but_not_to_secrets(
    dashboard: Dashboard, call: Any, work: Path
) -> None:
    write(work.parent, "common/b.py", "common/.env", "common/logs/x", "other/c.py", "house/.aws/config")
    write(work.parent, "common/.rayignore", content=b"logs\n")
    link(work, shared="../common", aws="../house/.aws")
    link(work.parent / "common", out="../other", here="b.py")
    code, _, message = call(*WORDS, "--follow-link", "shared", "--follow-link", "aws")
    assert code == 0, message
    assert dashboard.sent == {"src/a.py", "shared/b.py", "shared/here", "shared/.rayignore"}
    assert "left out as links that lead out of the folder: shared/out -> ../other" in message
    assert "left out as secrets, by their names: aws -> ../house/.aws, shared/.env" in message
    code, _, message = call(*WORDS, "--name", "two", "--follow-link", "src")
    assert code == 2
    assert "--follow-link takes the path of a link in the working folder" in message


def test_secret_is_known_by_every_name_on_the_way_to_it(dashboard: Dashboard, call: Any, work: Path) -> None:
    write(work, ".env", ".streamlit/secrets.toml", "private/x.txt", ".ssh/config")
    write(work, ".gitignore", content=b"private\n")
    link(
        work,
        **{"notes.txt": "two", "two": ".env", "conf": ".streamlit", "mine": "private", "s": "src/../.ssh"},
    )
    link(work, **{".npmrc": "src/a.py"})
    link(work / "src", **{"x.txt": "../private/x.txt"})
    code, _, message = call(*WORDS)
    assert code == 0, message
    assert dashboard.sent == {"src/a.py", ".gitignore"}
    for named in (
        "notes.txt -> two",
        "two -> .env",
        "conf/secrets.toml",
        "s -> src/../.ssh",
        ".npmrc -> src/a.py",
    ):
        assert named in message
    assert "left out by .gitignore: mine -> private, private, src/x.txt -> ../private/x.txt" in message


@pytest.mark.parametrize(
    "name",
    [
        *("prod.env", "secrets.yaml", "credentials.json", "service-account.json", "terraform.tfstate"),
        *(".streamlit/secrets.toml", ".config/gcloud/legacy/adc", "rclone.conf", ".cache/huggingface/token"),
        *("id_rsa_work", "kubeconfig", ".kaggle/x", ".aws/config", "a.jks"),
    ],
)
def test_usual_secrets_are_left_out_and_named(name: str, dashboard: Dashboard, call: Any, work: Path) -> None:
    write(work, name)
    code, _, message = call(*WORDS)
    assert code == 0, message
    assert dashboard.sent == {"src/a.py"}
    (line,) = [line for line in message.splitlines() if "left out as secrets" in line]
    named = line.partition(": ")[2]
    assert name == named or name.startswith(f"{named}/")


def test_it_says_what_it_sends(dashboard: Dashboard, call: Any, work: Path) -> None:
    write(work, "weights.bin", content=b"\0" * 3_000_000)
    write(work, "b.txt", ".git/config", "logs/x", "build/x", "env/pyvenv.cfg", "data/x")
    write(work, ".rayignore", content=b"logs\n")
    write(work, ".gitignore", content=b"build\n")
    write(work, ".dockerignore", content=b"*\n!b.txt\n")  # of the image: not read
    code, _, message = call(*WORDS)
    assert code == 0, message
    assert dashboard.sent == {
        "src/a.py", "weights.bin", "b.txt", ".rayignore", ".gitignore", ".dockerignore",
    }  # fmt: skip
    assert message.splitlines()[:5] == [
        f"uploading 6 files (2.9 MiB, packed {len(dashboard.package) / 1024:.1f} KiB) of {work};"
        " the largest is weights.bin (2.9 MiB)",
        "  left out as stores and environments, by their contents: env",
        "  left out by .rayignore: logs",
        "  left out by .gitignore: build",
        "  left out as usual (environments, caches, history, /data and /trials): .git, data",
    ]


def test_what_rays_dashboard_would_not_take_is_refused_first(
    dashboard: Dashboard, call: Any, work: Path
) -> None:
    """Its limit is 100 MiB, of the package; 512 MiB is that of another door."""
    write(work, "videos/a.mp4", content=os.urandom(101 << 20))
    code, _, message = call(*WORDS)
    assert (code, dashboard.jobs, dashboard.package) == (2, [], b"")
    assert f"the working folder {work} has 2 files of 101.0 MiB to upload" in message
    assert (
        "packed more than the 100.0 MiB that Ray takes. Largest: videos/ (101.0 MiB), src/ (1 byte)"
        in message
    )
    assert "of the files: videos/a.mp4 (101.0 MiB), src/a.py (1 byte)" in message
    assert ".rayignore" in message
    assert "--working-dir" in message


def test_what_is_small_once_packed_is_sent(dashboard: Dashboard, call: Any, work: Path) -> None:
    write(work, "zeros", content=bytes(120 << 20))
    code, _, message = call(*WORDS)
    assert code == 0, message
    assert dashboard.sent == {"src/a.py", "zeros"}
    assert len(dashboard.package) < 1 << 20


def test_file_that_the_job_reads_is_not_left_out_in_silence(
    dashboard: Dashboard, call: Any, work: Path
) -> None:
    write(work.parent, "other/points.json", content=b'[{"optimizer": "adam"}]')
    link(work, there="../other")
    code, _, message = call(*WORDS, "--enqueue", "there/points.json")
    assert code == 2
    assert (
        "the job would not find 'there/points.json': 'there -> ../other' is left out of the upload" in message
    )
    assert "name that link with --follow-link" in message
    words = ("--enqueue", "there/points.json", "--follow-link", "there")
    assert call(*WORDS, *words)[0] == 0
    assert "there/points.json" in dashboard.sent
