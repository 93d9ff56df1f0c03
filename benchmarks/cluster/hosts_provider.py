"""A cloud whose instances are given hosts, for `ray up` with several types of nodes; stands for AWS.

Ray's own provider for given machines knows one type. It runs beside the person and, mounted into its
container, on the head; it imports nothing of this repository. To terminate an instance is to remove its
container, over SSH. What each of the two knows lies in a file of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from ray.autoscaler.node_provider import NodeProvider

HEAD_TAGS = {"ray-node-type": "head", "ray-node-status": "up-to-date"}
KEY = "~/ray_bootstrap_key.pem"


class HostsProvider(NodeProvider):  # type: ignore[misc]  # Ray's class has no types
    """Instances by their addresses; `head_ip` is the head's, `worker_ips` are those of the workers."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._lock = threading.Lock()  # Ray starts instances in threads
        on_head = provider_config.get("on_head", False)
        self._file = Path("/tmp/hosts.json") if on_head else Path(provider_config["state"])
        if on_head and not self._file.exists():
            head = {**HEAD_TAGS, "ray-user-node-type": provider_config["head_type"]}
            self._write({provider_config["head_ip"]: head})

    def prepare_for_head_node(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """The head's own configuration, whose provider knows that the head runs."""
        return {**cluster_config, "provider": {**cluster_config["provider"], "on_head": True}}

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        return [node for node, tags in self._read().items() if tag_filters.items() <= tags.items()]

    def is_running(self, node_id: str) -> bool:
        return node_id in self._read()

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        return self._read()[node_id]

    def external_ip(self, node_id: str) -> str:
        return node_id

    def internal_ip(self, node_id: str) -> str:
        return node_id

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        with self._lock:
            found = self._read()
            found[node_id].update(tags)
            self._write(found)

    def create_node(self, node_config: dict[str, Any], tags: dict[str, str], count: int) -> None:
        """Take as many free hosts."""
        is_head = tags["ray-node-type"] == "head"
        hosts = [self.provider_config["head_ip"]] if is_head else self.provider_config["worker_ips"]
        with self._lock:
            found = self._read()
            free = [host for host in hosts if host not in found]
            if len(free) < count:
                raise RuntimeError(f"{count} hosts are wanted, and {len(free)} are free")
            self._write({**found, **{host: dict(tags) for host in free[:count]}})

    def terminate_node(self, node_id: str) -> None:
        login, remove = self.provider_config["login"], "docker rm --force tune_jobs"
        options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        key = os.path.expanduser(KEY if self.provider_config.get("on_head") else self.provider_config["key"])
        subprocess.run(["ssh", "-i", key, *options, f"{login}@{node_id}", remove], check=False, timeout=60)
        with self._lock:
            self._write({node: tags for node, tags in self._read().items() if node != node_id})

    def _read(self) -> dict[str, dict[str, str]]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def _write(self, found: dict[str, dict[str, str]]) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(found))
        os.replace(new, self._file)
