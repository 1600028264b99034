"""The adapters: each against a stand-in with the signatures of its library, TensorBoard against itself."""

from __future__ import annotations

import sys
import types
import warnings

import numpy as np
import pytest

from genzoo.training import trackers
from genzoo.training.tracking import Tracked

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_DIR", "TRACKIO_PROJECT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


def tracked(folder, step=0):
    return Tracked(name="toy", key=KEY, folder=folder, step=step, config={"model": "toy", "config.width": 6})


def use(tracker, step=1, state="finished"):
    tracker.scalars(step, {"loss/generator": 0.5, "loss/discriminator": 0.25})
    tracker.picture(step, "samples", PIXELS)
    tracker.note(step, "doctor/odd", "it is odd")
    tracker.flush()
    tracker.close(state)


@pytest.fixture(scope="module")
def reader():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        pytest.importorskip("tensorboard")
        import torch.utils.tensorboard  # noqa: F401
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    return EventAccumulator


class TestTensorBoard:
    def read(self, reader, folder):
        found = reader(str(folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0, "scalars": 0})
        return found.Reload()

    def test_a_reader_finds_everything(self, reader, tmp_path):
        use(trackers.tensorboard(tracked(tmp_path)))
        found = self.read(reader, tmp_path)
        assert sorted(found.Tags()["scalars"]) == ["loss/discriminator", "loss/generator"]
        assert [(event.step, event.value) for event in found.Scalars("loss/generator")] == [(1, 0.5)]
        (image,) = found.Images("samples")
        assert (image.step, image.height, image.width) == (1, 4, 6)
        assert set(found.Tags()["tensors"]) == {"config/text_summary", "doctor/odd/text_summary"}
        text = found.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
        assert "| config.width | 6 |" in text

    def test_rounds_that_are_trained_again_are_shown_once(self, reader, tmp_path):
        first = trackers.tensorboard(tracked(tmp_path))
        for step in (1, 2, 3, 4):  # killed after 4; the checkpoint is of step 2
            first.scalars(step, {"loss": float(step)})
        first.flush()
        again = trackers.tensorboard(tracked(tmp_path, step=2))
        for step in (3, 4, 5):
            again.scalars(step, {"loss": 10.0 * step})
        again.close("finished")
        first.close("failed")
        events = self.read(reader, tmp_path).Scalars("loss")
        assert [(event.step, event.value) for event in events] == [
            (1, 1.0),
            (2, 2.0),
            (3, 30.0),
            (4, 40.0),
            (5, 50.0),
        ]


def stand_in(monkeypatch, name, **functions):
    module = types.ModuleType(name)
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, name, module)
    return module


class Image:
    """`wandb.Image` and `trackio.Image`, as far as they are used."""

    def __init__(self, value, caption=None):
        self.value, self.caption = value, caption


class TestWandB:
    @pytest.fixture
    def calls(self, monkeypatch):
        made = types.SimpleNamespace(init=None, log=[], summary={}, ended=[])

        class Settings:
            def __init__(self, *, console, silent):
                self.console, self.silent = console, silent

        class Run:
            summary = made.summary

            def log(self, data, step=None, commit=None):
                made.log.append((data, step))

            def finish(self, exit_code=None, quiet=None):
                made.ended.append(exit_code)

        def init(
            entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None,
            config_exclude_keys=None, config_include_keys=None, allow_val_change=None, group=None,
            job_type=None, mode=None, force=None, reinit=None, resume=None, resume_from=None, fork_from=None,
            save_code=None, tensorboard=None, sync_tensorboard=None, monitor_gym=None, settings=None,
        ):  # fmt: skip
            made.init = {key: value for key, value in locals().items() if value is not None and key != "made"}
            return Run()

        stand_in(monkeypatch, "wandb", init=init, Settings=Settings, Image=Image)
        return made

    def test_it_stays_offline_in_the_folder_of_the_run(self, calls, tmp_path):
        use(trackers.wandb(tracked(tmp_path)))
        init = calls.init
        assert (init["mode"], init["dir"], init["project"]) == ("offline", str(tmp_path), "genzoo")
        assert (init["id"], init["name"], "resume" in init) == (KEY, "toy-01234567", False)
        assert init["config"] == {"model": "toy", "config.width": 6} and init["settings"].console == "off"
        (losses, step), (shown, at) = calls.log
        assert (losses["loss/generator"], step, at, list(shown)) == (0.5, 1, 1, ["samples"])
        assert shown["samples"].value is PIXELS and calls.summary == {"doctor/odd": "it is odd"}
        assert calls.ended == [0]

    def test_its_own_variables_count(self, calls, tmp_path, monkeypatch):
        for name, value in (("MODE", "online"), ("PROJECT", "mine"), ("DIR", "/else")):
            monkeypatch.setenv(f"WANDB_{name}", value)
        use(trackers.wandb(tracked(tmp_path, step=7)), step=8, state="failed")
        told = {key: calls.init[key] for key in ("mode", "project", "dir", "resume", "id")}
        assert told == {"mode": "online", "project": "mine", "dir": "/else", "resume": "allow", "id": KEY}
        assert calls.ended == [1]


