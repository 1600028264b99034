"""`genzoo sample` and `genzoo interpolate`: what is written where, and what is refused before any work."""

import json
import os
import re
from types import SimpleNamespace

import latent_toys
import numpy as np
import pixel_toys
import pytest
import toys
from PIL import Image
from shell import in_process, lay, one_line, publish

from genzoo.cli import pictures
from genzoo.explore.interpolation import interpolate
from genzoo.images import grid, quantise


def pixels(path):
    return np.asarray(Image.open(path))


class TestOnePicture:
    def test_it_shows_the_samples_of_the_seed(self, run):
        done = run("sample", "toy-gan", "-n", 5, "--seed", 3, "-o", "x.png", "--columns", 4)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "x.png: 5 images of toy-gan, seed 3\n")
        assert np.array_equal(pixels("x.png"), np.asarray(grid(toys.gan().sample(5, seed=3), columns=4)))

    def test_without_a_seed_one_is_drawn_and_told(self, run):
        assert run("sample", "toy-gan", "-n", 2, "-o", "x.png").exit_code == 0
        seeds = [
            re.search(r"seed (\d+)$", run("sample", "toy-gan", "-n", 2, "-o", "x.png").stderr)[1]
            for _ in range(2)
        ]
        assert seeds[0] != seeds[1]
        assert run("sample", "toy-gan", "-n", 2, "-o", "again.png", "--seed", seeds[1]).exit_code == 0
        assert np.array_equal(pixels("x.png"), pixels("again.png"))

    def test_without_a_name_nothing_is_overwritten(self, run):
        names = [
            run("sample", "toy-gan", "-n", 1, "--seed", seed).stderr.partition(":")[0] for seed in range(3)
        ]
        assert names == ["toy-gan.png", "toy-gan-2.png", "toy-gan-3.png"]
        assert np.array_equal(pixels("toy-gan.png"), np.asarray(grid(toys.gan().sample(1, seed=0))))

    def test_a_named_picture_is_replaced(self, run):
        for seed in (0, 1):
            assert run("sample", "toy-gan", "-n", 1, "--seed", seed, "-o", "x.png").exit_code == 0
        assert np.array_equal(pixels("x.png"), np.asarray(grid(toys.gan().sample(1, seed=1))))
        assert os.listdir() == ["x.png"]


class TestSingleImages:
    @pytest.mark.parametrize("out", ["new/", "new", "deep/er/"])
    def test_a_folder_holds_them(self, run, out):
        done = run("sample", "toy-gan", "-n", 20, "--seed", 3, "-o", out)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == f"{out.rstrip('/')}/: 20 images of toy-gan, seed 3\n"
        expected = quantise(toys.gan().sample(20, seed=3))[:, 0].numpy()
        assert sorted(os.listdir(out)) == [f"sample-{i:06}.png" for i in range(20)]
        for i in range(20):
            assert np.array_equal(pixels(f"{out}/sample-{i:06}.png"), expected[i])

    def test_older_ones_are_told(self, run):
        run("sample", "toy-gan", "-n", 3, "--seed", 0, "-o", "folder/")
        done = run("sample", "toy-gan", "-n", 1, "--seed", 0, "-o", "folder")
        assert "1 image (1 was there already; 2 older ones were left there)" in done.stderr

    def test_a_folder_whose_name_ends_like_a_picture(self, run):
        os.mkdir("odd.png")
        assert run("sample", "toy-gan", "-n", 2, "--seed", 0, "-o", "odd.png").exit_code == 0
        assert len(os.listdir("odd.png")) == 2

    def test_memory_does_not_grow(self, run, monkeypatch):
        """No more than one chunk of images is alive at a time."""
        alive = []
        batches = toys.ToyGAN.sample_batches

        def watched(self, n, seed, **options):
            for images in batches(self, n, seed, **options):
                alive.append(len(images))
                yield images

        def together(*args, **kwargs):
            raise AssertionError("sampled all at once")

        monkeypatch.setattr(toys.ToyGAN, "sample_batches", watched)
        monkeypatch.setattr(toys.ToyGAN, "sample", together)
        assert run("sample", "toy-gan", "-n", 40, "-o", "folder/").exit_code == 0
        assert sum(alive) == 40 and max(alive) <= toys.ToyGAN.decode_chunk


