"""`genzoo traverse`, `manifold`, `arithmetic`, `reconstruct`, `neighbours`, `features`: what is drawn,
printed, written and refused."""

import json
import os
import re
from pathlib import Path

import latent_toys
import numpy as np
import pytest
import torch
import toys
from latent_toys import Codes, Faces
from PIL import Image
from safetensors.numpy import load
from shell import in_process, lay, one_line, publish

from genzoo.data import open_data
from genzoo.evaluation.gist import FEATURES
from genzoo.evaluation.neighbours import nearest_images
from genzoo.evaluation.probe import fit_probe
from genzoo.explore.concepts import of_seeds
from genzoo.explore.features import features
from genzoo.explore.figure import beside
from genzoo.explore.interpolation import interpolate
from genzoo.explore.latents import read_image
from genzoo.explore.manifold import manifold
from genzoo.explore.traversal import traverse
from genzoo.files import sha256_of
from genzoo.images import grid, save_image

BOX = """
import genzoo
from genzoo import Card, Family, Recipe
def card(name, family, model, **facts):
    recipe = Recipe(data="digits", steps=2, batch_size=16, precision="fp32", flip=name == "flipped")
    return Card(name=name, family=family, model=model, recipe=recipe, summary="A toy", **facts)
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [
        card("plane", Family.APPROXIMATE, "latent_toys:Stripes"),
        card("four", Family.APPROXIMATE, "latent_toys:Stripes", config={"latent_size": 4}),
        card("codes", Family.AUTOENCODER, "latent_toys:Codes"),
        card("pair", Family.IMPLICIT, "toys:ToyGAN"),
        card("faces", Family.IMPLICIT, "latent_toys:Faces"),
        card("flipped", Family.IMPLICIT, "toys:ToyGAN"),
        card("coin", Family.TRACTABLE, "toys:Bernoulli"),
        card("fresh", Family.IMPLICIT, "toys:ToyGAN"),
    ]
def people(split):
    from latent_toys import people
    return people(split)
@genzoo.hookimpl
def genzoo_datasets():
    return {"people": people}
"""
MODELS = {
    "plane": latent_toys.model,
    "four": lambda: latent_toys.model(latent_size=4),
    "codes": lambda: latent_toys.model(Codes),
    "pair": toys.gan,
    "faces": lambda: latent_toys.model(Faces),
    "flipped": toys.gan,
    "coin": lambda: toys.Bernoulli(toys.ToyConfig()),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with a plugin of toys that have a z, or not, and one with their weights."""
    packages, hub_folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("published")
    lay(packages, "latent-box", BOX)
    for name, make in MODELS.items():
        publish(hub_folder, name, make(), "latent-box")
    return packages, hub_folder


@pytest.fixture
def run(home, monkeypatch, tmp_path):
    packages, hub_folder = home
    with in_process(monkeypatch, tmp_path, packages, "latent-box", hub_folder) as run:
        yield run


@pytest.fixture
def photo(tmp_path):
    """Give the path of an image file of 8x8 pixels, light above and dark below."""
    path = tmp_path / "photo.png"
    save_image(latent_toys.model().decode(torch.tensor([[1.0, -0.5]]))[0], path)
    return path


def pixels(path):
    return np.asarray(Image.open(path))


def drawn(images, columns, **options):
    return np.asarray(grid(images, columns, **options))


class TestTraverse:
    def test_each_row_is_a_latent_that_grows(self, run):
        done = run(
            "traverse",
            "four",
            "--dimension",
            "3,0",
            "--dimension",
            1,
            "--span",
            3,
            "-n",
            5,
            "--seed",
            7,
            "-o",
            "x.png",
        )
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        told = (
            "x.png: latents 3, 0, 1 of four, from -3 to 3 in 5 steps, starting from 1 point of the "
            "prior, seed 7\n"
        )
        assert done.stderr == told
        model = latent_toys.model(latent_size=4)
        images = traverse(model, [3, 0, 1], 5, model.sample_latents(1, seed=7), span=3)
        assert np.array_equal(pixels("x.png"), drawn(images.flatten(0, 1), 5))

    def test_unasked_all_latents_go_through_the_prior(self, run):
        done = run("traverse", "plane", "--seed", 1)
        words = "latents 0, 1 of plane, from the 5 % to the 95 % quantile of the prior in 9 steps"
        assert done.stderr == f"plane-traverse.png: {words}, starting from 1 point of the prior, seed 1\n"
        model = latent_toys.model()
        assert np.array_equal(
            pixels("plane-traverse.png"),
            drawn(traverse(model, z=model.sample_latents(1, seed=1)).flatten(0, 1), 9),
        )

    def test_several_points_of_departure(self, run):
        done = run("traverse", "pair", "--dimension", 2, "--starts", 2, "--seed", 3, "-o", "x.png")
        assert (
            "latent 2 of pair, " in done.stderr
            and "starting from 2 points of the prior, seed 3\n" in done.stderr
        )
        model = toys.gan().eval()
        images = torch.cat([traverse(model, 2, 9, z) for z in model.sample_latents(2, seed=3)])
        assert np.array_equal(pixels("x.png"), drawn(images.flatten(0, 1), 9))

    def test_from_an_image(self, run, photo):
        done = run("traverse", "plane", "--from", photo, "--dimension", 1, "-n", 3, "-o", "x.png")
        assert (
            "latent 1 of plane, from the 5 % to the 95 % quantile of the prior in 3 steps, starting "
            f"from the code of {photo}"
        ) in done.stderr
        expected = traverse(latent_toys.model(), 1, 3, torch.tensor([1.0, 0.0]))
        assert np.abs(pixels("x.png").astype(int) - drawn(expected.flatten(0, 1), 3)).max() <= 1


class TestManifold:
    def test_the_first_latent_grows_to_the_right_and_the_second_upwards(self, run):
        done = run("manifold", "plane", "-n", 4, "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == (
            "x.png: the two latents of plane, each from the 5 % to the 95 % quantile of the prior in "
            "4 steps\n"
        )
        assert np.array_equal(
            pixels("x.png"), drawn(manifold(latent_toys.model(), 4).flatten(0, 1), 4, padding=0)
        )
        shares = np.round(np.linspace(0.05, 0.95, 4) * 255)
        upper, lower = pixels("x.png")[16::64, 32::64], pixels("x.png")[48::64, 32::64]
        assert np.abs(upper - shares).max() <= 1 and np.abs(lower - shares[::-1, None]).max() <= 1


class TestInterpolate:
    def test_between_two_images_of_ones_own(self, run, photo, tmp_path):
        other = tmp_path / "other.png"
        save_image(torch.full((1, 8, 8), 0.25), other)
        done = run("interpolate", "plane", "--from", photo, "--to", other, "--steps", 5, "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert (
            done.stderr
            == f"x.png: a walk of 5 steps through the latent space of plane from {photo} to {other}\n"
        )
        model = latent_toys.model()
        ends = torch.cat([read_image(file, (1, 8, 8)) for file in (photo, other)])
        walk = interpolate(model, steps=5, ends=model.encode(ends).mean)[0]
        assert np.array_equal(
            pixels("x.png"), np.asarray(beside(grid(ends[:1]), grid(walk, 5), grid(ends[1:])))
        )

    def test_an_autoencoder_walks_between_images_but_not_between_samples(self, run, photo):
        assert run("interpolate", "codes", "--from", photo, "--to", photo).exit_code == 0
        done = run("interpolate", "codes")
        assert done.exit_code == 1 and one_line(
            done.stderr, "codes is an autoencoder: it has no distribution of codes"
        )


class TestArithmetic:
    def test_concepts_of_labelled_images(self, run):
        smile, grave, man = "Smiling,not-Male", "not-Smiling,not-Male", "not-Smiling,Male"
        args = (
            "--plus",
            smile,
            "--minus",
            grave,
            "--plus",
            man,
            "--data",
            "people",
            "--seed",
            4,
            "-o",
            "x.png",
        )
        done = run("arithmetic", "plane", *args)
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert done.stderr.endswith(" by plane, with noise of ± 0.25, and the same sum over pixels; seed 4\n")
        assert (
            done.stderr.index(f": {smile} (")
            < done.stderr.index(f" - {grave} (")
            < done.stderr.index(f" + {man} (")
        )
        picture = pixels("x.png")
        column, block = 68 + 8 + 19 + 8, 3 * (68 + 8 + 19 + 8)
        means = [picture[-68:, place * column :][:68, :68] for place in range(3)]
        light = [(int(mean[18, 34]) > 128, int(mean[50, 34]) > 128) for mean in means]
        assert light == [(True, False), (False, False), (False, True)]  # above: smiles, below: a man
        middle = picture[-200:, block:][66:134, 66:134]
        assert middle[18, 34] > 128 and middle[50, 34] > 128  # a smiling man

    def test_concepts_of_seeds(self, run):
        args = (
            "--plus-seeds",
            "3,14,7:5",
            "--minus-seeds",
            "1,2,3",
            "--noise",
            0,
            "--seed",
            0,
            "-o",
            "x.png",
        )
        done = run("arithmetic", "pair", *args)
        assert done.stderr == (
            "x.png: seeds 3,14,7:5 - seeds 1,2,3 by pair, with noise of ± 0, and the same sum over "
            "pixels; seed 0\n"
        )
        model = toys.gan().eval()
        plus, minus = of_seeds(model, [3, 14, (7, 5)]), of_seeds(model, [1, 2, 3])
        z, block = plus.mean(0) - minus.mean(0), 2 * (68 + 8 + 19 + 8)
        for left, group in ((0, plus), (block // 2, minus)):
            column = pixels("x.png")[:, left : left + 68]
            assert np.array_equal(column[:200], drawn(model.decode(group), 1))
            assert np.array_equal(column[208:], drawn(model.decode(group.mean(0)[None]), 1))
        assert np.array_equal(
            pixels("x.png")[-200:, block : block + 200], drawn(model.decode(z.expand(9, -1)), 3)
        )

    def test_labels(self, run):
        done = run("arithmetic", "codes", "--plus", 7, "--minus", "not-7", "--plus", 1, "--seed", 1)
        assert done.stderr.startswith(
            "codes-arithmetic.png: 7 (100 images) - not-7 (100 images) + 1 (100 images) by codes"
        ), done.output
        assert ": 7 (5 images) by codes" in run("arithmetic", "codes", "--plus", 7, "-n", 5).stderr

    def test_concepts_of_a_gan_are_samples_that_its_discriminator_takes_for_such(self, run):
        smile, grave, man = "Smiling,not-Male", "not-Smiling,not-Male", "not-Smiling,Male"
        args = (
            "--plus",
            smile,
            "--minus",
            grave,
            "--plus",
            man,
            "--data",
            "people",
            "--seed",
            0,
            "--noise",
            0,
        )
        done = run("arithmetic", "faces", *args, "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        line = done.stderr.splitlines()[-1]
        seeds = re.findall(r"\(seeds ([\d:,]+)\)", line)
        assert line == (
            f"x.png: {smile} (seeds {seeds[0]}) - {grave} (seeds {seeds[1]}) + {man} (seeds {seeds[2]}) "
            "by faces, "
            "with noise of ± 0, and the same sum over pixels; seed 0"
        )
        middle = pixels("x.png")[-200:, 3 * 103 :][66:134, 66:134]
        assert middle[18, 34] > 128 and middle[50, 34] > 128  # a smiling man
        chosen = [
            word
            for flag, group in zip(("--plus", "--minus", "--plus"), seeds, strict=True)
            for word in (f"{flag}-seeds", group)
        ]
        again = run("arithmetic", "faces", *chosen, "--seed", 0, "--noise", 0, "-o", "y.png")
        assert again.exit_code == 0 and np.array_equal(pixels("x.png"), pixels("y.png"))


class TestReconstruct:
    def test_originals_stand_above_reconstructions(self, run):
        done = run("reconstruct", "plane", "-n", 12, "--seed", 5, "-o", "x.png")
        assert done.exit_code == 0, done.output
        assert (
            done.stderr
            == "x.png: 12 held-out images of digits, each above its reconstruction by plane, seed 5\n"
        )
        picture = pixels("x.png")
        assert picture.shape == (2 * 134 + 8, 10 * 66 + 2)
        model, images = latent_toys.model(), open_data("digits", split="test").float()
        top, below = picture[2:66, 2:66][::8, ::8] / 255, picture[68:132, 2:66][::8, ::8] / 255
        assert (images[:, 0] - torch.from_numpy(top)).abs().amax((1, 2)).min() < 1e-6
        rebuilt = model.decode(model.encode(torch.from_numpy(top).float()[None, None]).mean)
        assert (rebuilt[0, 0] - torch.from_numpy(below)).abs().max() < 0.003
        assert (picture[142:, 134:] == 255).all() and (picture[144:208, 2:130] < 255).any()

    def test_the_error_is_a_record(self, run):
        done = run("reconstruct", "codes", "-n", 4, "--seed", 5, "--json", "-o", "x.png")
        (record,) = json.loads(done.stdout)
        facts = {"metric": "mse", "kind": "reconstruction", "n": 4, "subject": "codes"}
        facts |= {"data": "digits", "split": "test", "transform": "8-bit"}
        assert facts.items() <= record.items() and record["stderr"] > 0
        picture = pixels("x.png")[:, 2:] / 255.0
        above, below = (picture[top : top + 64].reshape(64, 4, 66)[:, :, :64] for top in (2, 68))
        assert record["value"] == pytest.approx(np.square(above - below).mean(), rel=0.01)
        words = run("reconstruct", "codes", "-n", 4, "--seed", 5).stdout
        assert (
            words.startswith(f"mse of codes: {record['value']:.4g} ± ")
            and "(n = 4, digits test, 8-bit)" in words
        )
        assert json.loads(run("reconstruct", "codes", "-n", 1, "--json").stdout)[0]["stderr"] is None


class TestNeighbours:
    def test_each_row_is_a_sample_and_its_nearest_training_images(self, run):
        done = run("neighbours", "pair", "-n", 3, "--nearest", 2, "--seed", 6, "-o", "x.png")
        assert done.exit_code == 0, done.output
        model, train = toys.gan(), open_data("digits", split="train")
        samples = model.sample(3, seed=6)
        found = nearest_images(samples, train, k=2)
        nearest = torch.from_numpy(train[found.indices.flatten()])
        assert np.array_equal(pixels("x.png"), np.asarray(beside(grid(samples, 1), grid(nearest, 2))))
        header, *rows = done.stdout.splitlines()
        assert header.split() == ["SAMPLE", "NEAREST"]
        index, distance = found.indices[1].tolist(), found.distances[1].tolist()
        assert (
            rows[1].split("  ", 1)[1].strip()
            == f"{index[0]} at {distance[0]:.4g}, {index[1]} at {distance[1]:.4g}"
        )
        what = (
            f"3 samples of pair, seed 6, beside the nearest of {len(train):,} training images of "
            "digits in pixels"
        )
        assert done.stderr.startswith(f"x.png: {what}; 3 held-out images are ") and done.stderr.endswith(
            " from their nearest (median)\n"
        )

    def test_the_usual_distance_is_that_of_held_out_images(self, run):
        entry = json.loads(
            run("neighbours", "pair", "-n", 187, "--nearest", 1, "--seed", 6, "--json").stdout
        )[0]
        train, test = (open_data("digits", split=split) for split in ("train", "test"))
        assert entry["held_out_distance"] == pytest.approx(
            float(nearest_images(test, train).distances.median())
        )

    @pytest.mark.parametrize(
        ("name", "space", "words"),
        [
            ("pair", "feature", FEATURES),
            ("pair", "model", "hidden layers of the discriminator"),
            ("plane", "model", "means of q(z|x)"),
        ],
    )
    def test_the_space_is_named(self, run, name, space, words):
        done = run("neighbours", name, "-n", 2, "--nearest", 1, "--space", space, "--seed", 6, "--json")
        assert done.exit_code == 0, done.output
        assert f" in {words}; " in done.stderr
        model, train = MODELS[name](), open_data("digits", split="train")
        where = "features" if space == "feature" else lambda images: features(model, images)
        found = nearest_images(model.sample(2, seed=6), train, space=where)
        entries = json.loads(done.stdout)
        assert [entry["sample"] for entry in entries] == [0, 1]
        for entry, index, distance in zip(
            entries, found.indices[:, 0].tolist(), found.distances[:, 0].tolist(), strict=True
        ):
            (near,) = entry["neighbours"]
            assert near == {"index": index, "distance": pytest.approx(distance, rel=1e-6), "mirrored": False}
            assert (entry["space"], entry["data"], entry["n_train"]) == (words, "digits", len(train))

    def test_a_model_that_was_trained_with_flips_is_asked_for_mirror_images_too(self, run):
        done = run("neighbours", "flipped", "-n", 6, "--nearest", 2, "--seed", 1, "-o", "x.png")
        assert "training images of digits and their mirror images in pixels" in done.stderr
        samples, train = toys.gan().sample(6, seed=1), open_data("digits", split="train")
        found = nearest_images(samples, train, k=2, mirrored=True)
        assert found.mirrored.any() and not found.mirrored.all() and " mirrored at " in done.stdout
        shown = [
            train.float([index])[0].flip(2) if flip else train.float([index])[0]
            for index, flip in zip(found.indices.flatten(), found.mirrored.flatten(), strict=True)
        ]
        assert np.array_equal(
            pixels("x.png"), np.asarray(beside(grid(samples, 1), grid(torch.stack(shown), 2)))
        )


class TestFeatures:
    @pytest.mark.parametrize("ending", ["npz", "safetensors"])
    def test_the_file_holds_plain_arrays(self, run, ending):
        done = run("features", "plane", "-o", f"x.{ending}")
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert (
            done.stderr
            == f"x.{ending}: 1,797 x 2 means of q(z|x) of plane, digits, 187 of them held out, with labels\n"
        )
        with open(f"x.{ending}", "rb") as file:
            arrays = dict(np.load(file, allow_pickle=False)) if ending == "npz" else load(file.read())
        sides = [open_data("digits", split=split) for split in ("train", "test")]
        assert {key: str(array.dtype) for key, array in arrays.items()} == {
            "features": "float32",
            "held_out": "bool",
            "labels": "int64",
        }
        for held_out, side in enumerate(sides):
            rows = arrays["held_out"] == held_out
            assert np.array_equal(arrays["features"][rows], features(latent_toys.model(), side).numpy())
            assert np.array_equal(arrays["labels"][rows], side.labels)

    def test_the_same_weights_give_the_same_file(self, run):
        names = [run("features", "pair", "-n", 20).stderr.partition(":")[0] for _ in range(2)]
        assert names == ["pair-features.npz", "pair-features-2.npz"]
        assert len({sha256_of(Path(name)) for name in names}) == 1
        with np.load(names[0], allow_pickle=False) as arrays:
            assert arrays["features"].shape == (40, 64) and arrays["held_out"].sum() == 20

    def test_some_images_are_not_the_first_ones(self, run):
        """Some sets are sorted by class."""
        run("features", "plane", "-n", 30)
        with np.load("plane-features.npz", allow_pickle=False) as arrays:
            found, labels = arrays["features"][~arrays["held_out"]], arrays["labels"][~arrays["held_out"]]
        train = open_data("digits", split="train")
        whole = features(latent_toys.model(), train).numpy()
        places = [int((whole == row).all(1).nonzero()[0][0]) for row in found]
        assert places == sorted(places) and places[-1] > 1000 and np.array_equal(train.labels[places], labels)

    def test_the_probe_is_a_record(self, run):
        done = run("features", "four", "--probe", "-o", "x.npz", "--json")
        told = json.loads(done.stdout)
        about = {
            "name": "four",
            "file": "x.npz",
            "features": "means of q(z|x)",
            "shape": [1797, 4],
            "data": "digits",
            "labels": True,
        }
        assert about.items() <= told.items()
        (record,) = told["records"]
        train, test = (open_data("digits", split=split) for split in ("train", "test"))
        model = latent_toys.model(latent_size=4)
        commonest = np.bincount(train.labels).argmax()
        assert (
            f"predicting the most common label has accuracy {(test.labels == commonest).mean():.3g}\n"
            in done.stderr
        )
        probe = fit_probe(features(model, train), train.labels)
        right = np.asarray(probe.predict(features(model, test))) == test.labels
        assert record["value"] == pytest.approx(right.mean()) and 0.2 < record["value"] < 0.9
        assert record["stderr"] == pytest.approx(right.std() / np.sqrt(len(test)))
        facts = {
            "label": "accuracy[means of q(z|x)]",
            "n": 187,
            "n_reference": 1610,
            "better": "higher",
            "split": "test",
            "subject": "four",
        }
        assert facts.items() <= record.items()
        words = run("features", "four", "--probe").stdout
        assert (
            words.startswith(f"accuracy[means of q(z|x)] of four: {record['value']:.4g} ± ")
            and "n = 187 against 1,610" in words
        )

    def test_a_long_fit_is_announced(self, run, monkeypatch):
        monkeypatch.setattr("genzoo.cli.features.LONG", 30)
        first, _ = run("features", "plane", "--probe", "-n", 20).stderr.splitlines()
        assert first == "fitting a linear classifier to 20 x 2 features; this takes a while"

    def test_data_without_labels(self, run):
        done = run("features", "plane", "--data", "people")
        assert "with labels" not in done.stderr
        with np.load("plane-features.npz", allow_pickle=False) as arrays:
            assert sorted(arrays) == ["features", "held_out"]


NO_Z = "Bernoulli has no latent z — a GAN or a VAE has one"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (
            ("traverse", "plane", "--dimension", 2),
            1,
            ("no latent dimension 2: the model has 2, counted from 0", "between 0 and 1"),
        ),
        (("traverse", "plane", "--dimension", "-1"), 1, ("no latent dimension -1", "the model has 2")),
        (("traverse", "plane", "--dimension", "smile"), 2, ("'smile' is not a whole number", "0,3")),
        (("traverse", "plane", "--dimension", "0,"), 2, ("'' is not a whole number",)),
        (("traverse", "plane", "--dimension", "9" * 30), 2, ("is not a whole number",)),
        (("traverse", "plane", "--span", 0), 1, ("span must be a number above 0",)),
        (("traverse", "plane", "--span", "nan"), 1, ("span must be a number above 0", "not nan")),
        (("traverse", "plane", "-n", 1), 2, ("'-n'",)),
        (("traverse", "plane", "--starts", 10**6), 1, ("at most 10,000 images",)),
        (("traverse", "plane", "--from", "absent.png"), 2, ("'absent.png' does not exist",)),
        (("traverse", "plane", "--from", "PHOTO", "--starts", 2), 2, ("leave out --seed and --starts",)),
        (("traverse", "pair", "--from", "PHOTO"), 1, ("ToyGAN decodes z but cannot encode images",)),
        (("traverse", "codes"), 1, ("codes is an autoencoder: it has no distribution of codes",)),
        (("traverse", "coin"), 1, (NO_Z,)),
        (
            ("manifold", "four"),
            1,
            ("a manifold needs two latents, but Stripes has 4", "genzoo traverse", "genzoo interpolate"),
        ),
        (("manifold", "pair"), 1, ("two latents, but ToyGAN has 4",)),
        (("manifold", "coin"), 1, (NO_Z,)),
        (("manifold", "codes"), 1, ("codes is an autoencoder",)),
        (("manifold", "plane", "-n", 1), 2, ("'-n'",)),
        (("manifold", "plane", "-n", 101), 1, ("at most 10,000 images",)),
        (("interpolate", "plane", "--from", "PHOTO"), 2, ("--from and --to must be given together",)),
        (
            ("interpolate", "plane", "--from", "PHOTO", "--to", "PHOTO", "-n", 2),
            2,
            ("leave out -n and --seed",),
        ),
        (
            ("interpolate", "pair", "--from", "PHOTO", "--to", "PHOTO"),
            1,
            ("cannot encode images", "leave out --from and --to"),
        ),
        (
            ("interpolate", "plane", "--from", "BROKEN", "--to", "PHOTO"),
            1,
            ("broken.png cannot be used: corrupt",),
        ),
        (("interpolate", "coin"), 1, (NO_Z,)),
        (("arithmetic", "plane"), 2, ("nothing to add; give", "--plus-seeds 3,14,15")),
        (("arithmetic", "plane", "--minus-seeds", "1,2,3"), 2, ("nothing to add; give",)),
        (
            ("arithmetic", "pair", "--plus-seeds", "7:2"),
            2,
            ("--plus-seeds 7:2 names one sample; give at least 3",),
        ),
        (
            ("arithmetic", "pair", "--plus-seeds", "1,2,3", "--minus-seeds", "1,2"),
            2,
            ("--minus-seeds 1,2 names 2 samples; give at least 3",),
        ),
        (("arithmetic", "pair", "--plus-seeds", "1,2,x"), 2, ("'x' is not a seed", "7:0,7:12")),
        (("arithmetic", "pair", "--plus-seeds", ""), 2, ("'' is not a seed",)),
        (("arithmetic", "pair", "--plus-seeds", f"1,2,{2**63}"), 2, ("is not a seed",)),
        (
            ("arithmetic", "faces", "--plus", "Smiling", "--data", "nowhere/"),
            1,
            ("no such file or folder: 'nowhere/'",),
        ),
        (
            ("arithmetic", "faces", "--plus", "Smiling"),
            1,
            ("digits has labels but no attributes", "a whole number"),
        ),
        (("arithmetic", "coin", "--plus-seeds", "1,2,3"), 1, (NO_Z,)),
        (("arithmetic", "coin", "--plus", 7), 1, (NO_Z,)),
        (("arithmetic", "plane", "--plus", 12), 1, ("the concept '12' in digits is empty", "at least 3")),
        (
            ("arithmetic", "plane", "--plus", "Smiling"),
            1,
            ("digits has labels but no attributes", "a whole number"),
        ),
        (
            ("arithmetic", "plane", "--plus", "Female", "--data", "people"),
            1,
            ("no attribute 'Female'", "not-NAME", "Smiling, Male"),
        ),
        (
            ("arithmetic", "plane", "--plus", "Male", "--data", "nowhere/"),
            1,
            ("no such file or folder: 'nowhere/'",),
        ),
        (("arithmetic", "plane", "--plus", 7, "--noise", -1), 2, ("'--noise'",)),
        (("arithmetic", "plane", "--plus", 7, "-n", 2), 2, ("'-n'", "x>=3")),
        (("reconstruct", "pair"), 1, ("cannot encode images", "use an autoencoder or a VAE")),
        (("reconstruct", "coin"), 1, (NO_Z,)),
        (("reconstruct", "plane", "-n", 0), 2, ("'-n'",)),
        (("neighbours", "codes"), 1, ("codes is an autoencoder",)),
        (("neighbours", "pair", "--space", "nose"), 2, ("'nose'", "pixel")),
        (("neighbours", "pair", "--nearest", 101), 2, ("'--nearest'",)),
        (
            ("neighbours", "coin", "--space", "model"),
            1,
            ("Bernoulli has no features: it has neither an encoder nor a discriminator",),
        ),
        (("features", "coin"), 1, ("Bernoulli has no features",)),
        (("features", "plane", "-o", "x.pkl"), 2, (".npz or .safetensors", "'.pkl'", "x.npz")),
        (("features", "plane", "-o", "x"), 2, ("'a folder'",)),
        (("features", "plane", "-o", "absent/x.npz"), 1, ("absent/x.npz", "no such file or folder")),
        (
            ("features", "plane", "--probe", "--data", "people"),
            1,
            ("people has no labels for --probe", "leave out --probe"),
        ),
    ],
    ids=lambda value: " ".join(map(str, value))[:60] if isinstance(value, tuple) else str(value),
)
def test_what_cannot_be_done_is_one_line(run, photo, tmp_path, args, code, words):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = {"PHOTO": photo, "BROKEN": tmp_path / "broken.png"}
    done = run(*(files.get(arg, arg) for arg in args))
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    assert one_line(done.stderr, *words)
    assert os.listdir() == []


COMMANDS = ("traverse", "manifold", "arithmetic", "reconstruct", "neighbours", "features")


@pytest.mark.parametrize("command", COMMANDS)
def test_what_every_command_refuses(run, command):
    needed = ("--plus-seeds", "1,2,3") if command == "arithmetic" else ()
    for name, words in (
        ("fresh", "'fresh' has no published weights"),
        ("plain", "no model is called 'plain'; did you mean 'plane'?"),
    ):
        done = run(command, name, *needed)
        assert done.exit_code == 1 and one_line(done.stderr, words)
    done = run(command, "plane", *needed, "-o", "x.gif")
    assert done.exit_code == 2 and one_line(
        done.stderr, "'.gif'", f"try -o x.{'npz' if command == 'features' else 'png'}"
    )
    done = run(command, "plane", *needed, "--device", "abacus")
    assert done.exit_code == 1 and one_line(done.stderr, "device 'abacus'")
    assert os.listdir() == []


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_no_picture_is_overwritten_unasked(run, command):
    needed = ("--plus-seeds", "1,2,3") if command == "arithmetic" else ()
    for number in ("", "-2"):
        done = run(command, "plane", *needed, "-n", 3)
        assert done.stderr.startswith(f"plane-{command}{number}.png: ")
    assert sorted(os.listdir()) == [f"plane-{command}-2.png", f"plane-{command}.png"]


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_the_same_seed_gives_the_same_picture(run, args):
    for out in ("a.png", "b.png"):
        for command in ("neighbours", "reconstruct"):
            assert run(command, "plane", "-n", 2, "--seed", 3, "-o", f"{command}-{out}", *args).exit_code == 0
    assert np.array_equal(pixels("neighbours-a.png"), pixels("neighbours-b.png"))
    assert np.array_equal(pixels("reconstruct-a.png"), pixels("reconstruct-b.png"))


def test_help_and_wrong_usage_know_no_torch(site):
    """All in one process of its own: whoever mistypes an option is told at once."""
    wrong = (
        "traverse toy-gan --dimension x",
        "traverse toy-gan -n 1",
        "manifold toy-gan -o x.gif",
        "arithmetic toy-gan",
        "arithmetic toy-gan --plus-seeds 1,x",
        "interpolate toy-gan --to x",
        "reconstruct toy-gan -n 0",
        "neighbours toy-gan --space nose",
        "features toy-gan -o x.pkl",
    )
    code = f"""
import sys
from genzoo.cli import arithmetic
from genzoo.cli.program import cli
assert [cli.run([command, "--help"]) for command in {COMMANDS}] == [0] * 6
assert [cli.run(words.split()) for words in {wrong}] == [2] * {len(wrong)}
heavy = {{"torch", "numpy", "PIL", "safetensors"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = site(python=("-W", "error", "-c", code))
    assert done.returncode == 0, done.stderr
    assert all(f"Usage: genzoo {command} [OPTIONS] NAME" in done.stdout for command in COMMANDS)