def test_trackio(monkeypatch, tmp_path):
    calls = []

    def init(
        project, name=None, group=None, space_id=None, server_url=None, dataset_id=None, bucket_id=None,
        config=None, resume="never", settings=None, private=None, embed=True, auto_log_gpu=None,
    ):  # fmt: skip
        calls.append(("init", project, name, space_id, config, resume, embed))

    def log(metrics, step=None):
        calls.append(("log", metrics, step))

    stand_in(monkeypatch, "trackio", init=init, log=log, finish=lambda: calls.append("end"), Image=Image)
    use(trackers.trackio(tracked(tmp_path)))
    config = {"model": "toy", "config.width": 6}
    assert calls[0] == ("init", "genzoo", "toy-01234567", None, config, "allow", False)
    assert calls[1] == ("log", {"loss/generator": 0.5, "loss/discriminator": 0.25}, 1)
    assert calls[2][1]["samples"].value is PIXELS and calls[2][2] == 1
    assert calls[3:] == [("log", {"doctor/odd": "it is odd"}, 1), "end"]


class Store:
    """Stands for `mlflow.tracking.MlflowClient`; its runs outlive it."""

    runs: dict = {}
    experiments: dict = {}

    def __init__(self, tracking_uri=None, registry_uri=None):
        self.uri = Store.uri = tracking_uri

    def get_experiment_by_name(self, name):
        return Store.experiments.get(name)

    def create_experiment(self, name, artifact_location=None, tags=None):
        Store.artifacts = artifact_location
        Store.experiments[name] = types.SimpleNamespace(experiment_id="7")
        return "7"

    def search_runs(
        self,
        experiment_ids,
        filter_string="",
        run_view_type=1,
        max_results=1000,
        order_by=None,
        page_token=None,
    ):
        assert experiment_ids == ["7"]
        wanted = filter_string.removeprefix("tags.genzoo_key = '").removesuffix("'")
        return [run for run in Store.runs.values() if run.tags["genzoo_key"] == wanted]

    def create_run(self, experiment_id, start_time=None, tags=None, run_name=None):
        info = types.SimpleNamespace(run_id=f"r{len(Store.runs)}")
        facts = {
            "tags": dict(tags),
            "name": run_name,
            "params": {},
            "metrics": [],
            "images": [],
            "status": "",
        }
        Store.runs[info.run_id] = types.SimpleNamespace(info=info, batches=[], **facts)
        return Store.runs[info.run_id]

    def update_run(self, run_id, status=None, name=None):
        Store.runs[run_id].status = status

    def log_param(self, run_id, key, value, synchronous=None):
        assert key not in Store.runs[run_id].params
        Store.runs[run_id].params[key] = value

    def log_batch(self, run_id, metrics=(), params=(), tags=(), synchronous=None):
        assert len(metrics) <= 1000
        Store.runs[run_id].metrics += metrics

    def log_image(
        self, run_id, image, artifact_file=None, key=None, step=None, timestamp=None, synchronous=None
    ):
        Store.runs[run_id].images.append((artifact_file, image.size))

    def set_tag(self, run_id, key, value, synchronous=None):
        Store.runs[run_id].tags[key] = value

    def set_terminated(self, run_id, status=None, end_time=None):
        Store.runs[run_id].status = status


class TestMLflow:
    @pytest.fixture(autouse=True)
    def library(self, monkeypatch):
        monkeypatch.setattr(Store, "runs", {})
        monkeypatch.setattr(Store, "experiments", {})

        def metric(key, value, timestamp, step):
            return types.SimpleNamespace(key=key, value=value, timestamp=timestamp, step=step)

        stand_in(monkeypatch, "mlflow")
        stand_in(monkeypatch, "mlflow.tracking", MlflowClient=Store)
        stand_in(monkeypatch, "mlflow.entities", Metric=metric)

    def test_a_local_store_that_a_resumed_run_continues(self, tmp_path):
        use(trackers.mlflow(tracked(tmp_path)), state="interrupted")
        (run,) = Store.runs.values()
        assert Store.uri == f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}" and run.status == "KILLED"
        assert Store.artifacts == (tmp_path / "mlflow" / "artifacts").as_uri()
        assert (run.params, run.name) == ({"model": "toy", "config.width": 6}, "toy-01234567")
        assert run.images == [("samples/step-0000001.png", (6, 4))] and run.tags["doctor/odd"] == "it is odd"
        use(trackers.mlflow(tracked(tmp_path, step=1)), step=2)
        assert list(Store.runs) == ["r0"] and run.status == "FINISHED"
        assert [(m.key, m.value, m.step) for m in run.metrics if "gen" in m.key] == [
            ("loss/generator", 0.5, 1),
            ("loss/generator", 0.5, 2),
        ]

    def test_numbers_are_stored_many_at_a_time_and_at_checkpoints(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        monkeypatch.setattr(trackers, "BUFFERED", 4)
        tracker = trackers.mlflow(tracked(tmp_path))
        (run,) = Store.runs.values()
        kept = []
        for step in range(1, 6):
            tracker.scalars(step, {"loss": 1.0})
            kept.append(len(run.metrics))
        assert kept == [0, 0, 0, 4, 4]
        tracker.flush()
        tracker.close("failed")
        assert [m.step for m in run.metrics] == [1, 2, 3, 4, 5] and run.status == "FAILED"
        assert Store.uri == "http://127.0.0.1:9" and Store.artifacts is None