@pytest.fixture
def idle(monkeypatch):
    """Make every model refuse to be loaded: what is wrong must be said before."""

    def load(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("genzoo.zoo.load", load)


@pytest.mark.usefixtures("idle")
class TestRefusedBeforeAnyWork:
    @pytest.mark.parametrize(
        ("args", "code", "words"),
        [
            (
                ("sample", "toy-gan", "-n", 10**9),
                1,
                ("a picture shows at most 10,000 images, not 1,000,000,000", "-o samples/"),
            ),
            (("interpolate", "toy-gan", "-n", 10**6), 1, ("at most 10,000 images", "— ask for fewer")),
            (("sample", "toy-gan", "-o", "x.jpg"), 2, ("PNG", "'.jpg'", "x.png")),
            (("interpolate", "toy-gan", "-o", "x.gif"), 2, ("PNG", "'.gif'", "x.png")),
            (("interpolate", "toy-gan", "-o", "folder"), 2, ("PNG", "folder.png")),
            (("sample", "toy-gan", "-o", "absent/x.png"), 1, ("absent/x.png", "no such file or folder")),
            (("sample", "coder"), 1, ("coder is an autoencoder",)),
            (
                ("sample", "toy-gan", "--animate", "x.gif"),
                1,
                ("toy-gan generates whole images", "genzoo interpolate toy-gan", "--family tractable"),
            ),
            (
                ("sample", "coin", "--animate", "x.gif", "-n", 101),
                1,
                ("an animation shows at most 100 images, not 101",),
            ),
            (
                ("sample", "coin", "--animate", "x.png"),
                2,
                ("the animation is written as GIF, not as '.png'", "--animate x.gif"),
            ),
            (("sample", "coin", "--animate", "absent/x.gif"), 1, ("absent/x.gif", "no such file or folder")),
            (
                ("complete", "toy-gan"),
                1,
                ("toy-gan generates whole images and cannot complete one", "--family tractable"),
            ),
            (
                ("context", "toy-gan"),
                1,
                ("toy-gan generates whole images and has no order of pixels", "--family tractable"),
            ),
            (("complete", "coder"), 1, ("coder generates whole images and cannot complete one",)),
        ],
    )
    def test_it_is_one_line_and_nothing_is_written(self, run, args, code, words):
        done = run(*args)
        assert (done.exit_code, done.stdout) == (code, "")
        assert one_line(done.stderr, *words)
        assert os.listdir() == []

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_cannot_be_written(self, run):
        os.mkdir("closed", 0o555)
        done = run("sample", "toy-gan", "-o", "closed/x.png")
        assert done.exit_code == 1
        assert one_line(done.stderr, "permission denied")


class TestLoading:
    @pytest.mark.parametrize("command", ["sample", "interpolate"])
    def test_a_model_without_weights(self, run, command):
        done = run(command, "coin")
        assert (done.exit_code, os.listdir()) == (1, [])
        assert one_line(done.stderr, "'coin' has no published weights")

    def test_a_device_that_is_not_there(self, run):
        done = run("sample", "toy-gan", "--device", "abacus")
        assert (done.exit_code, os.listdir()) == (1, [])
        assert one_line(done.stderr, "device 'abacus'")

    def test_more_than_the_disk_holds(self, run, monkeypatch):
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=300_000, total=10**9))
        done = run("sample", "toy-gan", "-n", 100, "-o", "folder/")
        assert done.exit_code == 1
        assert one_line(done.stderr, "100 images need about", "GiB free")
        assert os.listdir("folder") == []

    def test_a_path_in_the_way(self, run):
        open("file", "w").close()
        done = run("sample", "toy-gan", "-o", "file/")
        assert done.exit_code == 1
        assert one_line(done.stderr, "file")
        assert os.listdir() == ["file"]


