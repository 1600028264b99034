"""Two machines, played by two network namespaces with a cable between them: they end with the bits of one,
and a machine that is cut off ends the run in bounded time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import genzoo

ROOT = Path(genzoo.__file__).resolve().parent.parent
MODEL = "train dcgan --data digits --device cpu --quiet --set image_size=8x8 --set channels=1 --set width=4"
LIMIT = 6  # seconds of GENZOO_GROUP_TIMEOUT where a machine is cut off
PORT = "29517"


def why_not():
    """Return why there can be no namespaces here, or ""."""
    if not torch.distributed.is_available() or not sys.platform.startswith("linux"):
        return "needs Linux and gloo"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "needs root and the command ip"
    name = f"genzoo-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode == 0:
        made = subprocess.run(
            ["ip", "-n", name, "link", "add", "left", "type", "veth", "peer", "name", "right"],
            capture_output=True,
            text=True,
        )
        subprocess.run(["ip", "netns", "del", name])
    return f"no namespaces can be made: {made.stderr.strip()}" if made.returncode else ""


REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON or "needs namespaces")


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Nodes:
    """Two namespaces, 10.99.0.1 and 10.99.0.2, and what was started in them."""

    def __init__(self):
        self.names = [f"genzoo-{os.getpid()}-{i}" for i in (0, 1)]
        self.started = []
        for name in self.names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        first, second = self.names
        ip("-n", first, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", second)
        for i, name in enumerate(self.names):
            ip("-n", name, "address", "add", f"10.99.0.{i + 1}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")

    def start(self, node, *command, **environment):
        """Start `command`, a Python's arguments, on a node; the file OUT-i of its stderr is in `told`."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GENZOO_PLUGIN_TIMEOUT": "60"}
        env |= {"GLOO_SOCKET_IFNAME": "cable"} | environment
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[node], sys.executable, *map(str, command)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def torchrun(self, node, *command, **environment):
        launch = f"-m torch.distributed.run --nnodes 2 --node-rank {node} --nproc-per-node 1"
        meet = f"--master-addr 10.99.0.1 --master-port {PORT} -m genzoo"
        return self.start(node, *launch.split(), *meet.split(), *command, **environment)

    def kill(self, node):
        """End everything in a namespace at once, as a machine that is switched off does not."""
        found = subprocess.run(["ip", "netns", "pids", self.names[node]], capture_output=True, text=True)
        for pid in found.stdout.split():
            subprocess.run(["kill", "-9", pid], capture_output=True)

    def end(self):
        for node in (0, 1):
            self.kill(node)
            ip("netns", "del", self.names[node])
        for process in self.started:
            process.stderr.close()
            process.wait()


@pytest.fixture
def nodes():
    made = Nodes()
    yield made
    made.end()


def weights(folder):
    (found,) = folder.glob("dcgan-*.safetensors")
    return found.read_bytes()


def test_two_nodes_end_with_the_bits_of_one(nodes, tmp_path):
    one = tmp_path / "one"
    words = [*MODEL.split(), "--steps", "6"]
    launch = "-m torch.distributed.run --standalone --nproc-per-node 2 -m genzoo"
    alone = subprocess.run(
        [sys.executable, *launch.split(), *words, "--out", str(one)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert alone.returncode == 0, alone.stderr
    running = [nodes.torchrun(node, *words, "--out", tmp_path / "two") for node in (0, 1)]
    ends = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], ends
    assert weights(one) == weights(tmp_path / "two")


def playing(nodes, tmp_path, **environment):
    """Start a long run on both nodes; give its processes once it plays."""
    words = [*MODEL.split(), "--steps", "1000000", "--out", tmp_path / "run"]
    running = [nodes.torchrun(node, *words, **environment) for node in (0, 1)]
    until, log = time.monotonic() + 240, tmp_path / "run" / "log.jsonl"
    while not (log.exists() and log.stat().st_size):
        assert time.monotonic() < until and running[0].poll() is None
        time.sleep(0.1)
    return running


@pytest.mark.parametrize("how", ["cable", "killed"])
def test_a_node_that_is_lost_ends_the_run_on_the_other(nodes, tmp_path, how):
    first, _ = playing(nodes, tmp_path, GENZOO_GROUP_TIMEOUT=str(LIMIT))
    begun = time.monotonic()
    if how == "cable":
        ip("-n", nodes.names[1], "link", "set", "cable", "down")
    else:
        nodes.kill(1)
    told = first.communicate(timeout=120)[1]
    assert first.returncode != 0 and time.monotonic() - begun < 60
    assert told.count("another process of the group ended") == 1, told


@pytest.mark.parametrize("waiting", [0, 1])
def test_who_waits_for_a_node_that_is_cut_off_notices_it(nodes, tmp_path, waiting):
    """The wait has no timeout, and no connection closes; each side finds out that it is alone."""
    worker = Path(__file__).parent / "cut_off.py"
    given = {"WORLD_SIZE": "2", "MASTER_ADDR": "10.99.0.1", "MASTER_PORT": PORT, "GENZOO_GROUP_TIMEOUT": "4"}
    running = [
        nodes.start(node, worker, tmp_path, waiting, RANK=str(node), LOCAL_RANK="0", **given)
        for node in (0, 1)
    ]
    until = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(2 * 4)  # the other works for longer than the timeout: that ends nothing
    assert running[waiting].poll() is None
    begun = time.monotonic()
    ip("-n", nodes.names[1], "link", "set", "cable", "down")
    told = running[waiting].communicate(timeout=60)[1]
    assert running[waiting].returncode == 3 and time.monotonic() - begun < 30
    lost = {0: "nothing was heard of process 1 for", 1: "this one could not reach the others for"}[waiting]
    assert lost in told.splitlines()[-1]


def test_an_address_that_nobody_answers(nodes, tmp_path):
    """Nobody has 10.99.0.77, so what is sent there is lost, and no refusal comes back."""
    given = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "10.99.0.77"}
    begun = time.monotonic()
    asked = nodes.start(
        0,
        *("-m", "genzoo", *MODEL.split(), "--out", tmp_path / "run"),
        **given,
        MASTER_PORT=PORT,
        GENZOO_GROUP_TIMEOUT="8",
    )
    told = asked.communicate(timeout=120)[1].splitlines()
    assert asked.returncode not in (0, None) and time.monotonic() - begun < 60
    (error,) = [line for line in told if "could not find each other at 10.99.0.77" in line]
    assert not any("Traceback" in line for line in told) and error.isprintable()


def test_srun_without_torchrun(nodes, tmp_path):
    given = {"SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2"}
    asked = nodes.start(0, "-m", "genzoo", *MODEL.split(), "--out", tmp_path / "run", **given)
    told = asked.communicate(timeout=120)[1]
    assert asked.returncode not in (0, None) and not (tmp_path / "run" / "log.jsonl").exists()
    assert "srun has started 2 processes (SLURM_NTASKS=2) that do not know of each other" in told
