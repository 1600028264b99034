"""A run from card to published folder, through the door that people use."""

from __future__ import annotations

import json
import signal
import threading

import pytest
import torch
import toys
from PIL import Image

from genzoo import zoo
from genzoo.errors import (
    ArgumentError,
    GenzooError,
    HubError,
    StorageError,
    TrainingError,
    UnknownNameError,
    WeightsError,
)
from genzoo.hub import facts_of
from genzoo.ledger import read_rows
from genzoo.models import golden
from genzoo.training import checkpoint, loop
from genzoo.training import train as conducting
from genzoo.training.report import Report
from genzoo.training.train import build


@pytest.fixture(autouse=True, scope="module")
def toys_installed(plug):
    plug(*toys.CARDS.values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toys_installed):
    """Give the outcome of a whole run with everything switched on, the model that it ended with, and the run
    itself."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        keep = conducting.finished_model
        patch.setattr(
            conducting,
            "finished_model",
            lambda run, storage: made.extend([keep(run, storage), run]) or made[0],
        )
        outcome = zoo.train(
            "toy-gan",
            "digits",
            tmp_path_factory.mktemp("run"),
            5,
            device="cpu",
            quiet=True,
            settings={
                "image_size": "8x8",
                "width": 6,
                "ema": 0.9,
                "save_dtype": "float16",
                "augment": "translation",
                "batch_size": 32,
            },
        )
    return outcome, *made


@pytest.fixture
def hub(finished, tmp_path, monkeypatch):
    """Give the folder of the run as another machine would see it: named in GENZOO_ZOO, an empty cache."""
    monkeypatch.setenv("GENZOO_ZOO", str(finished[0].folder))
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "cache"))
    return finished[0].folder


def row_of(outcome):
    """Return the row that the run published."""
    return read_rows(outcome.folder / "zoo.toml")["toy-gan"]


class TestOutcome:
    def test_everything_is_in_the_folder(self, finished):
        outcome, model, _ = finished
        found = {path.name for path in outcome.folder.iterdir()}
        assert {
            outcome.weights.name,
            row_of(outcome).card,
            "zoo.toml",
            "samples.png",
            "samples",
            "log.jsonl",
            "scores.json",
            "checkpoint.safetensors",
        } <= found
        published = outcome.folder / row_of(outcome).sources[0].removeprefix("folder:")
        assert (outcome.finished, outcome.step, outcome.weights) == (True, 5, published)
        assert (
            outcome.weights.name.startswith("toy-gan-")
            and row_of(outcome).sha256[:16] in outcome.weights.name
        )
        assert not [name for name in found if name.endswith((".tmp", ".part"))]
        with Image.open(outcome.folder / "samples.png") as picture:
            assert picture.size[0] == picture.size[1] >= 4 * 8
        assert not model.training

    def test_averaged_weights_are_published_as_half_precision_keeps_them(self, finished):
        _, model, run = finished
        average = run.ema.modules["generator"].module
        assert torch.equal(model.generator[0].weight, average[0].weight.half().float())
        assert not torch.equal(model.generator[0].weight, run.model.generator[0].weight.half().float())

    def test_the_row_has_the_facts_of_the_run(self, finished):
        outcome, *_ = finished
        row = read_rows(outcome.folder / "zoo.toml")["toy-gan"]
        assert row.plugin == "genzoo-toys" and row.bytes == outcome.weights.stat().st_size
        for words in (
            "5 rounds of batch 32",
            "160 images seen",
            "cpu, fp32, channels_last",
            f"torch {torch.__version__}",
            "seed 0",
        ):
            assert words in row.trained
        assert (
            row.data.startswith("digits, 1,6")
            and "images (train), 1×8×8, 8-bit" in row.data
            and "UCI" in row.data
        )
        assert row.terms.startswith("CC BY 4.0") and row.licence == ""

    def test_the_card_tells_the_same(self, finished):
        text = (finished[0].folder / row_of(finished[0]).card).read_text(encoding="utf-8")
        assert "5 rounds of batch 32" in text and "# toy-gan" in text and "A toy" in text

    def test_scores_stand_beside_their_floor(self, finished):
        outcome, *_ = finished
        listing = json.loads((outcome.folder / "scores.json").read_text())
        assert (
            len(listing)
            == len(outcome.records)
            == len(read_rows(outcome.folder / "zoo.toml")["toy-gan"].scores)
            > 0
        )
        assert {record.subject for record in outcome.records} == {"toy-gan", "train"}
        assert {record.split for record in outcome.records} == {"test"}

    def test_the_weights_hold_config_storage_and_golden_outputs(self, finished):
        outcome, model, _ = finished
        facts = facts_of(outcome.weights.read_bytes(), "x")
        assert facts["config"]["image_shape"] == [1, 8, 8] and facts["config"]["width"] == 6
        assert facts["storage"] == "float16" and facts["golden"] == golden.record(model)


class TestHub:
    def test_the_folder_is_a_hub(self, finished, hub):
        """What is pulled from it draws the very images of the model that was trained."""
        loaded = zoo.load("toy-gan")
        assert torch.equal(loaded.sample(20, seed=3), finished[1].sample(20, seed=3))
        assert zoo.info("toy-gan").has_weights and not zoo.info("coin").has_weights
        assert zoo.pull("toy-gan").read_bytes() == finished[0].weights.read_bytes()

    def test_verify(self, hub):
        zoo.pull("toy-gan")
        said = zoo.verify("toy-gan")
        assert "is right, golden outputs agree within 0 grey levels" in said

    def test_a_flipped_bit_in_the_hub_is_refused(self, hub, finished):
        path = finished[0].weights
        whole = path.read_bytes()
        try:
            path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
            for ask in (zoo.load, zoo.pull):
                with pytest.raises(HubError, match="sha256"):
                    ask("toy-gan")
        finally:
            path.write_bytes(whole)

    def test_a_flipped_bit_in_the_cache_is_named_by_verify_and_mended_by_load(self, hub, finished):
        path = zoo.pull("toy-gan")
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(WeightsError, match="has sha256"):
            zoo.verify("toy-gan")
        assert torch.equal(zoo.load("toy-gan").sample(1, seed=0), finished[1].sample(1, seed=0))
        assert path.read_bytes() == whole

    def test_other_outputs_are_refused_by_verify(self, hub, monkeypatch):
        """The digest is right, but the code draws something else."""
        zoo.pull("toy-gan")
        monkeypatch.setattr(toys.ToyGAN, "_decode", lambda self, z: 1 - self.generator(z[:, :, None, None]))
        with pytest.raises(WeightsError, match="this machine's outputs differ from the author's"):
            zoo.verify("toy-gan")

    def test_push_copies_it_to_another_hub(self, hub, tmp_path, monkeypatch, finished):
        row = zoo.push("toy-gan", tmp_path / "share")
        assert row.sources == (f"folder:{finished[0].weights.name}",)
        zoo.push("toy-gan", tmp_path / "again", run=hub)
        for name in ("share", "again"):
            monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / name))
            monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / f"cache-{name}"))
            assert torch.equal(zoo.load("toy-gan").sample(1, seed=0), finished[1].sample(1, seed=0))

    def test_push_of_a_run_that_has_another_model(self, hub, tmp_path):
        with pytest.raises(UnknownNameError, match="has no weights of 'coin'"):
            zoo.push("coin", tmp_path / "x", run=hub)


def train(tmp_path, name="toy-gan", steps=4, **options):
    settings = {"val_split": 0.0, **options.pop("settings", {})}
    return zoo.train(
        name,
        options.pop("data", "digits"),
        tmp_path / "run",
        steps,
        settings=settings,
        device="cpu",
        quiet=True,
        **options,
    )


class TestFolder:
    def test_the_same_command_again_does_nothing_and_another_is_refused(self, tmp_path):
        whole = train(tmp_path, steps=2)
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        assert train(tmp_path, steps=2).weights == whole.weights
        with pytest.raises(
            TrainingError, match="already holds a run of toy-gan over 2 steps, not 3"
        ) as caught:
            train(tmp_path, steps=3)
        assert "--resume" in caught.value.hint and "--out" in caught.value.hint
        with pytest.raises(TrainingError, match="was made with other recipe: batch_size was"):
            train(tmp_path, steps=2, settings={"batch_size": 8})
        assert before == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}

    def test_resume_goes_on_and_ends_in_the_same_file(self, tmp_path):
        whole = train(tmp_path / "a", steps=4)
        half = train(tmp_path / "b", steps=2)
        before = read_rows(half.folder / "zoo.toml")["toy-gan"]
        again = train(tmp_path / "b", steps=4, resume=True)
        assert again.step == 4
        assert again.weights.read_bytes() == whole.weights.read_bytes()
        # whoever has read the older row still gets its weights
        assert half.weights.exists() and zoo.hub.pull_bytes(before)

    def test_resume_of_nothing(self, tmp_path):
        with pytest.raises(TrainingError, match="there is no checkpoint at"):
            train(tmp_path, resume=True)

    def test_resume_with_other_settings(self, tmp_path):
        train(tmp_path, steps=2)
        for settings, told in (
            ({"batch_size": 8}, "batch_size was 16, is 8"),
            ({"image_size": 16}, "8×8, not 1,797 images of 1×16×16"),
            ({"width": 8}, "other config: width was 4, is 8"),
        ):
            with pytest.raises(TrainingError, match=told):
                train(tmp_path, settings=settings, resume=True)

    def test_the_default_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        outcome = zoo.train(
            "toy-gan", "digits", steps=1, settings={"val_split": 0.0}, device="cpu", quiet=True
        )
        assert outcome.folder.resolve() == tmp_path / "runs" / "toy-gan"

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "run").write_text("a file")
        with pytest.raises(GenzooError, match="run"):
            train(tmp_path)


class TestWrong:
    @pytest.mark.parametrize(
        ("options", "kind", "told"),
        [
            ({"name": "toy-gna"}, UnknownNameError, "did you mean 'toy-gan'"),
            ({"name": "coder"}, TrainingError, "Coder has no game to train it"),
            ({"steps": 0}, ArgumentError, "steps must lie between 1"),
            ({"steps": 1.5}, ArgumentError, "steps must be a whole number"),
            ({"data": "digist"}, UnknownNameError, "did you mean 'digits'"),
            ({"settings": {"widht": 1}}, UnknownNameError, "did you mean 'width'"),
            ({"settings": {"width": 0}}, ArgumentError, "width must lie between 1"),
            ({"settings": {"lr.genrator": 1.0}}, ArgumentError, "did you mean 'generator'"),
        ],
    )
    def test_before_anything_is_trained(self, tmp_path, options, kind, told):
        with pytest.raises(kind) as caught:
            train(tmp_path, **options)
        assert told in str(caught.value) and str(caught.value).isprintable()
        assert not list(tmp_path.rglob("*.safetensors"))

    def test_a_device_that_is_not_there(self, tmp_path):
        with pytest.raises(ArgumentError, match="device 'cuda:77' cannot be used"):
            zoo.train("toy-gan", "digits", tmp_path, 1, device="cuda:77")

    def test_nan_leaves_the_last_good_checkpoint(self, tmp_path, monkeypatch):
        monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        with pytest.raises(
            TrainingError, match="step 4: the loss of the discriminator is nan; the last good checkpoint is "
        ):
            train(tmp_path, "sad-gan", steps=9)
        assert not (tmp_path / "run" / "zoo.toml").exists()


class TestInterrupted:
    @pytest.fixture
    def at_step(self, monkeypatch):
        """Give a function that sends signals to this process in the middle of a step."""

        def at_step(step, *signals):
            look, pending = Report.round, list(signals)

            def round_(self, losses):
                look(self, losses)
                while self.run.step == step and pending:
                    signal.raise_signal(pending.pop())

            monkeypatch.setattr(Report, "round", round_)

        return at_step

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ctrl_c_finishes_the_step_and_saves(self, tmp_path, at_step, capsys, number):
        before = signal.getsignal(number)
        at_step(2, number)
        outcome = train(tmp_path, steps=50)
        assert (outcome.finished, outcome.step, outcome.weights) == (False, 2, None)
        assert "finishing this step and saving" in capsys.readouterr().err
        assert signal.getsignal(number) == before
        assert not (tmp_path / "run" / "zoo.toml").exists()
        whole = train(tmp_path / "b", steps=4)
        assert train(tmp_path, steps=4, resume=True).weights.read_bytes() == whole.weights.read_bytes()

    @pytest.mark.parametrize("numbers", [(signal.SIGTERM,) * 3, (signal.SIGINT, signal.SIGTERM)])
    def test_while_the_checkpoint_is_written(self, tmp_path, monkeypatch, numbers):
        write, pending = checkpoint.atomic_write, list(numbers)

        def interrupted(path, data):
            while pending:
                signal.raise_signal(pending.pop(0))
            return write(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(checkpoint, "atomic_write", interrupted)
            outcome = train(tmp_path, steps=50)
        assert (outcome.finished, outcome.signal) == (False, numbers[0])
        whole = train(tmp_path / "b", steps=4)
        assert train(tmp_path, steps=4, resume=True).weights.read_bytes() == whole.weights.read_bytes()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("place", ["score_model", "publish"])
    def test_after_the_last_step_the_first_ends_and_resume_publishes(
        self, tmp_path, monkeypatch, number, place
    ):
        before = signal.getsignal(number)
        with monkeypatch.context() as patch:
            patch.setattr(conducting, place, lambda *args, **more: signal.raise_signal(number))
            outcome = train(tmp_path, steps=4, settings={"val_split": 0.1})
        assert (outcome.finished, outcome.step, outcome.signal) == (False, 4, number)
        assert signal.getsignal(number) == before
        assert (tmp_path / "run" / "zoo.toml").exists() == (place == "score_model")  # published before
        assert train(tmp_path, steps=4, settings={"val_split": 0.1}, resume=True).weights.is_file()

    def test_in_the_last_step(self, tmp_path, at_step):
        at_step(4, signal.SIGTERM)
        outcome = train(tmp_path, steps=4)
        assert (outcome.finished, outcome.step, outcome.signal) == (False, 4, signal.SIGTERM)
        assert train(tmp_path, steps=4, resume=True).finished

    def test_twice_ends_at_once(self, tmp_path, at_step):
        before = signal.getsignal(signal.SIGINT)
        at_step(2, signal.SIGINT, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, steps=50)
        assert signal.getsignal(signal.SIGINT) == before

    def test_another_thread_may_train(self, tmp_path):
        done = []
        thread = threading.Thread(target=lambda: done.append(train(tmp_path, steps=1).finished))
        thread.start()
        thread.join()
        assert done == [True]


class TestBuild:
    def test_fresh_weights_are_a_function_of_the_seed(self):
        one, same, other = (
            build(toys.CARDS["toy-gan"], {}, toys.RECIPE.replace(seed=seed)) for seed in (0, 0, 1)
        )
        assert all(torch.equal(p, q) for p, q in zip(one.parameters(), same.parameters(), strict=True))
        assert not torch.equal(one.generator[0].weight, other.generator[0].weight)

    def test_the_global_generator_is_left_alone(self):
        state = torch.get_rng_state()
        build(toys.CARDS["toy-gan"], {}, toys.RECIPE)
        assert torch.equal(torch.get_rng_state(), state)


def test_another_kind_of_game_ends_in_a_hub_too(tmp_path, monkeypatch):
    outcome = train(tmp_path, "coin", steps=2)
    monkeypatch.setenv("GENZOO_ZOO", str(outcome.folder))
    zoo.pull("coin")
    assert "of log p" in zoo.verify("coin")


def test_a_run_is_published_even_where_its_feature_net_cannot_be_had(tmp_path, monkeypatch, capsys):
    def lost(*args, **more):
        raise HubError("the weights of 'digit-net' are not on this machine")

    monkeypatch.setattr(conducting, "score_model", lost)
    outcome = zoo.train("toy-gan", "digits", tmp_path / "run", 2, device="cpu", quiet=True)
    assert outcome.weights.is_file() and outcome.records == []
    assert (
        "toy-gan is not scored: the weights of 'digit-net' are not on this machine" in capsys.readouterr().err
    )


def test_a_run_begins_with_a_sweep_of_what_killed_ones_left(tmp_path):
    (tmp_path / "samples").mkdir()
    left = [tmp_path / ".genzoo-0123456789abcdef.tmp", tmp_path / "samples" / ".genzoo-0123456789abcdef.tmp"]
    for path in left:
        path.write_bytes(bytes(1000))
    zoo.train(
        "toy-gan",
        "digits",
        tmp_path,
        1,
        device="cpu",
        quiet=True,
        settings={"image_size": "8x8", "width": 6, "batch_size": 32},
    )
    assert not any(path.exists() for path in left)
    assert list(tmp_path.glob("toy-gan-*.safetensors"))


class TestBeforeDecoding:
    """What cannot work is told before a folder of pictures, which may take an hour, is decoded."""

    @pytest.fixture
    def pictures(self, tmp_path, monkeypatch):
        """Give a folder of pictures, none of which may be decoded."""
        folder = tmp_path / "pictures"
        folder.mkdir()
        for number in range(12):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
        monkeypatch.setattr("genzoo.data.folder.decode", lambda *given: pytest.fail("an image was decoded"))
        return folder

    @pytest.mark.parametrize(
        ("settings", "told"),
        [({"image_size": "0x8"}, "image_shape"), ({"channels": 2}, "image_shape"), ({"width": 0}, "width")],
    )
    def test_a_size_that_no_model_has(self, tmp_path, pictures, settings, told):
        with pytest.raises(GenzooError, match=told):
            train(tmp_path, data=str(pictures), settings=settings)

    def test_a_folder_that_cannot_be_written(self, tmp_path, pictures):
        (tmp_path / "run").write_text("in the way")
        with pytest.raises(StorageError, match="run"):
            train(tmp_path, data=str(pictures))

    def test_a_line_about_the_data_is_said_once(self, tmp_path, capsys):
        zeros = (
            (torch.rand(40, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.5).numpy().astype("uint8")
        )
        train(tmp_path, data=zeros, steps=1, settings={"val_split": 0.3})
        assert capsys.readouterr().err.count("1 is taken as white") == 1