class TestInterpolate:
    def test_each_row_is_a_walk(self, run):
        done = run("interpolate", "toy-gan", "-n", 3, "--steps", 5, "--seed", 7, "-o", "x.png")
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == "x.png: 3 walks of 5 steps through the latent space of toy-gan, seed 7\n"
        walks = interpolate(toys.gan(), 3, 5, seed=7)
        assert np.array_equal(pixels("x.png"), np.asarray(grid(walks.flatten(0, 1), columns=5)))

    def test_the_picture_has_a_name_of_its_own(self, run):
        names = [
            run("interpolate", "toy-gan", "-n", 1, "--steps", 2).stderr.partition(":")[0] for _ in range(2)
        ]
        assert names == ["toy-gan-interpolation.png", "toy-gan-interpolation-2.png"]


def test_what_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").mkdir()
    answers = {
        out: pictures.is_folder(out) for out in ("x.png", "x/", "x", "x.png/", "there.png", "x.jpg", "a.b/x")
    }
    assert answers == {
        "x.png": False,
        "x/": True,
        "x": True,
        "x.png/": True,
        "there.png": True,
        "x.jpg": False,
        "a.b/x": True,
    }


def test_the_program_draws_without_loading_the_compiler(site):
    """The whole way in a process of its own; torch's compiler would take as long to load as torch itself."""
    code = (
        "import sys\nfrom genzoo.cli.program import cli\ncode = cli.run(sys.argv[1:])\n"
        "slow = {'torch._dynamo', 'torch._inductor', 'sympy', 'huggingface_hub', 'scipy', 'torchvision'} "
        "& set(sys.modules)\n"
        "assert not slow, slow\nassert code == 0\n"
    )
    done = site("sample", "toy-gan", "-n", 4, "--seed", 1, "-o", "x.png", python=("-W", "error", "-c", code))
    assert done.returncode == 0, done.stderr
    real = site("sample", "toy-gan", "-n", 4, "--seed", 1, "-o", "y.png")
    assert (real.returncode, real.stdout, real.stderr) == (0, "", "y.png: 4 images of toy-gan, seed 1\n")
    assert np.array_equal(pixels(site.cwd / "x.png"), pixels(site.cwd / "y.png"))
    assert np.array_equal(pixels(site.cwd / "x.png"), np.asarray(grid(toys.gan().sample(4, seed=1))))


def test_initial_weights_are_not_drawn_where_others_are_loaded(site):
    """On the meta device that alone loads the compiler, for nets that draw their weights as DCGAN does."""
    code = """
import sys, toys
from torch import nn
from genzoo.models.weights import build_filled, encode
class Drawn(toys.ToyGAN):
    def __init__(self, config):
        super().__init__(config)
        for weight in self.parameters():
            nn.init.normal_(weight, 0.0, 0.02)
            weight.data.normal_()
toys.Drawn = Drawn
model = Drawn(toys.ToyConfig())
built = build_filled(toys.CARDS["toy-gan"].replace(model="toys:Drawn"), encode(model, "toy-gan", {}), "here")
assert built.sample(2, seed=0).equal(model.sample(2, seed=0))
assert "torch._dynamo" not in sys.modules
"""
    done = site(python=("-W", "error", "-c", code))
    assert done.returncode == 0, done.stderr


STRIPES = """
import genzoo
from genzoo import Card, Family
genzoo_api = 2
@genzoo.hookimpl
def genzoo_cards():
    return [
        Card(name="manner-vae", family=Family.APPROXIMATE, model="latent_toys:Stripes"),
        Card(name="manner-gan", family=Family.IMPLICIT, model="toys:ToyGAN"),
        Card(name="manner-pixels", family=Family.TRACTABLE, model="pixel_toys:ToyCNN"),
    ]
"""


