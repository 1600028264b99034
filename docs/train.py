"""Train what the documentation shows, on the device there is, and stop at a time limit:

    python docs/train.py [--minutes M] [--at-once N] [--out FOLDER] NAME …
    python docs/train.py --list

NAME is a model with published weights, or a run prepared in `NEXT`. The commands of a model are those of its
plugin's README, up to the command of its card. They run in FOLDER/NAME, several models at once: four on a
GPU, as many as there are cores on a CPU, with one thread each. At the limit, as after Ctrl-C, each run
finishes its step and saves; the same command continues. After each run its scores are measured, as always.
Needs POSIX signals.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ON_A_GPU = 4  # runs at once: nets of 64×64 images do not fill one
EVERY = 10  # seconds between two reports
SIGNAL = "genzoo: interrupted by"
FOLDERS = ("GENZOO_DATA", "GENZOO_CACHE")  # in the environment; runs have folders of their own
# what would come next where a figure falls short, for a machine that is faster than those of the published
# runs: more images for the nets as they are, or larger nets
GAMES = "genzoo train dcgan-bedrooms --steps 47500 --set lr_decay=0.5"
NEXT = {
    "bedrooms-hinge": [f"{GAMES} --set discriminator_norm=spectral --set objective=hinge"],
    "bedrooms-r3gan": [
        f"{GAMES} --set discriminator_norm=none --set objective=relativistic --set penalty_kind=r1-r2"
        " --set gp_weight=0.25 --set betas=0,0.99"
    ],
    "cifar10-wide": [
        "genzoo train gated-pixelcnn-cifar10 --steps 100000 --set layers=15 --set width=126 --set hidden=252"
        " --set mixture=10"
    ],
    "digits-longer": ["genzoo train dcgan-mnist --steps 200000 --set upsample=balanced --set ema=0.9995"],
}


def chains():
    """Return, by name, the commands of each published model's recipe, and those of `NEXT`.

    They lead to the published weights, but for `dcgan-rooms`: its README says of which bedrooms it was made.
    """
    import genzoo

    texts = [path.read_text("utf-8") for path in sorted(ROOT.glob("plugins/*/README.md"))]
    paragraphs = [part.splitlines() for text in texts for part in re.split(r"\n\s*\n|```", text)]
    known = {}
    for card in genzoo.cards():
        if card.has_weights:
            last = card.recipe.command or f"genzoo train {card.name}"
            known[card.name] = [*earlier(last, paragraphs), last]
    return {**known, **NEXT}


def earlier(last, paragraphs):
    """Return the commands that come before `last`, where it needs the weights of a run of its own."""
    for lines in paragraphs if "--init-from runs/" in last else ():
        for index, line in enumerate(lines):
            if f"{line} ".startswith(f"{last} "):
                return [line for line in lines[:index] if line.startswith("genzoo train ")]
    return []


class Run:
    """The commands of one model, one after the other, in a folder of its own."""

    def __init__(self, name, lines, folder, threads):
        self.name, self.lines, self.folder = name, lines, folder / name
        self.log, self.place, self.process, self.told = self.folder / "log.txt", 0, None, ""
        self.env = dict(os.environ)
        for key in FOLDERS:
            if value := self.env.get(key):
                self.env[key] = str(Path(value).expanduser().resolve())
        if threads:
            self.env.setdefault("OMP_NUM_THREADS", str(threads))

    def start(self):
        """Start the command whose turn it is, or continue it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", *shlex.split(self.lines[self.place]), "--resume=auto"]
        with self.log.open("ab") as log:
            # of a session of its own: Ctrl-C is for this script, which passes it on once
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def goes_on(self):
        """Return whether commands are left, of which one now runs; the next starts when one is finished."""
        if self.process.poll() is None:
            return True
        if self.process.returncode == 0:
            self.place += 1
            if self.place < len(self.lines):
                self.start()
                return True
        return False

    def stop(self):
        """Ask the command to finish its step and save."""
        if self.process.poll() is None:
            self.process.terminate()

    @property
    def failed(self):
        """Whether a command ended with an error; one that was stopped did not."""
        ended = self.process.poll() if self.process else None
        return ended not in (None, 0, 128 + signal.SIGTERM, -signal.SIGTERM)

    def state(self):
        """Return one line on where the run stands: the last in its log that is no setting and not about the
        signal.
        """
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        told = [line for line in lines if line.strip() and not line.startswith((" ", SIGNAL))]
        place = f"{min(self.place + 1, len(self.lines))} of {len(self.lines)}"
        return f"{self.name}, run {place}: {told[-1] if told else 'starts'}"

    def report(self):
        """Print where the run stands, if that has changed."""
        if self.state() != self.told:
            self.told = self.state()
            print(self.told, flush=True)


def train(runs, at_once, seconds):
    """Train `runs`, `at_once` of them at a time, for `seconds`; return those that failed.

    Whatever happens here, no run goes on after the limit.
    """
    try:
        attend(runs, at_once, time.monotonic() + seconds)
    except KeyboardInterrupt:
        print("stopping: each run finishes its step and saves", flush=True)
    finally:
        going = [run for run in runs if run.process and run.process.poll() is None]
        for run in going:
            run.stop()
        for run in going:
            run.process.wait()
            run.report()
    return [run for run in runs if run.failed]


def attend(runs, at_once, end):
    """Start `runs`, `at_once` of them at a time, and report on them, until all are done or the clock shows
    `end`."""
    waiting, running, following = deque(runs), [], time.monotonic() + EVERY
    while (waiting or running) and time.monotonic() < end:
        while waiting and len(running) < at_once:
            running.append(waiting.popleft())
            running[-1].start()
        time.sleep(0.1)
        over = [run for run in running if not run.goes_on()]
        running = [run for run in running if run not in over]
        late = time.monotonic() > following
        following += EVERY * late
        for run in [*over, *(running if late else ())]:
            run.report()


def cores():
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def count(text):
    """Return the number of runs at once that `text` says."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def limit(text):
    """Return the minutes that `text` says."""
    if not (minutes := float(text)) > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return minutes


def main(arguments=None):
    """Read the command line and train; return 1 if a run failed."""
    parser = argparse.ArgumentParser(description="Train what the documentation shows, within a time limit.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a published model or a prepared run")
    parser.add_argument("--minutes", type=limit, default=10, help="time limit of all together (10)")
    parser.add_argument("--at-once", type=count, help="runs at the same time (4 on a GPU, else one per core)")
    parser.add_argument("--out", type=Path, default=Path("runs/pictures"), help="folder (runs/pictures)")
    parser.add_argument("--list", action="store_true", help="print the names and their commands")
    asked, known = parser.parse_args(arguments), chains()
    unknown = [name for name in asked.names if name not in known]
    if unknown or not (asked.names or asked.list):
        parser.error(f"no commands for {', '.join(unknown)}; see --list" if unknown else "name a model")
    if asked.list:
        for name in asked.names or known:
            print(name, *known[name], sep="\n  ")
        return 0
    import torch

    gpu = torch.cuda.is_available()
    at_once = asked.at_once or (ON_A_GPU if gpu else cores())
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    folder, threads = asked.out.resolve(), 0 if gpu else 1
    runs = [Run(name, known[name], folder, threads) for name in dict.fromkeys(asked.names)]
    try:
        return int(bool(train(runs, at_once, 60 * asked.minutes)))
    except OSError as error:
        parser.error(f"{error}; the other runs are saved")


if __name__ == "__main__":
    sys.exit(main())
