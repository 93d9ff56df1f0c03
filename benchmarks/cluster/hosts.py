"""Three hosts on one machine: each has a network address, an SSH server, files and containers of its own.

A host is a network namespace with a mount and a UTS namespace in it. It has its own `/tmp`, `/run`, `/home`,
users, and `docker` (podman, by sudo, with a storage of its own that reads the images of the machine). What it
shares with the others is the folder at `/mnt/shared`. This takes root on Linux, and podman, runc, sshd, sudo,
rsync and iproute2. No process, interface or file is left behind, except where this process is killed.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster.engine import Done, Engine
from benchmarks.cluster.waiting import wait_for

NUMBER = int(os.environ.get("HOSTS_NET", "77"))
"""The number of the network, 0 to 255, so that two checks can run at once."""

NET = f"10.{NUMBER}.0"
BRIDGE = f"tj{NUMBER}bridge"
LOGIN = "ubuntu"
USER = 1000
NEEDED = ("podman", "runc", "sudo", "rsync", "ip", "nsenter", "unshare", "ssh", "ssh-keygen")
SSHD = "/usr/sbin/sshd"
NOFILE = 65536
"""What the cluster files ask for; where a machine gives no process as many, a container gets its limit."""

START = """\
set -eu
hostname {name}
for place in /run /mnt /home /dev/shm; do mount -t tmpfs tmpfs $place; done
chmod 1777 /dev/shm
mkdir -p /run/sshd /run/lock /mnt/shared /home/{login}
mount --bind {here}/tmp /tmp
mount --bind {folder}/shared /mnt/shared
mount --bind {folder}/bin /usr/local/bin
for file in passwd group sudoers hosts; do mount --bind {here}/$file /etc/$file; done
cp {here}/storage.conf {here}/containers.conf /run/
touch /home/{login}/.bashrc
chown -R {user}:{user} /home/{login}
exec {sshd} -D -e -f {here}/sshd_config
"""

DOCKER = """\
#!/bin/sh
# What `ray up` says to Docker, for podman. Options of a host alone are in /run/options.
case "$1" in
    info) echo "map[runc:{runc}]"; exit 0 ;;
    run) shift; set -- run $(cat /run/options 2>/dev/null) "$@" ;;
