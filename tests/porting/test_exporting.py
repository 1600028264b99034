"""`genzoo export`: files that other programs run, checked before they are written."""

import importlib.util
import io
import json
from pathlib import Path

import conditional_toys
import onnx
import onnxruntime
import pixel_toys
import pytest
import torch
import toys
from click.testing import CliRunner
from shell import one_line, publish

import genzoo
from genzoo import Card, Family, Labels
from genzoo.cli.program import cli
from genzoo.errors import ArgumentError, ExportError, HubError
from genzoo.layers.folding import unfolded
from genzoo.models.parts import Decoder, choose, example
from genzoo.porting import exporting, formats
from genzoo.porting.exporting import export

LABELS = ("cat", "dog", "fox")
CARDS = (
    Card(name="port-gan", family=Family.IMPLICIT, model="toys:ToyGAN"),
    Card(name="port-coder", family=Family.AUTOENCODER, model="toys:Coder"),
    Card(name="port-cnn", family=Family.TRACTABLE, model="pixel_toys:ToyCNN"),
    Card(name="port-coin", family=Family.TRACTABLE, model="toys:Bernoulli"),
    Card(name="port-none", family=Family.IMPLICIT, model="toys:ToyGAN"),
    Card(
        name="port-label", family=Family.IMPLICIT, model="conditional_toys:LabelGAN", condition=Labels(LABELS)
    ),
)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, plug):
    """Give a folder with weights of the toys."""
    plug(*CARDS)
    folder = tmp_path_factory.mktemp("shelf")
    torch.manual_seed(5)
    label = conditional_toys.LabelGAN(conditional_toys.LabelGAN.Config(labels=LABELS)).eval()
    made = {"port-gan": toys.gan(), "port-coder": toys.Coder(toys.ToyConfig()), "port-label": label}
    made |= {"port-coin": toys.Bernoulli(toys.ToyConfig())}
    made |= {"port-cnn": pixel_toys.ToyCNN(pixel_toys.ToyCNN.Config()).eval()}
    for name, model in made.items():
        publish(folder, name, model, "genzoo-toys")
    return folder


