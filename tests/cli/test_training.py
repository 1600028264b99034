"""`genzoo train` and `genzoo eval`: what is told before, after, and when it is interrupted."""

import json
import shlex
import signal
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from shell import one_line

from genzoo import zoo
from genzoo.cli.program import cli
from genzoo.cli.training import read_settings
from genzoo.ledger import read_rows
from genzoo.record import Record
from genzoo.request import Request
from genzoo.training.checkpoint import CheckpointError
from genzoo.training.publish import Outcome

RECORD = Record(metric="kid", value=0.25, n=10, n_reference=10, data="digits", stderr=0.01, subject="toy-gan")


class Called:
    """Stands for `zoo.train`: keeps what it was asked and answers as told."""

    def __init__(self, finished=True):
        self.finished, self.signal = finished, 0

    def __call__(self, name, **options):
        self.name = name if isinstance(name, str) else name.card.name
        self.callbacks = options.pop("callbacks")
        self.options = options
        folder = Path(options["out"] or "runs/toy-gan")
        if not self.finished:
            return Outcome(folder=folder, finished=False, step=1234, signal=self.signal)
        return Outcome(
            folder=folder, finished=True, step=6, records=[RECORD], weights=folder / "toy-gan.safetensors"
        )


@pytest.fixture
def train(monkeypatch, run):
    called = Called()
    monkeypatch.setattr(zoo, "train", called)
    monkeypatch.delenv("RANK", raising=False)
    return called


