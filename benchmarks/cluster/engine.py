"""The engine of containers: Docker, or podman with the same words.

Environment: ENGINE names it (by default the first of docker and podman that is installed), BUILD_OPTIONS has
more words for the build (mirrors, certificates), RUN_OPTIONS more words for each container.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.cluster.findings import ROOT

VERSION = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
IMAGE = f"tune-jobs:{VERSION}"
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A program that builds images and runs containers."""

    name: str

    def call(self, *words: str, timeout: float = 900.0) -> Done:
        """Run it with these words; its output is captured, its exit code is the caller's matter."""
        command = [self.name, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)

    def output(self, *words: str, timeout: float = 900.0) -> str:
        """What it printed.

        Raises:
            RuntimeError: it failed; has the end of what it said.
        """
        done = self.call(*words, timeout=timeout)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name} {shlex.join(words)}: {(done.stderr + done.stdout)[-600:]}")
        return done.stdout.strip()

    def build(self, file: str = "docker/Dockerfile", tag: str = IMAGE) -> Done:
        """Build the image from this checkout, in Docker's format, the only one with a HEALTHCHECK."""
        words = ["build", *self.format, *shlex.split(os.environ.get("BUILD_OPTIONS", ""))]
        words += ["--file", str(ROOT / file), "--tag", tag, str(ROOT)]
        return self.call(*words, timeout=7200)

    @property
    def format(self) -> Sequence[str]:
        """The words that choose Docker's format, which Docker itself does not know."""
        return ["--format", "docker"] if self.is_podman else []

    @property
    def is_podman(self) -> bool:
        return os.path.basename(self.name) == "podman"

    def run(self, *words: str, timeout: float = 900.0) -> Done:
        """Run a container to its end; it is removed."""
        return self.call("run", "--rm", *run_options(), *words, timeout=timeout)

    def start(self, name: str, *words: str) -> str:
        """Start a container in the background; returns its id."""
        return self.output("run", "--detach", "--name", name, *run_options(), *words)

    def execute(self, name: str, *words: str, user: str = "", timeout: float = 900.0) -> Done:
        """Run a program in a running container."""
        chosen = ["--user", user] if user else []
        return self.call("exec", *chosen, name, *words, timeout=timeout)

    def inspect(self, name: str) -> dict[str, Any]:
        """What it knows of a container or an image."""
        (found,) = json.loads(self.output("inspect", name))
        return dict(found)

    def health(self, name: str) -> str:
        """What HEALTHCHECK says of a container: `healthy`, `unhealthy`, `starting`.

        podman asks by timers of systemd, which are not everywhere; it is asked by hand.
        """
        if self.is_podman:
            done = self.call("healthcheck", "run", name)
            return "healthy" if done.returncode == 0 else f"unhealthy ({done.stdout}{done.stderr})"
        return str(self.inspect(name)["State"]["Health"]["Status"])

    def remove(self, *names: str) -> None:
        """End and remove containers, if they are there, with their volumes that have no name."""
        for name in names:  # a container may lie in the network of another
            self.call("rm", "--force", "--volumes", name)


def run_options() -> list[str]:
    """More words for each container."""
    return shlex.split(os.environ.get("RUN_OPTIONS", ""))


def find_engine() -> Engine:
    """The engine to use.

    Raises:
        SystemExit: none is installed.
    """
    named = os.environ.get("ENGINE") or next(filter(shutil.which, ("docker", "podman")), "")
    if not named or shutil.which(named) is None:
        raise SystemExit(f"no engine of containers: install docker or podman, or set ENGINE (got {named!r})")
    return Engine(name=named)
