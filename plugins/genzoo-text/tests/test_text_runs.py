"""Whole runs on a folder of captioned pictures: trained, resumed, sampled, measured, refused."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from genzoo_text import CARDS
from genzoo_text.game import mismatched
from genzoo_text.options import Matching
from genzoo_text.words import NEUTRAL
from PIL import Image
from text_toys import TEXT, bed, painted, tiny

import genzoo
from genzoo import Recipe
from genzoo.cli.program import cli
from genzoo.data import open_data
from genzoo.data.flowers import templates
from genzoo.errors import CardError, DataError, TrainingError
from genzoo.training.hardware import choose
from genzoo.training.loop import Run

PLANTS = [("red", "rose"), ("yellow", "daffodil"), ("yellow", "rose"), ("red", "daffodil")] * 6
SETTINGS = {
    "image_size": "16x16",
    "width": 2,
    "discriminator_width": 2,
    "latent_size": 4,
    "word_size": 4,
    "text_size": 4,
    "batch_size": 8,
    "val_split": 0.4,
}
REAL = Path(os.environ.get("GENZOO_DATA", "")) / "flowers102_64.npz"


def garden(folder, captions=lambda colour, name: f"a {colour} {name}"):
    """Write pictures and their captions as metadata.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (colour, name) in enumerate(PLANTS):
        Image.fromarray(painted(colour, number=number).transpose(1, 2, 0)).save(folder / f"{number:02}.png")
        lines.append({"file_name": f"{number:02}.png", "text": captions(colour, name)})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("text")
    data = garden(home / "garden")
    return genzoo.train(
        "text2image-flowers", data=str(data), out=home / "run", steps=2, settings=SETTINGS, quiet=True
    )


def run(*arguments, code=0):
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def start(folder, options=None):
    chosen = Recipe(
        batch_size=8,
        steps=4,
        precision="fp32",
        ema=0.9,
        flip=True,
        game=options or Matching(augment=("cutout",)),
    )
    folder.mkdir(exist_ok=True)
    return Run(tiny(), chosen, replace_size(bed(PLANTS)), choose(chosen, "cpu"), folder)


def replace_size(images):
    return images.replace(pixels=np.ascontiguousarray(images.pixels[:, :, ::2, ::2]))


def finish(made):
    """Play to the end and return a digest of weights, averages and moments."""
    while made.step < 4:
        made.play_round()
    summary = hashlib.sha256()
    states = [module.state_dict() for _, module in sorted(made.parts.items())]
    kept = [made.optimisers[name].state_dict()["state"] for name in sorted(made.optimisers)]
    states += [slots[number] for slots in kept for number in sorted(slots)]
    for state in states:
        for key in sorted(state):
            summary.update(key.encode() + torch.as_tensor(state[key]).contiguous().numpy().tobytes())
    return summary.hexdigest()


class TestResumed:
    def test_it_ends_in_the_same_bits(self, tmp_path):
        whole = finish(start(tmp_path / "whole"))
        half = start(tmp_path / "half")
        half.play_round(), half.play_round(), half.save()
        again = start(tmp_path / "half")
        again.resume()
        assert again.step == 2 and finish(again) == whole
        other = start(tmp_path / "other", Matching(augment=("cutout",), interpolate=False))
        assert finish(other) != whole  # or equal digests would say nothing

    def test_another_way_to_play_is_another_run(self, tmp_path):
        first = start(tmp_path)
        first.play_round(), first.save()
        with pytest.raises(TrainingError, match="matching was True, is False"):
            start(tmp_path, Matching(augment=("cutout",), matching=False)).resume()


class TestOwnCaptions:
    def test_the_words_are_those_of_the_captions(self, trained):
        model = trained.model
        assert model.condition.vocabulary == ("a", "daffodil", "red", "rose", "yellow")
        assert model.sample(2, seed=0, condition="A yellow ROSE").shape == (2, 3, 16, 16)

    def test_it_is_sampled_at_the_command_line(self, trained, tmp_path):
        out = tmp_path / "rose.png"
        run("sample", trained.folder, "-n", 3, "--condition", "a red rose", "-o", out)
        assert out.stat().st_size > 100

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "there is no word in an empty text"),
            (
                "rose " * 10_000,
                "a text of 10,000 words is too long — this model takes a text of up to 3 words",
            ),
            ("a read rosse", "unknown words 'read' (did you mean 'red' or 'rose'?), 'rosse' (did you mean"),
        ],
    )
    def test_texts_that_cannot_be_drawn(self, trained, tmp_path, text, words):
        output = run("sample", trained.folder, "--condition", text, "-o", tmp_path / "no.png", code=1)
        assert words in output and "Traceback" not in output and not (tmp_path / "no.png").exists()

    def test_the_scores_of_a_run_say_whether_colours_are_heeded(self, trained):
        found = {record.metric: record for record in trained.records}
        assert {"kid", "colour", "colour-by-chance"} <= found.keys()
        assert found["colour"].better == "higher" and found["colour"].condition == "train captions"
        scores = json.loads((trained.folder / "scores.json").read_text("utf-8"))
        assert "colour" in json.dumps(scores)

    def test_the_ablation_is_settings(self, trained, tmp_path):
        ways = {"matching": False, "interpolate": False, "join": "concatenate"}
        data = trained.folder.parent / "garden"
        done = genzoo.train(
            "text2image-flowers",
            data=str(data),
            out=tmp_path,
            steps=1,
            settings={**SETTINGS, "val_split": 0.0, **ways},
            quiet=True,
        )
        assert done.finished and done.model.discriminator.joint is not None