class TestTrain:
    def test_every_option_arrives(self, run, train, monkeypatch):
        sets = [
            "--set",
            "lr.generator=1e-4",
            "--set",
            "augment=color,cutout",
            "--set",
            "flip=true",
            "--set",
            "image_size=24x40",
            "--set",
            "batch_size=4",
        ]
        options = [
            "--data",
            "./photos",
            "--init-from",
            "toy-gan",
            "--out",
            "here",
            "--steps",
            5,
            "--resume",
            "--device",
            "cpu",
            "--track",
            "tensorboard,mlflow",
            "--track=wandb",
            "--quiet",
        ]
        for package in ("tensorboard", "mlflow", "wandb"):
            monkeypatch.setitem(sys.modules, package, ModuleType(package))
        assert run("train", "toy-gan", *options, *sets, "--set", "batch_size=8").exit_code == 0
        settings = {
            "lr.generator": 1e-4,
            "augment": "color,cutout",
            "flip": True,
            "image_size": "24x40",
            "batch_size": 8,
        }
        given = {
            "data": "./photos",
            "init_from": "toy-gan",
            "out": "here",
            "steps": 5,
            "resume": True,
            "device": "cpu",
            "track": ("tensorboard", "mlflow", "wandb"),
            "quiet": True,
        }
        assert (train.name, train.options) == ("toy-gan", {**given, "settings": settings})

    def test_a_tracker_that_is_not_there(self, run, train, monkeypatch):
        monkeypatch.setitem(sys.modules, "trackio", None)
        for typed, words in (
            ("trackio", "needs the package trackio, which is not installed — pip install "),
            ("tensorbord", "no tracker is called 'tensorbord'; did you mean 'tensorboard'?"),
        ):
            done = run("train", "toy-gan", "--track", typed)
            assert done.exit_code == 1 and one_line(done.stderr, words) and not hasattr(train, "options")

    @pytest.mark.parametrize("typed", ["--tensorboard", "--report-to=wandb"])
    def test_options_of_other_libraries(self, run, train, typed):
        done = run("train", "toy-gan", typed)
        assert done.exit_code == 2 and one_line(done.stderr, f"no option {typed[:11]}", ": use --track — see")

    def test_a_stopped_run_is_resumed_with_its_trackers(self, run, train, monkeypatch):
        monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
        train.finished = False
        done = run("train", "toy-gan", "--track", "wandb", "--quiet")
        assert "--track wandb --out runs/toy-gan --resume" in done.stderr

    def test_without_options_the_recipe_decides(self, run, train):
        run("train", "toy-gan")
        assert train.options == {
            "data": None,
            "init_from": None,
            "out": None,
            "steps": None,
            "resume": False,
            "device": None,
            "track": (),
            "quiet": False,
            "settings": {},
        }

    @pytest.mark.parametrize(
        ("words", "resume", "name"),
        [
            (["toy-gan", "--resume"], True, "toy-gan"),
            (["--resume", "toy-gan"], True, "toy-gan"),
            (["--resume", "toy-gan", "--steps", 5], True, "toy-gan"),
            (["toy-gan", "--resume", "--quiet"], True, "toy-gan"),
            (["toy-gan", "--resume=auto"], "auto", "toy-gan"),
            (["--resume=auto", "toy-gan"], "auto", "toy-gan"),
            (["--resume", "auto", "toy-gan"], "auto", "toy-gan"),
            (["toy-gan", "--resume", "previous"], "previous", "toy-gan"),
            (["--resume", "--resume", "toy-gan"], True, "toy-gan"),
            (["toy-gan", "--resume=previous"], "previous", "toy-gan"),
            (["toy-gan", "--resume=always"], True, "toy-gan"),
            (["toy-gan"], False, "toy-gan"),
        ],
        ids=range(12),
    )
    def test_resume_stands_alone_or_says_how(self, run, train, words, resume, name):
        assert run("train", *words, "--quiet").exit_code == 0
        assert (train.name, train.options["resume"]) == (name, resume)

    @pytest.mark.parametrize("word", ["--resume=atuo", "--resume=", "--resume=AUTO"])
    def test_resume_of_another_kind(self, run, train, word):
        done = run("train", "toy-gan", word)
        assert done.exit_code == 2 and "auto" in done.stderr

    def test_a_damaged_checkpoint_is_answered_with_the_line_to_type(self, run, monkeypatch):
        def train(name, **options):
            error = CheckpointError("the checkpoint runs/x is damaged: why", "whatever")
            error.earlier = 1200
            raise error

        monkeypatch.setattr(zoo, "train", train)
        done = run(
            "train",
            "toy-gan",
            "--data",
            "my pics",
            "--set",
            "batch_size=8",
            "--out",
            "my run",
            "--resume",
            "--quiet",
        )
        assert done.exit_code == 1
        line = "genzoo train toy-gan --data 'my pics' --set batch_size=8 --out 'my run' --resume=previous"
        words = f"the previous one, of step 1,200, is intact; to continue from it: {line}"
        assert one_line(done.stderr, words)

    def test_card_and_recipe_come_first(self, run, train):
        done = run("train", "toy-gan", "--steps", 5, "--set", "batch_size=8", "--set", "width=3")
        lines = {line.split()[0]: line.split()[1:] for line in done.stderr.splitlines()}
        assert done.stderr.startswith("toy-gan: A toy\n")
        assert (lines["steps"], lines["batch_size"], lines["width"], lines["lr"]) == (
            ["5"],
            ["8"],
            ["3"],
            ["all=0.002"],
        )
        assert "A toy" not in run("train", "toy-gan", "--quiet").stderr

    def test_the_recipe_is_that_of_this_run(self, run, train):
        """The card's example of a command is not this run's, and the size of the images is stated."""
        done = run("train", "coin", "--set", "image_size=24x40")
        lines = {line.split()[0]: line.split()[1:] for line in done.stderr.splitlines()}
        assert lines["images"] == ["1×24×40"] and "command" not in lines and "example" not in lines
        done = run("train", "coin", "--data", "digits")
        assert ["images", "1×8×8"] in [line.split() for line in done.stderr.splitlines()]
        lines = {
            line.split()[0]: line.split()[1:] for line in run("info", "coin").stdout.splitlines() if line
        }
        assert lines["example"] == ["genzoo", "train", "coin", "--data", "digits"] and "command" not in lines

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--data", "./nope"), "no such file or folder: './nope'"),
            (
                ("--data", "./nope", "--set", "image_size=8", "--set", "channels=1"),  # which say the shape
                "no such file or folder: './nope'",
            ),
            (("--data", "nosuch"), "no data set 'nosuch'"),
            (("--data", "faces"), "the data set 'faces' needs faces_lfw_64.npz"),
            (("--out", "taken/run"), "taken"),
        ],
    )
    def test_data_and_folder_are_checked_before_the_recipe(self, run, train, monkeypatch, options, words):
        monkeypatch.delenv("GENZOO_DATA", raising=False)
        Path("taken").write_text("")
        done = run("train", "toy-gan", *options)
        assert done.exit_code == 1 and one_line(done.stderr, words) and not hasattr(train, "options")

    def test_checking_leaves_nothing(self, run, train):
        assert run("train", "toy-gan", "--out", "new").exit_code == 0
        assert not Path("new").exists()

    def test_scores_are_data_and_the_rest_is_not(self, run, train):
        done = run("train", "toy-gan", "--out", "my run")
        assert done.exit_code == 0
        assert done.stdout == f"{RECORD}\n"
        last = done.stderr.splitlines()[-1]
        assert (
            last.startswith("my run/toy-gan.safetensors: toy-gan after 6 steps")
            and "genzoo push './my run' DEST" in last
        )

    def test_one_step_is_no_steps(self, run, train, monkeypatch):
        done = Outcome(folder=Path("run"), finished=True, step=1, weights=Path("run/x.safetensors"))
        monkeypatch.setattr(zoo, "train", lambda *args, **options: done)
        assert "toy-gan after 1 step; " in run("train", "toy-gan").stderr and "finished, 1 step," in repr(
            done
        )

    def test_json(self, run, train):
        facts = json.loads(run("train", "toy-gan", "--json").stdout)
        assert (facts["finished"], facts["step"], facts["records"]) == (True, 6, [RECORD.as_dict()])

    def test_interrupted(self, run, train):
        train.finished = False
        done = run(
            "train",
            "toy-gan",
            "--out",
            "my run",
            "--steps",
            5000,
            "--set",
            "augment=color,cutout",
            "--set",
            "lr.generator=1e-4",
        )
        assert (done.exit_code, done.stdout) == (130, "")
        told, last = done.stderr.splitlines()[-2:]
        assert last == "genzoo: interrupted"
        assert told.startswith("stopped after step 1,234, saved in my run; to continue: genzoo train ")
        first = train.options
        words = shlex.split(told.partition("to continue: ")[2])
        train.finished = True
        assert words[0] == "genzoo" and run(*words[1:]).exit_code == 0
        assert train.options == {**first, "resume": True}

    def test_interrupted_json(self, run, train):
        train.finished = False
        done = run("train", "toy-gan", "--json")
        assert done.exit_code == 130
        assert json.loads(done.stdout)["finished"] is False

    def test_one_of_several_processes_talks(self, run, train, monkeypatch):
        for name, value in {
            "RANK": "1",
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": "29500",
        }.items():
            monkeypatch.setenv(name, value)
        done = run("train", "toy-gan")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")

    @pytest.mark.parametrize("given", [{"RANK": "1"}, {"WORLD_SIZE": "2"}, {"LOCAL_RANK": "0"}])
    def test_half_of_torchruns_environment_is_one_line(self, run, train, monkeypatch, given):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        done = run("train", "toy-gan")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(
            done.stderr, "not set", *(f"{name}={value}" for name, value in given.items()), "torchrun"
        )
        assert run("sample", "toy-gan", "-n", 1, "--seed", 0, "-o", "x.png").exit_code == 0

    def test_the_licence_is_the_authors_to_state(self, run, train):
        for option in ("--licence", "--license"):
            run("train", "toy-gan", option, "CC BY 4.0", "--set", "batch_size=8")
            assert train.options["settings"] == {"batch_size": 8, "licence": "CC BY 4.0"}
        train.finished = False
        done = run("train", "toy-gan", "--licence", "CC BY 4.0")
        assert "--licence 'CC BY 4.0'" in done.stderr

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (0, 130)])
    def test_the_exit_code_names_the_signal(self, run, train, number, code):
        train.finished, train.signal = False, number
        done = run("train", "toy-gan")
        assert done.exit_code == code
        assert done.stderr.splitlines()[-1] == (
            "genzoo: interrupted by SIGTERM" if code == 143 else "genzoo: interrupted"
        )

    def test_a_wrong_setting_is_told_before_anything_is_written(self, run, tmp_path):
        done = run("train", "toy-gan", "--set", "batch_siz=3", "--quiet")
        assert (done.exit_code, done.stdout) == (1, "")
        assert one_line(done.stderr, "toy-gan has no setting 'batch_siz'; did you mean 'batch_size'?")
        assert list((tmp_path / "here").iterdir()) == []

    @pytest.mark.parametrize(
        ("typed", "key"),
        [
            ("--lr", "lr"),
            ("--batch-size", "batch_size"),
            ("--learning_rate", "lr"),
            ("--n-critic", "turns.discriminator"),
            ("--gp-weight", "gp_weight"),
        ],
    )
    def test_a_setting_that_is_typed_as_an_option(self, run, typed, key):
        done = run("train", "toy-gan", typed, "3")
        assert done.exit_code == 2
        assert one_line(done.stderr, f"no option {typed}: settings are given with --set {key}=…")

    def test_other_options_are_merely_unknown(self, run):
        assert one_line(run("train", "toy-gan", "--lamp", "3").stderr, "No such option '--lamp'")
        assert one_line(run("sample", "toy-gan", "--lr", "3").stderr, "No such option '--lr'")

    @pytest.mark.parametrize(
        ("typed", "key"),
        [("n_critic=5", "turns.discriminator"), ("learning_rate=1", "lr"), ("batch=2", "batch_size")],
    )
    def test_a_key_of_another_library_is_answered_with_ours(self, run, typed, key):
        done = run("train", "toy-gan", "--set", typed)
        assert one_line(done.stderr, f"did you mean {key!r}?")

    def test_settings_are_read_as_values(self):
        given = read_settings(
            None, None, ("a=1", "b=1e-4", "c=true", "d=64x40", "e=x=y", " f = [1, 2] ", "g=")
        )
        assert given == {"a": 1, "b": 1e-4, "c": True, "d": "64x40", "e": "x=y", "f": [1, 2], "g": ""}


