"""Cells are trained one after the other, skipped when finished, resumed when interrupted, and a collapse is a
result."""

from __future__ import annotations

import dataclasses
import json
import signal

import numpy as np
import pytest
import told_toys
import torch
import toys
from PIL import Image

from genzoo import Card, Family, Recipe
from genzoo.data import open_data
from genzoo.errors import Interrupted, StorageError, TrainingError, UnknownNameError
from genzoo.evaluation.held_out import every_way
from genzoo.experiments import cells as room
from genzoo.experiments import report, saturation
from genzoo.experiments.cells import play_all
from genzoo.experiments.plan import Experiment, cells
from genzoo.files import locked
from genzoo.ledger import read_rows
from genzoo.models.weights import build_filled

CARDS = {"toy-gan": toys.CARDS["toy-gan"], "sad-gan": toys.CARDS["sad-gan"]}
EXPERIMENT = Experiment(
    title="Toys",
    data="digits",
    budget=8,
    n=24,
    metrics=("kid", "prdc"),
    features="gist",
    model="toy-gan",
    settings={"ema": 0.5, "image_size": "8x8", "channels": 1},
    rows={"narrow": {}, "wide": {"width": 5}},
    columns={"minimax": {"objective": "minimax"}, "sad": {"model": "sad-gan"}},
)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    told = []
    stages = [list(results) for results in play_all(EXPERIMENT, CARDS, folder, "cpu", told.append)]
    return folder, stages, told


def test_cell_by_cell(played):
    _, stages, told = played
    assert [len(stage) for stage in stages] == [1, 2, 3, 4]
    assert told[0] == "cell 1 of 4: narrow × minimax, seed 0, toy-gan, 4 rounds" and len(told) == 4


def test_a_cell_is_measured_beside_the_floor(played):
    result = played[1][-1][0]
    assert {record["metric"] for record in result.records} == {
        "kid",
        "precision",
        "recall",
        "density",
        "coverage",
    }
    assert {record["subject"] for record in result.records} == {"narrow--minimax--0", "train"}
    assert all(record["n"] == 24 for record in result.records)
    assert result.collapsed == "" and result.seconds > 0


def test_a_cell_is_chosen_by_validation_images_that_it_has_not_learned_from(played):
    folder, stages, _ = played
    assert {record["split"] for record in stages[-1][0].records} == {"valid"}
    assert "images (fit)" in (folder / "narrow--minimax--0" / "zoo.toml").read_text()
    (tested, *_) = cells(dataclasses.replace(EXPERIMENT, split="test"))
    assert tested.settings["validation"] is False and tested.split == "test"


def test_a_collapse_is_a_result(played):
    folder, stages, _ = played
    result = stages[-1][1]
    assert "the loss of the discriminator is nan" in result.collapsed and result.records == []
    assert json.loads((folder / "narrow--sad--0" / "cell.json").read_text())["collapsed"] == result.collapsed


def test_finished_cells_are_skipped(played, monkeypatch):
    folder, stages, _ = played
    monkeypatch.setattr(room, "train", None)
    told = []
    again = list(play_all(EXPERIMENT, CARDS, folder, "cpu", told.append))[-1]
    assert told == [] and again == stages[-1]


def test_an_interrupted_cell_goes_on_to_the_same_bits(played, tmp_path, monkeypatch):
    train, calls = room.train, []

    def stopped(card, data, folder, steps, **options):
        calls.append((steps, options["resume"]))
        if len(calls) == 1:
            outcome = train(card, data, folder, 2, **options)  # as far as it came
            return type(outcome)(folder=outcome.folder, finished=False, step=2, signal=signal.SIGTERM)
        return train(card, data, folder, steps, **options)

    monkeypatch.setattr(room, "train", stopped)
    with pytest.raises(Interrupted) as caught:
        list(play_all(EXPERIMENT, CARDS, tmp_path, "cpu"))
    assert caught.value.number == signal.SIGTERM and isinstance(caught.value, KeyboardInterrupt)
    assert not (tmp_path / "narrow--minimax--0" / "cell.json").exists()
    next(play_all(EXPERIMENT, CARDS, tmp_path, "cpu"))
    assert calls == [(4, "auto"), (4, "auto")]
    one, other = (
        read_rows(folder / "narrow--minimax--0" / "zoo.toml")["toy-gan"] for folder in (played[0], tmp_path)
    )
    assert one.sha256 == other.sha256


def test_a_cell_that_another_process_trains_is_refused(tmp_path):
    folder = tmp_path / "narrow--minimax--0"
    folder.mkdir()
    with locked(folder / "run.lock"), pytest.raises(TrainingError, match="another run is using"):
        list(play_all(EXPERIMENT, CARDS, tmp_path, "cpu"))
    assert sorted(path.name for path in folder.iterdir()) == ["cell.lock", "run.lock"]


