"""Picture files of any size, turned, grey, transparent, tiny and huge, through a translator."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image
from told_toys import Cycle, Paired, card

from genzoo.errors import ArgumentError, DataError
from genzoo.explore import translating
from genzoo.explore.translating import MOST, check_translator, pictures_in, read, round_trip, translated

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def made(kind, **config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return card(kind).build(**config).eval()


@pytest.fixture
def save(tmp_path):
    """Give `save(name, picture)`, which writes a file and returns its path."""

    def save(name, picture, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
        return path

    return save


class TestReading:
    def test_a_picture_keeps_its_size(self, save):
        found = read(made(Paired), save("a.png", NOISE), "photo")
        assert found.shape == (3, 40, 30) and found.dtype == torch.float32
        assert torch.equal((found * 255).round().byte(), torch.from_numpy(NOISE).permute(2, 0, 1))

    def test_a_turned_photograph_is_set_upright(self, save):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90° clockwise
        path = save("a.png", NOISE, exif=exif)
        found = read(made(Paired), path, "photo")
        assert torch.equal(
            (found * 255).round().byte(), torch.from_numpy(np.rot90(NOISE, -1).copy()).permute(2, 0, 1)
        )

    def test_transparency_becomes_white(self, save):
        clear = np.zeros((8, 8, 4), np.uint8)
        assert (read(made(Paired), save("a.png", clear), "photo") == 1).all()

    def test_channels_are_those_of_the_side_that_is_left(self, save):
        path = save("a.png", NOISE)
        assert read(made(Paired), path, "photo").shape[0] == 3
        assert read(made(Cycle), path, "zebra").shape[0] == 1
        grey = save("grey.png", NOISE[..., 0])
        found = read(made(Paired), grey, "photo")
        assert found.shape[0] == 3 and torch.equal(found[0], found[2])

    def test_fit_gives_the_shorter_side_of_the_training_images(self, save):
        model = made(Paired)
        assert read(model, save("a.png", NOISE), "photo", fit=True).shape == (3, 11, 8)
        assert read(model, save("b.png", NOISE[:2, :1]), "photo", fit=True).shape == (3, 16, 8)

    def test_a_model_of_one_size_gets_the_middle(self, save):
        rigid = made(Paired)
        rigid.multiple = 0
        assert read(rigid, save("a.png", NOISE), "photo").shape == (3, 8, 8)

    def test_a_large_one_is_refused_before_it_is_decoded_and_fit_takes_it(self, save, monkeypatch):
        assert MOST == 4_194_304
        monkeypatch.setattr(translating, "MOST", 1000)
        path = save("a.png", NOISE)
        with pytest.raises(
            DataError, match=r"too large \(30x40, more than 1,000 pixels\) — --fit resizes it"
        ):
            read(made(Paired), path, "photo")
        assert read(made(Paired), path, "photo", fit=True).shape == (3, 11, 8)

    def test_a_line_cannot_be_fitted(self, save, monkeypatch):
        monkeypatch.setattr(translating, "MOST", 10_000)
        path = save("a.png", Image.new("RGB", (3000, 1)))
        with pytest.raises(
            DataError, match="3000x1 is too narrow to be resized — leave out --fit, or crop it"
        ):
            read(made(Paired), path, "photo", fit=True)
        assert read(made(Paired), path, "photo").shape == (3, 1, 3000)

    @pytest.mark.parametrize("fit", [False, True])
    def test_what_is_too_large_to_be_decoded_cannot_be_resized_either(self, save, monkeypatch, fit):
        monkeypatch.setattr("genzoo.data.decode.MOST_PIXELS", 1000)
        with pytest.raises(
            DataError, match=r"too large \(more than [0-9,]+ pixels\) — make it smaller first"
        ):
            read(made(Paired), save("a.png", NOISE), "photo", fit=fit)

    @pytest.mark.parametrize("kept", [20, 600])
    def test_one_that_is_cut_off_is_damaged_whatever_its_name(self, save, kept):
        path = save("x.png", NOISE)
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(
            DataError, match=r"x\.png .*: corrupt — it is damaged or no picture: save it again as PNG or JPEG"
        ):
            read(made(Paired), path, "photo")

    def test_what_is_no_picture_says_so(self, tmp_path):
        (tmp_path / "x.png").write_text("text")
        with pytest.raises(DataError, match=r"x\.png cannot be translated: corrupt"):
            read(made(Paired), tmp_path / "x.png", "photo")
        (tmp_path / "x.txt").write_text("text")
        with pytest.raises(DataError, match=r"x\.txt .*: not an image — use a PNG or a JPEG"):
            read(made(Paired), tmp_path / "x.txt", "photo")
        with pytest.raises(DataError, match="unreadable — check that the file is there"):
            read(made(Paired), tmp_path / "missing.png", "photo")


class TestFolders:
    def test_names_are_kept_and_equal_ones_keep_their_ending(self, save, tmp_path):
        for name in ("b.jpg", "a.png", "in/c.PNG", "d.png", "d.jpg"):
            save(name, NOISE)
        (tmp_path / "notes.txt").write_text("no picture")
        found = {str(path.relative_to(tmp_path)): kept for path, kept in pictures_in(tmp_path)}
        assert found == {
            "a.png": "a.png",
            "b.jpg": "b.png",
            "d.jpg": "d.jpg.png",
            "d.png": "d.png.png",
            os.path.join("in", "c.PNG"): "in/c.png",
        }

    def test_what_was_written_there_before_is_left_out(self, save, tmp_path):
        save("a.png", NOISE), save("out/a.png", NOISE)
        assert len(pictures_in(tmp_path)) == 2
        assert [kept for _, kept in pictures_in(tmp_path, tmp_path / "out")] == ["a.png"]

    def test_a_folder_without_pictures_says_so(self, tmp_path):
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(DataError, match="holds no pictures"):
            pictures_in(tmp_path)


class TestTranslation:
    @pytest.mark.parametrize("size", [(8, 8), (9, 8), (7, 13), (1, 1), (1, 30)])
    def test_any_size_is_padded_and_cut_back(self, size):
        model, picture = made(Paired, dropout=0.0), torch.rand(3, *size)
        found = translated(model, picture, "photo")
        assert found.shape == (1, *size)
        even = [side + side % 2 for side in size]
        padded = torch.empty(1, 3, *even)
        for row in range(even[0]):
            for column in range(even[1]):
                padded[0, :, row, column] = picture[:, min(row, size[0] - 1), min(column, size[1] - 1)]
        assert torch.equal(found, model.translate(padded)[0, :, : size[0], : size[1]])

    def test_it_is_the_same_alone_and_in_a_folder(self):
        model, pictures = made(Paired), torch.rand(2, 3, 9, 9)
        assert torch.equal(
            translated(model, pictures[1], "photo", 3), translated(model, pictures[1], "photo", 3)
        )
        assert not torch.equal(
            translated(model, pictures[1], "photo", 3), translated(model, pictures[1], "photo", 4)
        )

    def test_the_round_trip_has_three_pictures_and_an_error(self):
        model, picture = made(Cycle), torch.rand(1, 9, 7)
        found = round_trip(model, picture, "zebra", cycle=True)
        there = translated(model, picture, "zebra")
        back = translated(model, there, "horse")
        assert torch.equal(found.translated, there) and torch.equal(found.back, back)
        assert found.error == pytest.approx(float((back - picture).abs().mean()))
        drawn = found.drawn()
        assert drawn.height == 9 and drawn.width == 3 * 7 + 2 * 8
        assert np.array_equal(np.asarray(drawn)[:, :7, 0], (picture[0] * 255).round().byte().numpy())

    def test_without_it_the_translation_is_drawn_alone(self):
        found = round_trip(made(Cycle), torch.rand(1, 9, 7), "horse")
        assert found.drawn().size == (7, 9) and found.error != found.error

    def test_there_is_no_way_back_in_one_direction(self):
        with pytest.raises(ArgumentError, match="one direction"):
            round_trip(made(Paired), torch.rand(3, 8, 8), "photo", cycle=True)

    def test_other_models_are_refused(self):
        import toys

        with pytest.raises(ArgumentError, match="ToyGAN does not translate pictures"):
            check_translator(toys.gan())
