"""A Ray cluster of two nodes on this machine, to try things on.

Run it by ``python -m tests.train.pieces.two_nodes``. Every process of it listens on 127.0.0.1 only;
dashboard and usage statistics are off. It prints the command that uses it, and ends with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

NODE = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "object_store_memory": 80 * 2**20}

LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else Ray turns 127.0.0.1 into the network address
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What the environment has to say before Ray is imported, here and in the process that calls."""


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and a second node, each a set of processes with one core."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    os.environ.update(LOOPBACK)
    with two_nodes() as started:
        setting = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0"
        print(f"{setting} dermedge crossval --ray {started.address} --threads 1 ...", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