def test_a_model_with_a_likelihood_is_measured_by_it(tmp_path):
    """Nats and bits have a table each, and so have bounds: one place never mixes them."""
    densities = dataclasses.replace(
        EXPERIMENT,
        data="binarized-digits",
        metrics=(),
        features="",
        players=("model",),
        model="toy-cnn",
        seeds=2,
        rows={"": {}},
        columns={"exact": {}, "bound": {"model": "coins"}},
    )
    toy = Card(
        name="toy-cnn", family=Family.TRACTABLE, model="pixel_toys:ToyCNN", recipe=Recipe(batch_size=16)
    )
    known = {**toys.CARDS, "toy-cnn": toy}
    results = list(play_all(densities, known, tmp_path, "cpu"))[-1]
    told = [[(r["kind"], r["unit"], r["n"]) for r in result.records] for result in results]
    assert told == [
        [(kind, unit, 24) for unit in ("nats", "bits/dim")] for kind in ("exact", "exact", "elbo", "elbo")
    ]
    lines = list(report.lines(densities, results))
    heads = [line for line in lines if line.startswith("## nll")]
    assert heads == [
        f"## nll, {unit}{bound}" for bound in ("", " (a bound)") for unit in ("nats", "bits/dim")
    ]
    (exact, bound) = (lines[lines.index(head) + 4].split(" | ") for head in heads[::2])
    values = [result.records[0]["value"] for result in results]
    assert exact[1].startswith(f"{(values[0] + values[1]) / 2:.4g} ± ") and exact[2] == "– |"
    assert bound[1] == "–" and bound[2].startswith(f"{(values[2] + values[3]) / 2:.4g} ± ")
    asked = dataclasses.replace(densities, metrics=("kid",), columns={"exact": {}}, seeds=1)
    assert {r["metric"] for r in list(play_all(asked, known, tmp_path, "cpu"))[-1][0].records} == {"kid"}


def test_other_settings_in_the_same_folder_are_refused(played):
    for change in ({"settings": {**EXPERIMENT.settings, "ema": 0.9}}, {"data": "binarized-digits"}):
        with pytest.raises(TrainingError, match="was made with other settings"):
            list(play_all(changed(**change), CARDS, played[0], "cpu"))


def changed(**changes):
    return Experiment(
        **{
            **vars(EXPERIMENT),
            "rows": {"narrow": {}},
            "columns": {"minimax": {"objective": "minimax"}},
            **changes,
        }
    )


def test_a_larger_budget_goes_on_and_other_measures_measure_again(tmp_path):
    def last(**changes):
        told = []
        (result,) = list(play_all(changed(**changes), CARDS, tmp_path, "cpu", told.append))[-1]
        return result, len(told)

    first, _ = last()
    longer, played = last(budget=12)
    assert played == 1 and longer.cell.steps == 6
    # went on, and did not begin anew
    assert len((tmp_path / "narrow--minimax--0" / "log.jsonl").read_text().splitlines()) == 6
    fewer, measured = last(budget=12, n=12)
    assert measured == 1 and {record["n"] for record in fewer.records} == {12}
    assert last(budget=12, n=12) == (fewer, 0)
    assert {record["features"].partition("@")[0] for record in fewer.records} == {"gist-v1"}
    with pytest.raises(TrainingError, match="was made with other settings"):
        last(budget=8, n=12)
    assert first.records != longer.records


def test_a_wrong_key_is_told_before_the_first_cell(tmp_path):
    wrong = Experiment(**{**vars(EXPERIMENT), "columns": {"a": {}, "b": {"widht": 4}}})
    with pytest.raises(UnknownNameError, match="did you mean 'width'"):
        next(play_all(wrong, CARDS, tmp_path, "cpu"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"row": 1}', '{"records": [], "collapsed": "", "found": [], "seconds": 1}']
)
def test_a_damaged_result_is_named(tmp_path, text):
    folder = tmp_path / next(cells(EXPERIMENT)).name
    folder.mkdir()
    (folder / "cell.json").write_text(text)
    with pytest.raises(StorageError, match="is damaged") as caught:
        next(play_all(EXPERIMENT, CARDS, tmp_path, "cpu"))
    assert "delete it" in caught.value.hint


