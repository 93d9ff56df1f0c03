"""A cluster whose own autoscaler brings and takes nodes: Ray's, with its provider of nodes on one machine.

Ray's `ray.cluster_utils.AutoscalingCluster` does the same, but stops every Ray of the host first, and the
file that it starts from is not in Ray's wheels.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray._raylet import GcsClient
from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FAKE_HEAD_NODE_TYPE
from ray.core.generated import autoscaler_pb2
from ray_nodes import ENVIRONMENT, OBJECT_STORE_BYTES, Cluster, free_ports, kill_tree

PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
IDLE_S = 4.0
MAX_WORKERS = 2
NodeTypes = Mapping[str, tuple[Mapping[str, float], int]]


@dataclass
class ScalingCluster(Cluster):
    """A head without CPUs, and nodes of some types that its autoscaler starts for those who wait.

    Attributes:
        version: of the autoscaler, 1 or 2.
        node_types: the resources of a node of each, and how many there may be.
    """

    version: int = 2
    node_types: NodeTypes = field(default_factory=dict)

    def start_head(self) -> None:
        self.port, *agent = free_ports(4)
        config = Path(self.temp, "autoscaling.json")
        config.write_text(json.dumps(self._config()))
        self.environment = {
            **self.environment,
            "RAY_FAKE_CLUSTER": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_enable_autoscaler_v2": str(self.version - 1),
        }
        if self.version == 2:  # as `ray up` and KubeRay do, which know their instances' names
            self.environment |= {
                "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
                "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
                "RAY_NODE_TYPE_NAME": FAKE_HEAD_NODE_TYPE,
            }
        words = ["--head", f"--port={self.port}", "--num-cpus=0", f"--temp-dir={self.temp}/h"]
        words += [f"--autoscaling-config={config}", "--include-dashboard=false"]
        self.head = self._start(words, agent)

    @property
    def num_workers(self) -> int:
        """Nodes that are there beside the head."""
        states = self._state().node_states
        return sum(node.status != autoscaler_pb2.NodeStatus.DEAD for node in states) - 1

    @property
    def num_waiting(self) -> int:
        """Demands that the autoscaler sees: what a node is started or kept for."""
        state = self._state()
        return len(state.pending_resource_requests) + len(state.pending_gang_resource_requests)

    def _state(self) -> Any:
        reply = GcsClient(address=self.address).get_cluster_status()
        return autoscaler_pb2.GetClusterStatusReply.FromString(reply).cluster_resource_state

    def _config(self) -> dict[str, Any]:
        head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
        types = {
            name: {
                "node_config": {},
                "resources": {**resources, "object_store_memory": OBJECT_STORE_BYTES},
                "min_workers": 0,
                "max_workers": most,
            }
            for name, (resources, most) in self.node_types.items()
        }
        commands = (
            "initialization",
            "setup",
            "head_setup",
            "worker_setup",
            "head_start_ray",
            "worker_start_ray",
        )
        return {
            "cluster_name": "scaling",
            "max_workers": MAX_WORKERS,
            "idle_timeout_minutes": IDLE_S / 60,
            "upscaling_speed": 1.0,
            "provider": {
                "type": "external",
                "module": PROVIDER,
                "gcs_address": self.address,
                "head_node_id": FAKE_HEAD_NODE_ID,
                "launch_multiple": self.version == 2,
                "use_node_id_as_ip": True,  # all nodes have the address of this machine
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
            },
            "head_node_type": FAKE_HEAD_NODE_TYPE,
            "available_node_types": {FAKE_HEAD_NODE_TYPE: head, **types},
            **{name: {} for name in ("auth", "docker", "file_mounts")},
            **{f"{name}_commands": [] for name in commands},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "rsync_exclude": [],
            "rsync_filter": [],
        }


@contextmanager
def scaling_cluster(node_types: NodeTypes, *, version: int) -> Iterator[ScalingCluster]:
    """Such a cluster; everything of it, the nodes that it started too, is ended afterwards."""
    temp = tempfile.mkdtemp(prefix="r", dir="/tmp")  # Ray's sockets need a short path
    made = ScalingCluster(temp=temp, environment=ENVIRONMENT, version=version, node_types=node_types)
    try:
        made.start_head()
        yield made
    finally:
        if made.head is not None:
            kill_tree(made.head)
        shutil.rmtree(temp, ignore_errors=True)