class TestFoldersThatDoNotFit:
    def train(self, folder):
        return genzoo.train("text2image-flowers", data=str(folder), out=folder / "run", steps=1, quiet=True)

    def test_pictures_without_captions(self, tmp_path):
        folder = garden(tmp_path / "garden")
        (folder / "metadata.jsonl").unlink()
        with pytest.raises(DataError, match="has no captions, but this model takes a text"):
            self.train(folder)

    def test_pictures_some_of_which_have_no_caption(self, trained, tmp_path, capsys):
        folder = garden(tmp_path / "garden")
        lines = (folder / "metadata.jsonl").read_text("utf-8").splitlines()
        (folder / "metadata.jsonl").write_text("\n".join(lines[2:]), "utf-8")
        with pytest.raises(DataError) as error:
            self.train(folder)
        said = f"garden: 2 of {len(lines)} images have no caption: 00.png, 01.png"
        assert error.value.message == said
        assert error.value.hint == "add lines for them to metadata.jsonl, or remove these images"
        with pytest.raises(DataError, match=f"^{said} — add lines"):
            genzoo.evaluate(str(trained.folder), data=str(folder))
        assert "captions are not used" not in capsys.readouterr().err  # the error says it
        genzoo.data.open_data(folder, image_shape=(3, 8, 8))
        assert "captions are not used" in capsys.readouterr().err

    def test_captions_without_pictures(self, tmp_path):
        folder = garden(tmp_path / "garden")
        (folder / "07.png").unlink()
        with pytest.raises(DataError, match=r"07\.png"):
            self.train(folder)

    def test_no_picture_at_all(self, tmp_path):
        folder = garden(tmp_path / "garden")
        for picture in folder.glob("*.png"):
            picture.unlink()
        with pytest.raises(DataError):
            self.train(folder)

    def test_captions_without_a_word(self, tmp_path):
        with pytest.raises(CardError, match="no caption has a word"):
            self.train(garden(tmp_path / "garden", captions=lambda *plant: "12"))


@pytest.mark.skipif(not REAL.is_file(), reason="needs flowers102_64.npz in GENZOO_DATA")
def test_of_real_flowers_few_texts_that_are_shown_as_wrong_are_right(monkeypatch):
    """The figures of the README: of the texts of the next row 5.9 % describe the image, and of those that
    are chosen 0.2 %.
    """
    monkeypatch.setenv("GENZOO_DATA", str(REAL.parent))
    condition, images = CARDS[0].condition, open_data("flowers-unseen", split="train")
    said = torch.tensor([0.0, *(float(word not in NEUTRAL) for word in condition.vocabulary)])
    noise = np.random.default_rng(0)

    def describes(text, row):
        # its captions, and its name without a colour
        name = images.class_names[images.labels[row]]
        return text in images.captions[row] or text in templates("", name)

    naive = ours = total = 0
    for _ in range(400):
        rows = noise.choice(len(images), 64, replace=False)
        texts = [images.captions[row][noise.integers(len(images.captions[row]))] for row in rows]
        chosen, wrong = mismatched(torch.tensor([condition.encode(text) for text in texts]), said)
        assert wrong.all()
        total += len(rows)
        naive += sum(describes(texts[(i + 1) % 64], row) for i, row in enumerate(rows))
        ours += sum(describes(texts[chosen[i]], row) for i, row in enumerate(rows))
    assert naive / total == pytest.approx(0.059, abs=0.006) and ours / total == pytest.approx(
        0.002, abs=0.001
    )


def test_the_toys_are_texts_of_the_toy_vocabulary():
    assert all(TEXT.encode(f"a {colour} {name}") for colour, name in PLANTS)
    assert replace(TEXT, length=5).length == 5