class TestReport:
    def test_table_data_and_picture(self, played):
        folder, stages, _ = played
        report.write(EXPERIMENT, stages[-1], folder)
        text = (folder / "table.md").read_text("utf-8")
        kid = next(
            record
            for record in stages[-1][0].records
            if record["metric"] == "kid" and record["subject"] != "train"
        )
        assert (
            f"| narrow | {kid['value']:.4g} ± {kid['stderr']:.2g} | 1 of 1 collapsed |" in text.splitlines()
        )
        assert "4 of 4 cells, each of 8 turns" in text and "Training images reach" in text
        assert f"## {kid['label']}" in text and "| narrow | – | the run ended |" in text
        told = json.loads((folder / "table.json").read_text())
        assert [(cell["row"], cell["column"]) for cell in told["cells"]] == [
            (cell.row, cell.column) for cell in cells(EXPERIMENT)
        ]

    def test_the_picture_has_every_cell_in_its_place(self, played):
        folder, stages, _ = played
        report.write(EXPERIMENT, stages[-1], folder)
        tile = Image.open(folder / "wide--minimax--0" / "samples.png").convert("RGB")
        whole = Image.open(folder / "samples.png")
        left, top = whole.width - 2 * (tile.width + report.GAP), whole.height - tile.height - report.GAP
        assert whole.crop((left, top, left + tile.width, top + tile.height)).tobytes() == tile.tobytes()
        blank = whole.crop((left + tile.width + report.GAP, top, whole.width - report.GAP, top + tile.height))
        assert blank.getcolors() == [(tile.width * tile.height, (0xDD, 0xDD, 0xDD))]  # the sad one

    def test_a_translator_is_shown_by_held_out_pictures_above_their_translations(self, tmp_path):
        """Not by pictures that are drawn by rule, as in a run's folder."""
        drawn = np.random.default_rng(0).integers(0, 256, (2, 120, 8, 8), dtype=np.uint8)
        np.savez(tmp_path / "two.npz", A=drawn[0], B=drawn[1])
        experiment = changed(
            data=f"unpaired:{tmp_path / 'two.npz'}",
            model="cycle",
            players=("all",),
            budget=2,
            split="test",
            columns={},
            metrics=("swd",),
            settings={},
        )
        known = {"cycle": told_toys.card(told_toys.Cycle)}
        (results,) = [*play_all(experiment, known, tmp_path / "out", "cpu")]
        report.write(experiment, results, tmp_path / "out")
        folder = tmp_path / "out" / "narrow--all--0"
        weights = folder / read_rows(folder / "zoo.toml")["cycle"].sources[0].removeprefix("folder:")
        model = build_filled(known["cycle"], weights.read_bytes(), "the weights")
        test = open_data(experiment.data, image_shape=(1, 8, 8), split="test")
        tile = every_way(model, test, room.SHOWN).convert("RGB")
        whole = Image.open(tmp_path / "out" / "samples.png")
        left, top = whole.width - tile.width - report.GAP, whole.height - tile.height - report.GAP
        assert whole.crop((left, top, left + tile.width, top + tile.height)).tobytes() == tile.tobytes()

    @pytest.mark.parametrize(("greek", "spelled"), [("γ = 0.3", "gamma = 0.3"), ("λ_Ω", "lamda_omega")])
    def test_greek_letters_of_labels_are_spelled(self, tmp_path, greek, spelled):
        """The font of the picture draws a box for each."""
        for key in ("rows", "columns"):
            drawn = [report.picture(changed(**{key: {name: {}}}), tmp_path) for name in (greek, spelled)]
            assert drawn[0].tobytes() == drawn[1].tobytes()

    def test_the_spread_over_seeds(self, played):
        """Mean and standard error of 1, 2, 3 are 2 and 1/√3; a collapse is counted beside them."""
        three = Experiment(**{**vars(EXPERIMENT), "rows": {}, "columns": {}, "seeds": 4})
        of_seed = list(cells(three))
        record = {"label": "kid", "unit": "1", "kind": "sample", "stderr": 9.0}
        results = [
            room.Result(
                cell=cell,
                records=[
                    {**record, "subject": cell.name, "value": float(v)},
                    {**record, "subject": "train", "value": v / 8},
                    {**record, "subject": "mean target", "value": 2.0 * v},
                ],
                found=["mode collapse"],
            )
            for v, cell in enumerate(of_seed[:3], 1)
        ]
        results.append(room.Result(cell=of_seed[3], collapsed="it did"))
        lines = list(report.lines(three, results))
        assert "|  | 2 ± 0.58, 1 of 4 collapsed |" in lines
        # what needs no model is no part of a cell's value, and is the same for all of them
        assert "Training images reach 0.25." in lines and "Mean target reaches 4." in lines
        assert "|  | mode collapse (3 of 4), the run ended (1 of 4) |" in lines

    def test_the_lectures_curve(self, tmp_path):
        minimax, steep = saturation.curves()
        places = torch.tensor(minimax.x, dtype=torch.float64)
        torch.testing.assert_close(torch.tensor(minimax.y, dtype=torch.float64), (1 - places).log())
        torch.testing.assert_close(torch.tensor(steep.y, dtype=torch.float64), -places.log())
        rise = [abs((curve.y[1] - curve.y[0]) / (curve.x[1] - curve.x[0])) for curve in (minimax, steep)]
        assert rise[1] > 40 * rise[0]  # where G begins, D ≈ 0
        with Image.open(saturation.save(tmp_path / "a.png")) as figure:
            assert figure.width == 1200