@pytest.fixture(autouse=True)
def shelved(shelf, monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_ZOO", str(shelf))
    monkeypatch.chdir(tmp_path)


def ran(path, *values):
    """Return what a plain onnxruntime makes of the file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, {name: value.numpy() for name, value in zip(names, values, strict=True)})


def test_onnxruntime_decodes_what_the_model_decodes(tmp_path):
    done = CliRunner().invoke(cli, ["export", "port-gan", "-o", "gan.onnx", "--opset", "19"])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("gan.onnx: the decoder of port-gan, ") and "opset 19" in done.stdout
    for words in ("inputs: z (N, 4) float32", "images (N, 1, 8, 8) float32", "golden outputs agree within"):
        assert words in done.stderr
    model, z = genzoo.load("port-gan"), torch.randn(7, 4)
    with unfolded():
        expected = model.decode(z)
    (images,) = ran("gan.onnx", z)
    assert float((torch.from_numpy(images) - expected).abs().max()) < 1e-5
    file = onnx.load("gan.onnx")
    assert [entry.version for entry in file.opset_import if entry.domain == ""] == [19]
    facts = {entry.key: entry.value for entry in file.metadata_props}
    assert (facts["genzoo.name"], len(facts["genzoo.weights_sha256"])) == ("port-gan", 64)
    # a decoder's file holds no discriminator
    sizes = sum(torch.Size(list(weight.dims)).numel() for weight in file.graph.initializer)
    assert sizes <= sum(value.numel() for value in model.generator.state_dict().values()) + 16


def test_torch_reads_its_own_program_without_genzoo(tmp_path):
    done = export("port-gan", "d.pt2", format="torch", part="discriminator")
    assert done.opset is None and done.outputs == {"logits": "(N,) float32"}
    model, x = genzoo.load("port-gan"), torch.rand(3, 1, 8, 8)
    program = torch.export.load("d.pt2")
    with torch.no_grad(), model.evaluating():
        assert torch.allclose(program.module()(x), model._discriminate(x), atol=1e-5)
    assert not any("generator" in name for name in program.state_dict)


def test_labels_are_a_second_input(tmp_path):
    done = export("port-label", "label.onnx")
    assert done.inputs == {"z": "(N, 4) float32", "labels": "(N,) int64"}
    model, z = genzoo.load("port-label"), torch.randn(3, 4)
    (images,) = ran("label.onnx", z, torch.tensor([2, 0, 1]))
    with unfolded():
        expected = model.decode(z, ["fox", "cat", "dog"])
    assert torch.allclose(torch.from_numpy(images), expected, atol=1e-5)
    facts = {entry.key: entry.value for entry in onnx.load("label.onnx").metadata_props}
    assert facts["genzoo.labels"].split("\n") == list(LABELS)


def test_an_encoder_and_a_step_of_a_pixel_model(tmp_path):
    x = (torch.rand(3, 1, 8, 8) < 0.5).float()
    export("port-coder", "coder.onnx", part="encoder")
    model = genzoo.load("port-coder")
    assert torch.allclose(torch.from_numpy(ran("coder.onnx", x)[0]), model.encode(x), atol=1e-5)
    pixels = genzoo.load("port-cnn")
    x = (torch.rand(3, *pixels.image_shape) < 0.5).float()
    assert export("port-cnn", "cnn.onnx").part == "step"
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(ran("cnn.onnx", x)[0]), pixels._predict(x), atol=1e-5)


class TestRefused:
    def test_opsets(self, monkeypatch):
        for opset, words in ((11, "opset 11 is too old: the lowest that works is 18"), (99, "is newer than")):
            with pytest.raises(ArgumentError, match=words):
                export("port-gan", "x.onnx", opset=opset)
        with pytest.raises(ArgumentError, match="only the format onnx"):
            export("port-gan", "x.pt2", format="torch", opset=18)

    def test_a_package_that_is_not_installed(self, monkeypatch, tmp_path):
        real = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else real(name)
        )
        done = CliRunner().invoke(cli, ["export", "port-gan", "-o", "x.onnx"])
        assert done.exit_code == 1 and list(tmp_path.iterdir()) == []
        assert one_line(done.stderr, "not installed: onnxruntime", "pip install 'genzoo[export]'")
        export("port-gan", "x.pt2", format="torch")

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["port-gan", "-o", "x.pth"], 2, ("ends in .onnx",)),
            (["port-gan", "-o", "x.onnx", "--format", "torch"], 2, ("ends in .pt2",)),
            (["port-gan", "-o", "no/x.onnx"], 1, ("no",)),
            (["port-gan", "-o", "x.onnx", "--part", "encoder"], 1, ("port-gan has no encoder", "decoder")),
            (["port-coin", "-o", "x.onnx"], 1, ("port-coin has no part that can be exported",)),
            (["port-none", "-o", "x.onnx"], 1, ("'port-none' has no published weights",)),
        ],
    )
    def test_what_cannot_be_exported(self, words, code, said, tmp_path):
        done = CliRunner().invoke(cli, ["export", *words])
        assert (done.exit_code, done.stdout) == (code, "") and one_line(done.stderr, *said)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_gives_other_images_is_not_written(self, monkeypatch, tmp_path):
        def wrong(data, kind):
            run = real(data, kind)
            return lambda inputs: tuple(value + 0.01 for value in run(inputs))

        (tmp_path / "gan.pt2").write_text("older")
        real = formats.loaded
        monkeypatch.setattr(exporting, "loaded", wrong)
        with pytest.raises(ExportError, match=r"differs from the model by 0\.01"):
            export("port-gan", "gan.pt2", format="torch")
        assert (tmp_path / "gan.pt2").read_text() == "older" and len(list(tmp_path.iterdir())) == 1

    def test_other_golden_outputs(self, monkeypatch, tmp_path):
        monkeypatch.setattr(exporting.golden, "distance", lambda *_: 9)
        with pytest.raises(ExportError, match="golden outputs by 9 grey levels"):
            export("port-gan", "gan.pt2", format="torch")
        assert list(tmp_path.iterdir()) == []

    def test_steps_that_depend_on_the_images(self, monkeypatch, tmp_path, capfd):
        def branching(self, z):
            return self.generator(z[:, :, None, None]) * (2 if z.sum() > 0 else 1)

        monkeypatch.setattr(toys.ToyGAN, "_decode", branching)
        monkeypatch.setattr(exporting.golden, "compare", lambda *_: "")
        with pytest.raises(ExportError, match=r"torch\.export cannot follow this part") as caught:
            export("port-gan", "gan.pt2", format="torch")
        assert "\n" not in str(caught.value) and capfd.readouterr().err == ""


@pytest.fixture
def wide(shelf, monkeypatch):
    """Give a run in runs/mine of another width than the card's, which no GENZOO_ZOO names."""
    monkeypatch.delenv("GENZOO_ZOO")
    publish(Path("runs/mine"), "port-gan", toys.gan(width=6), "genzoo-toys")
    return toys.gan(width=6)


@pytest.mark.parametrize("kind", ["folder", "option", "file"])
def test_own_weights_are_exported_by_their_place(wide, kind):
    (file,) = Path("runs/mine").glob("*.safetensors")
    typed = {"folder": ["runs/mine"], "option": ["--run", "runs/mine"], "file": [str(file)]}[kind]
    done = CliRunner().invoke(cli, ["export", *typed, "-o", "own.pt2", "--format", "torch"])
    assert done.exit_code == 0, done.stderr
    assert f"own.pt2: the decoder of {typed[-1]}, " in done.stdout and "golden outputs agree" in done.stderr
    z = torch.randn(3, 4)
    assert torch.allclose(torch.export.load("own.pt2").module()(z), wide.decode(z), atol=1e-5)


def test_the_weights_to_export_may_be_pinned(wide, tmp_path):
    words = ["export", "runs/mine", "-o", "own.pt2", "--format", "torch", "--sha256", "0" * 64]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1 and one_line(done.stderr, "but you asked for 0000")
    assert not (tmp_path / "own.pt2").exists()


def test_json():
    words = ["export", "port-gan", "-o", "x.pt2", "--format", "torch", "--json"]
    told = json.loads(CliRunner().invoke(cli, words).stdout)
    assert (told["part"], told["path"], told["format"]) == ("decoder", "x.pt2", "torch")
    assert told["difference"] < 1e-5 and told["seconds"] > 0 < told["own_seconds"]


def test_parts_by_class():
    assert choose(toys.ToyGAN, "x", None) == "decoder" and choose(pixel_toys.ToyCNN, "x", None) == "step"
    inputs = example(toys.gan(), "decoder", 3)
    assert list(inputs) == ["z"] and torch.equal(inputs["z"], toys.gan().sample_latents(3, 0))


def test_a_traced_part_takes_any_number_of_rows():
    part = Decoder(toys.gan())
    with unfolded():
        program = formats.traced(part, [torch.randn(2, 4)])
    data = formats.written(program, "torch", formats.Form(("z",), ("images",), {"genzoo.name": "x"}))
    extra = {"genzoo.name": ""}
    torch.export.load(io.BytesIO(data), extra_files=extra)
    assert extra["genzoo.name"] == "x"
    for n in (1, 3, 9):
        assert formats.loaded(data, "torch")([torch.randn(n, 4)])[0].shape == (n, 1, 8, 8)


def test_unpublished_weights_raise_before_anything_is_traced(monkeypatch):
    monkeypatch.setattr(exporting, "traced", lambda *_: pytest.fail("it was traced"))
    with pytest.raises(HubError):
        export("port-none", "x.pt2", format="torch")