class TestManners:
    """Means, temperatures and truncations: what the line, the file and --json say."""

    @pytest.fixture
    def run(self, monkeypatch, tmp_path):
        site, published = tmp_path / "manner-site", tmp_path / "manner-hub"
        site.mkdir()
        lay(site, "manner-box", STRIPES)
        for name, model in self.models().items():
            publish(published, name, model, "manner-box")
        with in_process(monkeypatch, tmp_path, site, "manner-box", published) as run:
            yield run

    def models(self):
        return {
            "manner-vae": latent_toys.Stripes(latent_toys.StripesConfig()),
            "manner-gan": toys.gan(),
            "manner-pixels": pixel_toys.ToyCNN(pixel_toys.PixelConfig()),
        }

    def test_a_vae_is_shown_by_means_and_the_line_says_so(self, run):
        done = run("sample", "manner-vae", "-n", 4, "--seed", 3, "-o", "x.png")
        assert done.exit_code == 0 and done.stderr == (
            "x.png: 4 images of manner-vae, seed 3; mean of p(x|z), so these are not samples of p(x) "
            "(--no-mean draws the pixels as well)\n"
        )
        shown = self.models()["manner-vae"].sample(4, seed=3, mean=True)
        assert np.array_equal(pixels("x.png"), np.asarray(grid(shown)))
        told = {"model": "manner-vae", "seed": "3", "samples": "mean of p(x|z)"}
        assert Image.open("x.png").text == told

    def test_without_means_it_is_sampled(self, run):
        done = run("sample", "manner-vae", "-n", 4, "--seed", 3, "-o", "x.png", "--no-mean")
        assert done.stderr == "x.png: 4 images of manner-vae, seed 3\n"
        assert Image.open("x.png").text == {"model": "manner-vae", "seed": "3"}

    @pytest.mark.parametrize(
        ("name", "option"), [("manner-gan", "truncation"), ("manner-pixels", "temperature")]
    )
    def test_a_number_reaches_the_images_the_files_and_json(self, run, name, option):
        done = run("sample", name, "-n", 3, "--seed", 1, f"--{option}", 0.3, "-o", "out/", "--json")
        assert (
            done.exit_code == 0 and f"seed 1; {option} 0.3, so these are not samples of p(x)" in done.stderr
        )
        facts = json.loads(done.stdout)
        assert facts["manner"] == f"{option} 0.3" and facts["files"] == ["out"] and facts["seed"] == 1
        expected = quantise(self.models()[name].sample(3, seed=1, **{option: 0.3}))[:, 0].numpy()
        for i in range(3):
            assert np.array_equal(pixels(f"out/sample-{i:06}.png"), expected[i])
        assert Image.open("out/sample-000000.png").text["samples"] == f"{option} 0.3"

    def test_an_animation_ends_in_the_images_of_the_temperature(self, run):
        args = ("manner-pixels", "-n", 2, "--seed", 1, "--temperature", 0.3)
        assert run("sample", *args, "--animate", "x.gif", "-o", "x.png").exit_code == 0
        expected = self.models()["manner-pixels"].sample(2, seed=1, temperature=0.3)
        assert np.array_equal(pixels("x.png"), np.asarray(grid(expected)))

    @pytest.mark.parametrize(
        ("name", "args", "words"),
        [
            ("manner-gan", ("--mean",), "mean has no meaning for ToyGAN"),
            ("manner-gan", ("--temperature", 0.5), "temperature has no meaning for ToyGAN"),
            ("manner-pixels", ("--truncation", 0.5), "truncation has no meaning for ToyCNN"),
            ("manner-vae", ("--truncation", 0), "0.0 is not in the range 0.01<=x<=100"),
            ("manner-vae", ("--truncation", "nan"), "truncation must be a number from 0.01 to 100"),
        ],
    )
    def test_what_has_no_meaning_is_one_line(self, run, name, args, words):
        done = run("sample", name, "-n", 1, *args)
        assert done.exit_code and words in done.stderr
        assert os.listdir() == []
