"""What clusters are started from: versions agree, Ray takes the files, nothing is open by default."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tune_jobs.cli import cli
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.on_ray.cluster.local_ray import FOLDER, LONGEST_PATH, SOCKET_BYTES
from tune_jobs.store.files.protocol import require_lasting_store

ROOT = Path(__file__).parents[2]
LAUNCHER = ("cluster.yaml", "cluster-onpremise.yaml")
STARTED = (
    *LAUNCHER,
    "docker/compose.yaml",
    "docker/Dockerfile",
    "docker/entrypoint.sh",
    "kubernetes/rayjob.yaml",
)
PRIVATE = "/var/lib/ray/private"
"""The image's folder that its user alone may enter."""

IMAGE = re.compile(r"(?<![\w-])tune-jobs:(\S+)")


def read(name: str) -> str:
    return (ROOT / name).read_text()


def load(name: str) -> Any:
    return yaml.safe_load(read(name))


def project() -> dict[str, Any]:
    return dict(tomllib.loads(read("pyproject.toml"))["project"])


def pinned(name: str) -> str:
    (found,) = re.findall(rf"^{name}==(\S+)$", read("constraints.txt"), re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    "name", ["docker/Dockerfile", "docker/compose.yaml", *LAUNCHER, "kubernetes/rayjob.yaml"]
)
def test_image_has_the_version_of_the_package(name: str) -> None:
    found = set(IMAGE.findall(read(name)))
    assert {version.rstrip(".").strip("'\"") for version in found} == {project()["version"]}


def test_ray_is_the_pinned_one_everywhere() -> None:
    (ray,) = (Requirement(t) for t in project()["dependencies"] if Requirement(t).name == "ray")
    assert ray.specifier.contains(pinned("ray"))
    assert {"default", "tune"} <= ray.extras  # jobs, dashboard and metrics come with "default"
    assert load("kubernetes/rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == pinned("ray")
    assert "--constraint constraints.txt" in read("docker/Dockerfile")


def test_image_has_a_python_that_the_package_takes_and_no_root() -> None:
    lines = read("docker/Dockerfile").splitlines()
    (version,) = [line.partition("=")[2] for line in lines if line.startswith("ARG PYTHON_VERSION=")]
    assert SpecifierSet(project()["requires-python"]).contains(version)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert all(not user.startswith(("root", "0")) for user in users)
    assert any(line.startswith("HEALTHCHECK") for line in lines)


def test_image_has_the_programs_by_which_a_head_starts_workers() -> None:
    """The autoscaler runs in the head's container, and the base image is a slim one."""
    (line,) = re.findall(r"apt-get install (.*)", read("docker/Dockerfile"))
    assert {"openssh-client", "rsync"} <= set(line.split())


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_takes_the_cluster_file(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's import opens what it leaves to the collector
        from ray.autoscaler._private.util import prepare_config, validate_config

        validate_config(prepare_config(load(name)))


def test_cloud_workers_are_gpus_from_zero_that_go_when_idle() -> None:
    config = load("cluster.yaml")
    workers = [
        kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]
    ]
    assert all(kind["min_workers"] == 0 and kind["resources"]["GPU"] > 0 for kind in workers)
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert 0 < config["idle_timeout_minutes"] <= 30


def test_pods_with_gpus_come_from_zero_and_do_not_restart_in_place() -> None:
    cluster = load("kubernetes/rayjob.yaml")["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"]
    assert cluster["autoscalerOptions"]["version"] == "v2"  # without it KubeRay lets them restart
    assert 0 < cluster["autoscalerOptions"]["idleTimeoutSeconds"] <= 1800
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        assert group["replicas"] == group["minReplicas"] == 0 < group["maxReplicas"]
        assert "restartPolicy" not in group["template"]["spec"]
        (container,) = group["template"]["spec"]["containers"]
        assert int(container["resources"]["limits"]["nvidia.com/gpu"]) > 0


@pytest.mark.parametrize("name", STARTED)
def test_every_start_asks_for_the_token(name: str) -> None:
    text = read(name)
    assert re.search(r"RAY_AUTH_MODE\W+(?:RAY_AUTH_MODE:-)?token|authOptions: \{mode: token\}", text)
    assert not re.search(r"RAY_AUTH_TOKEN[\"']?\s*[:=]\s*[\"']?[0-9a-f]{16}", text)  # the name, never a value
    assert "RAY_AUTH_MODE=disabled" not in text


def test_token_that_is_made_as_we_say_is_its_owners_alone(tmp_path: Path) -> None:
    """Also where Ray has made the folder before, for all to read."""
    (line,) = re.findall(r"^\(umask .* > ~/\.ray/auth_token\)$", read("docs/cluster.md"), re.MULTILINE)
    assert f"#   {line}\n" in read("cluster.yaml")
    (tmp_path / "old" / ".ray").mkdir(mode=0o755, parents=True)
    (tmp_path / "old" / ".ray" / "auth_token").touch(mode=0o644)
    (tmp_path / "new").mkdir()
    for home in ("old", "new"):
        folder = tmp_path / home / ".ray"
        subprocess.run(["sh", "-c", line], env={**os.environ, "HOME": str(folder.parent)}, check=True)
        token = folder / "auth_token"
        assert re.fullmatch(r"[0-9a-f]{64}\n", token.read_text())
        assert (folder.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o600)


def test_token_that_is_copied_as_we_say_is_its_owners_alone(tmp_path: Path) -> None:
    """Also where an older token is there for all to read."""
    (line,) = re.findall(r"^ssh HEAD '(.*)' < ~/\.ray/auth_token$", read("docs/cluster.md"), re.MULTILINE)
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir(mode=0o755)
    token.touch(mode=0o644)
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["sh", "-c", line], env=environment, input="secret\n", text=True, check=True)
    assert token.read_text() == "secret\n"
    assert (token.parent.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o600)