class TestARealRun:
    def test_from_the_first_step_to_the_samples(self, run, tmp_path):
        done = run("train", "toy-gan", "--steps", 2, "--out", "run", "--json")
        assert done.exit_code == 0, done.stderr
        facts = json.loads(done.stdout)
        assert facts["finished"] and facts["step"] == 2
        row = read_rows(Path("run/zoo.toml"))["toy-gan"]
        assert Path(facts["weights"]).stat().st_size == row.bytes
        written = Path(facts["weights"]).stat().st_mtime_ns
        done = run("train", "toy-gan", "--steps", 2, "--out", "run", "--json")
        assert (
            done.exit_code == 0 and json.loads(done.stdout)["weights"] == facts["weights"]
        )  # it is finished
        assert Path(facts["weights"]).stat().st_mtime_ns == written
        done = run("train", "toy-gan", "--steps", 2, "--out", "run", "--quiet", "--set", "seed=1")
        assert done.exit_code == 1 and one_line(done.stderr, "seed was 0, is 1")

    @pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a child")
    def test_ctrl_c_saves_and_the_line_it_prints_goes_on(self, site):
        process = site.start("train", "toy-gan", "--steps", 100_000, "--out", "run", "--set", "width=2")
        log = site.cwd / "run" / "log.jsonl"
        for _ in range(1200):
            if log.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (130, ""), err
        assert "Traceback" not in err
        found = site("sample", "./run")
        assert found.returncode == 1 and "has a checkpoint, and no weights yet" in found.stderr
        typed = "genzoo train toy-gan --steps 100000 --set width=2 --out run --resume"
        assert f"continue it: {typed}\n" in found.stderr and f"to continue: {typed}\n" in err
        told, last = err.splitlines()[-2:]
        assert last == "genzoo: interrupted"
        words = shlex.split(told.partition("to continue: ")[2])
        step = int(told.split("step ")[1].split(", saved")[0].replace(",", ""))
        words[words.index("--steps") + 1] = str(step + 1)
        done = site(*words[1:], "--quiet", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["step"] == step + 1


class TestEval:
    @pytest.fixture
    def evaluate(self, monkeypatch, run):
        asked = []

        def evaluate(name, request, *, device, progress):
            asked.append((name.card.name, request, device))
            progress("features", 1, 2)
            return [RECORD, RECORD]

        monkeypatch.setattr(zoo, "evaluate", evaluate)
        return asked

    def test_json_says_all_that_one_must_know(self, run, evaluate):
        done = run("eval", "toy-gan", "--data", "digits", "-n", 10, "--seed", 3, "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        records = json.loads(done.stdout)
        assert len(records) == 2
        assert {"metric", "value", "unit", "kind", "n", "stderr", "data", "transform"} <= set(records[0])
        assert evaluate == [("toy-gan", Request(data="digits", n=10, seed=3), None)]

    def test_lines(self, run, evaluate):
        done = run("eval", "toy-gan")
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{RECORD}\n" * 2, "")
        assert evaluate == [("toy-gan", Request(), None)]

    def test_the_device_is_chosen_and_said(self, run):
        asked = ("eval", "toy-gan", "-n", 12, "--metrics", "kid", "--json", "--device")
        for device in ("cpu", "auto"):
            records = json.loads(run(*asked, device).stdout)
            assert {record["device"] for record in records} <= {"cpu", "cuda"} and records
        refused = run(*asked, "nowhere")
        assert refused.exit_code == 1 and one_line(refused.stderr, "device 'nowhere' cannot be used")

    def test_nothing_to_measure(self, run, monkeypatch):
        monkeypatch.setattr(zoo, "evaluate", lambda *args, **more: [])
        assert run("eval", "toy-gan", "--json").stdout == "[]\n"
        assert "nothing can be measured" in run("eval", "toy-gan").stderr

    def test_real_records(self, run):
        done = run("eval", "toy-gan", "-n", 12, "--json")
        assert done.exit_code == 0, done.stderr
        records = json.loads(done.stdout)
        assert {record["subject"] for record in records} >= {"toy-gan", "train"}

    def test_no_weights_and_no_data(self, run):
        done = run("eval", "coin")
        assert done.exit_code == 1
        assert one_line(done.stderr, "'coin' has no published weights")
        done = run("eval", "toy-gan", "--data", "nowhere-to-be-found")
        assert done.exit_code == 1
        assert one_line(done.stderr, "nowhere-to-be-found")


def test_python_m_genzoo_is_the_program(site):
    assert site("--version").stdout == "genzoo 0.1.0\n"
    assert cli.name == "genzoo"