esac
exec sudo -n env CONTAINERS_STORAGE_CONF=/run/storage.conf CONTAINERS_CONF=/run/containers.conf podman "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One of them, by its number from 0; the first is to be the head."""

    number: int
    folder: Path
    uid: int = USER

    @property
    def name(self) -> str:
        return f"tj{NUMBER}host{self.number}"

    @property
    def address(self) -> str:
        return f"{NET}.{10 + self.number}"

    @property
    def here(self) -> Path:
        return self.folder / self.name

    def pids(self) -> list[int]:
        """Its processes, those in its containers too."""
        done = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False)
        return [int(word) for word in done.stdout.split()]

    def call(self, *words: str, timeout: float = 900.0, text: str | None = None) -> Done:
        """Run a program on it, as root."""
        entered = ["nsenter", f"--target={self._sshd()}", "--mount", "--uts", "--net", *words]
        return subprocess.run(
            entered, capture_output=True, text=True, input=text, timeout=timeout, check=False, cwd="/"
        )

    def docker(self, *words: str, timeout: float = 900.0) -> Done:
        """Ask its `docker`."""
        return self.call("/usr/local/bin/docker", *words, timeout=timeout)

    def containers(self) -> list[str]:
        """The names of its containers, also of those that have ended."""
        return self.docker("ps", "--all", "--format", "{{.Names}}").stdout.split()

    def cut_off(self, *, off: bool = True) -> None:
        """Take it from the network, or bring it back."""
        _ip("link", "set", f"{self.name}v", "down" if off else "up")

    def give_options(self, *words: str) -> None:
        """More words for each `docker run` of it from now on."""
        self.call("sh", "-c", "cat > /run/options", text=" ".join(words))

    def _sshd(self) -> int:
        return int((self.here / "sshd.pid").read_text())

    def make(self) -> None:
        """Its namespace, with a cable to the bridge, and its SSH server."""
        (self.here / "tmp").mkdir(parents=True)
        (self.here / "tmp").chmod(0o1777)
        self._write_files()
        _ip("netns", "add", self.name)
        _ip("link", "add", f"{self.name}v", "type", "veth", "peer", "name", "e0", "netns", self.name)
        _ip("link", "set", f"{self.name}v", "master", BRIDGE, "up")
        for words in (
            "link set lo up",
            f"addr add {self.address}/24 dev e0",
            "link set e0 up",
            f"route add default via {NET}.1",
        ):
            _ip("-n", self.name, *words.split())
        start = START.format(
            name=self.name, login=LOGIN, user=self.uid, here=self.here, folder=self.folder, sshd=SSHD
        )
        # not `ip netns exec`, which hides the control groups from containers
        own = [f"--net=/run/netns/{self.name}", "unshare", "--mount", "--uts", "sh", "-c", start]
        with (self.here / "sshd.log").open("w") as log:
            subprocess.Popen(["nsenter", *own], stdout=log, stderr=log, start_new_session=True)
        wait_for((self.here / "sshd.pid").exists, f"sshd of {self.name}", seconds=30, every=0.2)

    def _write_files(self) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.here / "hostkey")], check=True
        )
        files = {
            "sshd_config": [
                "Port 22",
                f"HostKey {self.here}/hostkey",
                f"AuthorizedKeysFile {self.folder}/key.pub",
                "StrictModes no",
                f"PidFile {self.here}/sshd.pid",
                "UsePAM no",
            ],
            "passwd": [
                "root:*:0:0::/root:/bin/bash",
                "sshd:*:101:65534::/run/sshd:/usr/sbin/nologin",
                "nobody:*:65534:65534::/nonexistent:/usr/sbin/nologin",
                f"{LOGIN}:*:{self.uid}:{self.uid}::/home/{LOGIN}:/bin/bash",
            ],
            "group": ["root:x:0:", "tty:x:5:", "nogroup:x:65534:", f"{LOGIN}:x:{self.uid}:"],
            "hosts": ["127.0.0.1 localhost", *(f"{NET}.{10 + at} tj{NUMBER}host{at}" for at in range(3))],
            "sudoers": ["root ALL=(ALL) ALL", f"{LOGIN} ALL=(ALL) NOPASSWD: ALL"],
            "containers.conf": [
                *("[containers]", "default_ulimits = []"),
                *("[engine]", 'cgroup_manager = "cgroupfs"', 'runtime = "runc"', 'events_logger = "file"'),
            ],
            "storage.conf": [
                *("[storage]", 'driver = "overlay"'),
                *(f'graphroot = "{self.here}/store"', 'runroot = "/run/containers/storage"'),
                *("[storage.options]", f'additionalimagestores = ["{_graph_root()}"]'),
            ],
        }
        for name, lines in files.items():
            (self.here / name).write_text("".join(f"{line}\n" for line in lines))
        (self.here / "sudoers").chmod(0o440)

    def unmake(self) -> None:
        """End its containers and processes, and remove its namespace and its files' mounts."""
        with suppress(OSError, ValueError, subprocess.SubprocessError):
            self.docker("rm", "--force", "--all", timeout=120)
        for _ in range(2):
            for pid in self.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", f"{self.name}v"], check=False, capture_output=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """All of them, and the machine beside them from which they are used.

    Attributes:
        folder: theirs, short enough for sockets.
        hosts: the head's first.
    """

    folder: Path
    hosts: Sequence[Host]

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def shared(self) -> Path:
        """What all of them see at /mnt/shared."""
        return self.folder / "shared"

    @property
    def home(self) -> Path:
        """The home folder of the person who uses them."""
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """The folder in which that person works; a job takes it along."""
        return self.folder / "work"

    def environment(self) -> dict[str, str]:
        """The variables of that person's shell."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        (self.folder / "laptop").mkdir(exist_ok=True)
        return {
            **kept,
            "HOME": str(self.home),
            "PATH": path,
            "RAY_TMPDIR": str(self.folder / "laptop"),
            "RAY_AUTH_MODE": "token",
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONUNBUFFERED": "1",
        }

    def ulimit(self) -> str:
        """The option of a container for its number of open files."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"--ulimit nofile={NOFILE}:{NOFILE}" if most >= NOFILE else "--ulimit host"


@contextmanager
def three_hosts(engine: Engine, *, uid: int = USER) -> Iterator[Hosts]:
    """Make them; they are gone afterwards.

    Args:
        engine: the machine's, whose images they read; podman.
        uid: the id of the login on them.

    Raises:
        SystemExit: something that this takes is not here.
    """
    _require(engine)
    folder = Path(tempfile.mkdtemp(prefix="tj", dir="/var/tmp"))
    folder.chmod(0o755)
    hosts = [Host(number=number, folder=folder, uid=uid) for number in range(3)]
    try:
        for name in ("shared", "bin", "home", "work"):
            (folder / name).mkdir()
        os.chown(folder / "shared", USER, USER)
        (folder / "bin" / "docker").write_text(DOCKER)
        (folder / "bin" / "docker").chmod(0o755)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{NET}.1/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for host in hosts:
            host.make()
        yield Hosts(folder=folder, hosts=hosts)
    finally:
        for host in hosts:
            host.unmake()
        subprocess.run(["ip", "link", "del", BRIDGE], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def _require(engine: Engine) -> None:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    missing += [SSHD] if not Path(SSHD).exists() else []
    if os.geteuid() != 0 or sys.platform != "linux" or missing or not engine.is_podman:
        raise SystemExit(
            f"three hosts need root on Linux, ENGINE=podman (it is {engine.name}) and {', '.join(NEEDED)},"
            f" {SSHD}; missing: {', '.join(missing) or 'none'}"
        )
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        raise SystemExit(
            f"there is a network {BRIDGE} already: another check runs, or was killed; see `ip netns`"
        )


def _graph_root() -> str:
    done = subprocess.run(
        ["podman", "info", "--format", "{{.Store.GraphRoot}}"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