def test_jobs_of_the_documented_head_find_its_python() -> None:
    """A job is `python ...` in the environment that `ray start` had."""
    blocks = re.findall(r"```sh\n(.*?)```", read("docs/cluster.md"), re.DOTALL)
    (block,) = [block for block in blocks if "ray start --head" in block]
    assert block.index("PATH=$PWD/.venv/bin:$PATH") < block.index("ray start")
    for name in LAUNCHER:
        for line in (*load(name)["head_start_ray_commands"], *load(name)["worker_start_ray_commands"]):
            assert "ray start" not in line or "PATH=/opt/tune-jobs/bin:$PATH" in line


def starts_of_ray(name: str) -> list[str]:
    """The commands of a file that start a node."""
    if name not in LAUNCHER:
        return re.findall(r"^ray start .*", read(name), re.MULTILINE)
    config = load(name)
    lines = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    return [line for line in lines if "ray start" in line]


@pytest.mark.parametrize(
    ("name", "private"), [("docs/cluster.md", "$(mktemp -d)"), *((name, PRIVATE) for name in LAUNCHER)]
)
def test_nodes_write_where_their_user_alone_may_go(name: str, private: str) -> None:
    """Ray lets everybody write in the folder that it is given, so that one lies in another."""
    starts = starts_of_ray(name)
    assert len(starts) == 2
    assert all(f" --temp-dir={private}/ray " in start for start in starts)


def test_folder_of_the_image_is_its_users_alone_and_short_enough_for_sockets() -> None:
    made = rf"install .*--owner=ray .*--mode=0700 {PRIVATE}$"
    assert re.search(made, read("docker/Dockerfile"), re.MULTILINE)
    assert len(f"{PRIVATE}/ray{LONGEST_PATH.removeprefix(f'/{FOLDER}')}") <= SOCKET_BYTES


def test_pods_keep_others_from_every_port_that_listens() -> None:
    ports = re.findall(r"^\| (\d+) \| head", read("docs/security.md"), re.MULTILINE)
    assert len(ports) >= 6
    comment = read("kubernetes/rayjob.yaml").partition("apiVersion")[0]
    assert [port for port in ports if port not in comment] == []


@pytest.mark.parametrize("name", ["cluster.yaml", "kubernetes/rayjob.yaml"])
def test_study_that_a_cluster_file_starts_has_a_lasting_store_and_its_data(name: str) -> None:
    text = read(name) if name in LAUNCHER else str(load(name)["spec"]["entrypoint"])
    (line,) = re.findall(r"python -m tune_jobs (.+)", text)
    words = shlex.split(line)
    command = cli.commands[words[0]]
    given = command.make_context(words[0], words[1:], parent=click.Context(cli)).params
    require_lasting_store(given["store"])
    study = SHIPPED[given["study"]]()
    assert given["download"] or study.recipe.dataset == "digits"
    assert given["workers"]  # GPUs come from zero
    assert given["gpus_per_trial"]


