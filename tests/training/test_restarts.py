"""One torchrun line survives its processes: what was killed is started again, and ends with the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toys

import genzoo

ROOT = Path(genzoo.__file__).resolve().parent.parent
HERE = Path(toys.__file__).resolve().parent / "training"
SMALL = "--data digits --steps 8 --device cpu --quiet --set image_size=8x8 --set channels=1 --set width=4"


def torchrun(notes, moments, out):
    notes.mkdir()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE.parent)))}
    env |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "GENZOO_PLUGIN_TIMEOUT": "60"}
    command = (
        "-m torch.distributed.run --standalone --nproc-per-node 2 --max-restarts 3 --monitor-interval 0.1"
    )
    worker = [HERE / "restarted_processes.py", notes, ",".join(moments), "train", "dcgan", "--out", out]
    words = [sys.executable, *command.split(), *map(str, worker), *SMALL.split()]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=600)


# five starts of two processes take more than five seconds: they are what is tested
@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo")
def test_one_line_survives_a_kill_in_a_round_in_a_checkpoint_and_before_it_publishes(tmp_path):
    whole = torchrun(tmp_path / "a", [], tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    moments = ["1:round", "0:checkpoint", "0:publishing"]
    killed = torchrun(tmp_path / "b", moments, tmp_path / "killed")
    assert killed.returncode == 0, killed.stderr
    assert {path.name for path in (tmp_path / "b").glob("pid-*-0")} == {f"pid-{i}-0" for i in range(4)}
    assert killed.stderr.count("continuing the same run from step") == 2  # the third is at its last step
    one, other = (
        next((tmp_path / name).glob("dcgan-*.safetensors")).read_bytes() for name in ("whole", "killed")
    )
    assert one == other and (tmp_path / "killed" / "finished.json").exists()
    log = [json.loads(line)["step"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert log == list(range(1, 9))
