"""The ends of real processes: signals once and often, streams that nobody reads, several processes that end
together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from shell import TOYS, Site, lay, one_line

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and streams of POSIX")

SMALL = ("--set", "width=2", "--set", "val_split=0.0", "--device", "cpu")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    lay(folder, "toy-box", TOYS)
    return folder


@pytest.fixture
def site(packages, tmp_path):
    site = Site(packages, tmp_path, tmp_path / "nowhere")
    site.env |= {"GENZOO_PLUGINS": "toy-box", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    del site.env["GENZOO_ZOO"]
    return site


def until(path, process):
    """Wait until the run plays: its report is there, and a moment has gone by."""
    for _ in range(6000):  # a busy machine is no failure
        if path.exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    time.sleep(0.5)


def interrupted(site, *signals, **options):
    """Train until the signals have been sent, 0.02 s apart; return the exit code and what was said."""
    process = site.start("train", "toy-gan", "--steps", 10**6, "--out", "run", *SMALL, "--quiet", **options)
    until(site.cwd / "run" / "log.jsonl", process)
    for number in signals:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        time.sleep(0.02)
    out, err = process.communicate(timeout=120)
    assert out == "" and "Traceback" not in err, err
    return process.returncode, err


@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGTERM, signal.SIGTERM, signal.SIGTERM), 143), ((signal.SIGUSR1, signal.SIGTERM), 138)],
    ids=lambda value: "+".join(number.name for number in value) if isinstance(value, tuple) else str(value),
)
def test_it_is_saved_and_goes_on_to_the_same_bits(site, signals, code):
    assert interrupted(site, *signals)[0] == code
    from genzoo.training import checkpoint

    step = checkpoint.read(site.cwd / "run" / checkpoint.NAME)[1].step
    steps = ("--steps", step + 3, *SMALL, "--quiet")
    for arguments in (("--out", "run", "--resume"), ("--out", "whole")):
        done = site("train", "toy-gan", *arguments, *steps)
        assert done.returncode == 0, done.stderr
    run, whole = (
        next((site.cwd / folder).glob("toy-gan-*.safetensors")).read_bytes() for folder in ("run", "whole")
    )
    assert run == whole


def test_a_second_ctrl_c_ends_at_once(site):
    """The first is held up by a step that takes long; the second is not."""
    slow = "import time; from genzoo.training.loop import Run; play = Run.play_round; "
    slow += (
        "Run.play_round = lambda self: (time.sleep(5 if self.step else 0), play(self))[1]; from "
        "genzoo.cli import main; main()"
    )
    begun = time.monotonic()
    code, err = interrupted(site, signal.SIGINT, signal.SIGINT, python=("-c", slow))
    assert code == 130 and "once more stops at once" in err and "stopped after" not in err
    assert time.monotonic() - begun < 60


def test_under_nohup_a_hangup_is_not_heard(site):
    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code, err = interrupted(site, signal.SIGHUP, signal.SIGTERM, preexec_fn=nohup)
    assert code == 143 and "SIGHUP" not in err


def test_a_terminal_that_hangs_up(site):
    """It sends SIGHUP, and from then on every write to it fails, that of the bar too."""
    ours, theirs = os.openpty()
    process = site.start(
        "train",
        "toy-gan",
        "--steps",
        10**6,
        "--out",
        "run",
        *SMALL,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        python=(
            "-c",
            (
                "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from genzoo.cli import main; "
                "main()"
            ),
        ),
    )
    os.close(theirs)
    until(site.cwd / "run" / "log.jsonl", process)
    os.read(ours, 10_000)
    os.close(ours)
    assert process.wait(timeout=60) == 129
    assert (site.cwd / "run" / "checkpoint.safetensors").is_file()


@pytest.mark.parametrize("stream", ["nobody", "full", "all closed"])
def test_streams_that_cannot_be_written(site, stream):
    if stream == "full" and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = [sys.executable, "-m", "genzoo", "train", "toy-gan", "--steps", "3", "--out", "run", *SMALL]
    redirect = {"nobody": "2>&1 | head -1", "full": "2>/dev/full", "all closed": "<&- >&- 2>&-"}[stream]
    line = f'{{ "$@"; echo $? >code; }} {redirect}'
    subprocess.run(
        ["bash", "-c", line, "bash", *command],
        env=site.env,
        cwd=site.cwd,
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert (site.cwd / "code").read_text() == "0\n"
    assert (site.cwd / "run" / "zoo.toml").exists() and list((site.cwd / "run").glob("toy-gan-*.safetensors"))
    assert [
        json.loads(line)["step"] for line in (site.cwd / "run" / "log.jsonl").read_text().splitlines()
    ] == [1, 2, 3]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs gloo")
@pytest.mark.parametrize(
    ("number", "twice"),
    [(signal.SIGTERM, True), (signal.SIGUSR1, False)],
    ids=["SIGTERM twice", "SIGUSR1 to one"],
)
def test_all_processes_of_a_group_end_together(site, number, twice):
    """A step of Slurm sends SIGTERM to torchrun and to its workers, and torchrun passes it on: each of them
    hears it twice."""
    tell = (
        "import os; open(f'pid-{os.environ[\"RANK\"]}', 'w').write(str(os.getpid())); from genzoo.cli "
        "import main; main()"
    )
    (site.cwd / "worker.py").write_text(tell)
    launcher = site.start(
        "worker.py",
        "train",
        "toy-gan",
        "--steps",
        10**6,
        "--out",
        "run",
        *SMALL,
        "--quiet",
        python=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    )
    until(site.cwd / "run" / "log.jsonl", launcher)
    time.sleep(0.5)
    workers = [int((site.cwd / f"pid-{rank}").read_text()) for rank in (0, 1)]
    for process in (*workers, launcher.pid) if twice else workers[1:]:
        os.kill(process, number)
    err = launcher.communicate(timeout=120)[1]
    assert f"genzoo: interrupted by {number.name}" in err and "another process" not in err, err
    assert err.count("stopped after step") == 1, err
    from genzoo.training import checkpoint

    assert checkpoint.read(site.cwd / "run" / checkpoint.NAME)[1].step > 0


def test_half_of_torchruns_environment(site):
    done = site("train", "toy-gan", "--quiet", env={"RANK": "1"})
    assert done.returncode == 1 and one_line(done.stderr, "WORLD_SIZE is not set", "RANK=1")
    assert not (site.cwd / "runs").exists()