@pytest.mark.parametrize("name", LAUNCHER)
def test_dashboard_of_machines_is_on_loopback(name: str) -> None:
    (head,) = [line for line in load(name)["head_start_ray_commands"] if "--head" in line]
    assert "--dashboard-host=127.0.0.1" in head


def test_containers_publish_the_dashboard_to_loopback_alone() -> None:
    services = load("docker/compose.yaml")["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:8265:8265"]
    assert "DASHBOARD_HOST:-127.0.0.1" in read("docker/entrypoint.sh")
    assert "docker/token" in read(".gitignore")
    assert "#   (umask 077; cp ~/.ray/auth_token docker/token)" in read("docker/compose.yaml")
    assert all(service["stop_grace_period"] == "45s" for service in services.values())  # Ray takes up to 30


def test_layer_of_packages_changes_only_with_their_versions() -> None:
    """It has nearly all bytes of the image; a changed README or module must not make it anew."""
    before, _, _ = read("docker/Dockerfile").partition("pip install")
    assert re.findall(r"^COPY (.+) \S+$", before, re.MULTILINE) == ["pyproject.toml constraints.txt"]


def test_code_is_built_where_no_empty_packages_were() -> None:
    """setuptools keeps what it built before, such as the empty `__init__.py` of the layer of packages."""
    text = read("docker/Dockerfile")
    empty, code = text.index("touch README.md"), text.index("COPY eml_models")
    (first, second) = (text[:at].rpartition("WORKDIR ")[2].split()[0] for at in (empty, code))
    assert first != second


def test_build_context_is_the_code_alone() -> None:
    lines = read(".dockerignore").splitlines()
    assert lines[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", read("docker/Dockerfile"), re.MULTILINE)
    for path in " ".join(copied).split():
        assert f"!{path}" in lines
        assert (ROOT / path).exists()


@pytest.fixture
def container(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the image's entrypoint with a `ray` and a `python` that say what they were asked."""
    for name in ("ray", "python"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" "mode=$RAY_AUTH_MODE"\n')
        (tmp_path / name).chmod(0o755)

    def start(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), **variables}
        entrypoint = [str(ROOT / "docker" / "entrypoint.sh"), *words]
        return subprocess.run(entrypoint, env=environment, capture_output=True, text=True, check=False)

    return start


def test_container_starts_no_node_without_a_token(
    container: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for word in ("head", "worker"):
        done = container(word)
        assert done.returncode == 2
        assert "no token: give RAY_AUTH_TOKEN_PATH" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o600, ""),
        (0o640, ""),  # a group's, as Kubernetes gives a secret's file to the pod's group
        (0o644, "others may read the token's file {token}"),
        (0o604, "others may read the token's file {token}"),
    ],
)
@pytest.mark.parametrize("word", ["head", "worker", "check-token"])
def test_container_takes_no_token_that_others_may_read(
    word: str,
    mode: int,
    said: str,
    container: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("0" * 64)
    token.chmod(mode)
    done = container(word, RAY_AUTH_TOKEN_PATH=str(token))
    assert done.returncode == (2 if said else 0)
    assert said.format(token=token) in done.stderr
    assert "0" * 64 not in done.stdout + done.stderr
    linked = tmp_path / "linked"
    linked.symlink_to(token)
    assert container(word, RAY_AUTH_TOKEN_PATH=str(linked)).returncode == done.returncode


def test_container_says_that_its_user_cannot_read_the_token() -> None:
    """As where an `ssh_user` of `ray up` has another id; Ray says that there is none."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        token, entrypoint = Path(folder, "token"), Path(folder, "entrypoint.sh")
        token.write_text("0" * 64)
        token.chmod(0o600 if nobody else 0)
        shutil.copy(ROOT / "docker" / "entrypoint.sh", entrypoint)
        done = subprocess.run(
            [entrypoint, "check-token"],
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "RAY_AUTH_TOKEN_PATH": str(token)},
            capture_output=True,
            text=True,
            check=False,
            **nobody,
        )
    assert done.returncode == 2
    assert f"is not readable for user {nobody.get('user', os.getuid())}" in done.stderr
    assert "chown" in done.stderr


def test_container_with_an_empty_token_has_none(
    container: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "token").touch(mode=0o600)
    done = container("check-token", RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert done.returncode == 2
    assert "no token: give" in done.stderr


@pytest.mark.parametrize("name", LAUNCHER)
def test_nodes_of_ray_up_look_at_their_token_first(name: str) -> None:
    """`ray up` starts nodes without the image's entrypoint."""
    assert load(name)["setup_commands"] == ["/usr/local/bin/entrypoint.sh check-token"]


def test_machines_that_are_there_have_the_autoscaler_that_starts_them_all() -> None:
    """`ray up` puts a choice of its own before the commands, so the choice here has to come after it."""
    from ray.autoscaler._private.util import with_envs

    (start,) = [
        line for line in load("cluster-onpremise.yaml")["head_start_ray_commands"] if "--head" in line
    ]
    (line,) = with_envs([start.partition("ray start")[0]], {"RAY_enable_autoscaler_v2": "1"})
    shown = subprocess.run(
        ["sh", "-c", f'{line} echo "$RAY_enable_autoscaler_v2"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip().endswith("0")


def test_host_without_the_shared_folder_is_refused_by_name(tmp_path: Path) -> None:
    (line,) = load("cluster-onpremise.yaml")["initialization_commands"]
    (tmp_path / "mountpoint").write_text("#!/bin/sh\n[ -e mounted ]\n")
    (tmp_path / "mountpoint").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", line], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "has no shared folder mounted at /mnt/shared" in done.stdout
    (tmp_path / "mounted").touch()
    assert subprocess.run(["sh", "-c", line], env=environment, cwd=tmp_path, check=False).returncode == 0


def test_login_shells_of_the_image_find_its_programs() -> None:
    """`ray up` and `ray exec` run theirs in such a shell, which sets a PATH of its own."""
    made = "RUN echo 'PATH=/opt/tune-jobs/bin:$PATH' > /etc/profile.d/tune-jobs.sh"
    assert made in read("docker/Dockerfile")


def test_every_pod_is_one_that_a_restricted_namespace_takes() -> None:
    spec = load("kubernetes/rayjob.yaml")["spec"]
    cluster = spec["rayClusterSpec"]
    templates = [spec["submitterPodTemplate"], cluster["headGroupSpec"]["template"]]
    templates += [group["template"] for group in cluster["workerGroupSpecs"]]
    pods = [template["spec"] for template in templates]
    containers = [container for pod in pods for container in pod["containers"]]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*containers, cluster["autoscalerOptions"]]:
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_health_of_a_search_is_not_asked_of_a_head() -> None:
    """A search has a Ray in its container that listens elsewhere, and no head that could answer."""
    text = read("docker/entrypoint.sh")
    assert 'grep -qs -- "--gcs_server_port=$HEAD_PORT' in text
    assert "runs gcs_server" not in text


def test_container_is_a_head_a_worker_or_a_search(
    container: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    token = {"RAY_AUTH_TOKEN": "0" * 64}
    head = container("head", **token, NUM_CPUS="0")
    assert head.stdout.startswith("ray start --head --port=6379 --dashboard-host=127.0.0.1 ")
    assert head.stdout.endswith(" --num-cpus=0 mode=token\n")
    worker = container("worker", **token, HEAD_ADDRESS="10.0.0.5:6379", NUM_GPUS="4")
    assert worker.stdout.startswith("ray start --address=10.0.0.5:6379 --block ")
    assert "--num-gpus=4" in worker.stdout
    assert all(f"--temp-dir={PRIVATE}/ray" in done.stdout.split() for done in (head, worker))
    assert container("local").stdout == "python -m tune_jobs run digits-recipes mode=token\n"
    assert container("local", "list").stdout == "python -m tune_jobs list mode=token\n"
    assert container("echo", "a b").stdout == "a b\n"
    assert all("0" * 64 not in done.stdout + done.stderr for done in (head, worker))
