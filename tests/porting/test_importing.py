"""`genzoo import`: the usual tutorials' nets become models of the zoo that give the same images."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

import genzoo
from genzoo.catalogue import catalogue
from genzoo.cli.program import cli
from genzoo.confined import child, reading
from genzoo.errors import ArgumentError, DataError, StorageError, UnknownNameError, WeightsError
from genzoo.images import quantise
from genzoo.layers import folding
from genzoo.porting.importing import import_weights

NZ, NGF, NC = 12, 8, 1


class Generator(nn.Module):
    """The generator of the usual tutorial, for 16×16 images."""

    def __init__(self, bias=False, norm=True):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(NZ, NGF * 2, 4, 1, 0, bias=bias),
            *([nn.BatchNorm2d(NGF * 2)] if norm else []),
            nn.ReLU(True),
            nn.ConvTranspose2d(NGF * 2, NGF, 4, 2, 1, bias=bias),
            *([nn.BatchNorm2d(NGF)] if norm else []),
            nn.ReLU(True),
            nn.ConvTranspose2d(NGF, NC, 4, 2, 1, bias=bias),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    """Its discriminator."""

    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(NC, 6, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(6, 12, 4, 2, 1, bias=False),
            nn.BatchNorm2d(12),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(12, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.main(x).view(-1)


def squares(n):
    """Return drawn images: a bright square somewhere on black, in [-1, 1]."""
    images = torch.full((n, NC, 16, 16), -1.0)
    for i, (row, column) in enumerate(torch.randint(0, 10, (n, 2)).tolist()):
        images[i, :, row : row + 6, column : column + 6] = 1
    return images


def trained(steps=4):
    """Train as the usual tutorial does, on drawn images, and return both nets."""
    torch.manual_seed(0)
    netG, netD = Generator(), Discriminator()
    optimizerD = torch.optim.Adam(netD.parameters(), lr=0.002, betas=(0.5, 0.999))
    optimizerG = torch.optim.Adam(netG.parameters(), lr=0.002, betas=(0.5, 0.999))
    criterion = nn.BCELoss()
    for _ in range(steps):
        netD.zero_grad()
        real, label = squares(8), torch.ones(8)
        criterion(netD(real), label).backward()
        fake = netG(torch.randn(8, NZ, 1, 1))
        criterion(netD(fake.detach()), torch.zeros(8)).backward()
        optimizerD.step()
        netG.zero_grad()
        criterion(netD(fake), label).backward()
        optimizerG.step()
    return netG, netD


@pytest.fixture(scope="module")
def nets():
    netG, netD = trained()
    return netG.eval(), netD.eval()


@pytest.fixture
def at_once(monkeypatch):
    """Answer in this process, without the seconds that another takes to load torch."""
    monkeypatch.setattr(reading, "_ask_child", lambda blob, path, timeout: child.answer(blob))


@pytest.fixture
def saved(tmp_path, at_once):
    """Give a function that saves a state dict and returns its path."""

    def save(state, name="netG.pth"):
        torch.save(state, tmp_path / name)
        return tmp_path / name

    return save


def loaded(monkeypatch, folder, name="dcgan"):
    monkeypatch.setenv("GENZOO_ZOO", str(folder))
    assert catalogue().find(name).row.origin == folder / "zoo.toml"
    return genzoo.load(name)


def originals(net, z):
    with torch.no_grad():
        return net(z[:, :, None, None]).add(1).div(2)


def test_a_tutorial_checkpoint_becomes_a_model_that_gives_the_same_images(nets, tmp_path, monkeypatch):
    """Through the real child process, the command line, the ledger and `genzoo sample`, from the plainest
    loop."""
    monkeypatch.setattr(folding, "fast_bf16", lambda device: False)
    monkeypatch.chdir(tmp_path)
    torch.save(nets[0].state_dict(), "netG.pth")
    z = torch.randn(7, NZ)
    with torch.no_grad():
        np.savez("samples.npz", z=z.numpy(), images=nets[0](z[:, :, None, None]).numpy())
    words = ["import", "netG.pth", "--as", "dcgan", "--out", "runs/imported", "--check", "samples.npz"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "dcgan: runs/imported\n"
    assert "image_shape=(1, 16, 16), latent_size=12, width=8" in done.stderr
    assert (
        "the discriminator is not in netG.pth" in done.stderr
        and "7 images of samples.npz agree" in done.stderr
    )
    assert "GENZOO_ZOO=runs/imported genzoo sample dcgan" in done.stderr
    model = loaded(monkeypatch, tmp_path / "runs" / "imported")
    assert float((model.decode(z) - originals(nets[0], z)).abs().max()) <= 1e-6
    drawn = model.sample(5, seed=3)
    assert float((drawn - originals(nets[0], model.sample_latents(5, seed=3))).abs().max()) <= 1e-6
    done = CliRunner().invoke(cli, ["sample", "dcgan", "--seed", "1", "-n", "2"])
    assert done.exit_code == 0 and (tmp_path / "dcgan.png").is_file()
    assert CliRunner().invoke(cli, ["verify", "dcgan"]).exit_code == 0
    assert (tmp_path / "runs" / "imported" / "samples.png").is_file()


def test_both_nets_are_taken_from_two_files_or_one(nets, saved, tmp_path, monkeypatch):
    netG, netD = nets
    together = {f"netG.{k}": v for k, v in netG.state_dict().items()}
    together |= {f"netD.{k}": v for k, v in netD.state_dict().items()}
    sources = {
        "two": [saved(netG.state_dict()), saved(netD.state_dict(), "netD.pth")],
        "one": [saved({"epoch": 1, "state_dict": together, "optimizer_states": [1]}, "last.ckpt")],
    }
    x = squares(3)
    for out, files in sources.items():
        done = import_weights(files, "dcgan", tmp_path / out)
        assert (done.notes, done.config["discriminator_width"]) == ((), 6)
        model = loaded(monkeypatch, tmp_path / out)
        with torch.no_grad(), model.evaluating():
            ours = model._discriminate((x + 1) / 2).sigmoid()
            assert torch.allclose(ours, netD(x), atol=1e-6)


@pytest.mark.parametrize("form", ["module", "compiled", "nested", "layers", "safetensors"])
def test_names_do_not_count(nets, saved, tmp_path, monkeypatch, form):
    state = nets[0].state_dict()
    if form == "module":
        path = saved({f"module.{k}": v for k, v in state.items()})
    elif form == "compiled":
        path = saved({f"module._orig_mod.{k}": v for k, v in state.items()})
    elif form == "nested":
        path = saved({"model_state_dict": state, "optimizer": {"w": torch.zeros(3)}})
    elif form == "layers":
        names = dict(zip(("0", "1", "3", "4", "6"), ("up1", "bn1", "up2", "bn2", "out"), strict=True))
        renamed = {f"{names[k.split('.')[1]]}.{k.split('.')[2]}": v for k, v in state.items()}
        path = saved(dict(sorted(renamed.items())))  # all batch norms before all convolutions
        path = saved({key: renamed[key] for key in sorted(renamed, key=lambda k: (k[:2] != "up", k))})
    else:
        path = tmp_path / "netG.safetensors"
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    import_weights(path, "dcgan", tmp_path / "out")
    z = torch.randn(3, NZ)
    with folding.unfolded():
        ours = loaded(monkeypatch, tmp_path / "out").decode(z)
    assert torch.allclose(ours, originals(nets[0], z), atol=1e-6)


@pytest.mark.parametrize(("bias", "norm"), [(True, True), (True, False), (False, False)])
def test_biases_that_ours_lack_are_kept(saved, tmp_path, monkeypatch, bias, norm):
    torch.manual_seed(1)
    net = Generator(bias=bias, norm=norm)
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0, 0.3)
    net(torch.randn(16, NZ, 1, 1))
    net.eval()
    done = import_weights(saved(net.state_dict()), "dcgan", tmp_path / "out")
    assert done.config["norm"] == ("batch" if norm else "none")
    z = torch.randn(3, NZ)
    with folding.unfolded():
        ours = loaded(monkeypatch, tmp_path / "out").decode(z)
    assert torch.allclose(ours, originals(net, z), atol=1e-5)


class TestCheck:
    def files(self, nets, saved, tmp_path, images, z=None):
        z = torch.randn(2, NZ) if z is None else z
        np.savez(tmp_path / "s.npz", z=np.asarray(z), images=images(z))
        return saved(nets[0].state_dict()), tmp_path / "s.npz"

    @pytest.mark.parametrize("form", ["signed", "unit", "bytes", "maps"])
    def test_images_of_every_convention(self, nets, saved, tmp_path, form):
        z = torch.randn(2, NZ)
        unit = originals(nets[0], z)
        images = {"signed": 2 * unit - 1, "bytes": quantise(unit)}.get(form, unit).numpy()
        given = z[:, :, None, None] if form == "maps" else z
        path, check = self.files(nets, saved, tmp_path, lambda _: images, given)
        done = import_weights(path, "dcgan", tmp_path / "out", check=check)
        assert done.check.n == 2 and done.check.worst < 0.003

    def test_other_images_are_refused_and_nothing_is_written(self, nets, saved, tmp_path):
        other = lambda z: originals(Generator().eval(), z).numpy()  # noqa: E731
        path, check = self.files(nets, saved, tmp_path, other)
        with pytest.raises(WeightsError, match="does not give the images of"):
            import_weights(path, "dcgan", tmp_path / "out", check=check)
        assert not (tmp_path / "out").exists()

    def test_other_activations_are_found_by_it(self, nets, saved, tmp_path):
        path, check = self.files(nets, saved, tmp_path, lambda z: originals(nets[0], z).numpy())
        with pytest.raises(WeightsError, match="activation"):
            import_weights(path, "dcgan", tmp_path / "out", check=check, settings={"activation": "tanh"})

    def test_a_file_that_lacks_something(self, nets, saved, tmp_path):
        np.savez(tmp_path / "s.npz", images=np.zeros((2, 1, 16, 16)))
        with pytest.raises(DataError, match="must hold z and images"):
            import_weights(saved(nets[0].state_dict()), "dcgan", tmp_path / "out", check=tmp_path / "s.npz")
        np.savez(tmp_path / "s.npz", z=np.zeros((2, NZ)), images=np.zeros((2, 1, 8, 8)))
        with pytest.raises(DataError, match=r"must have the shape \(2, 1, 16, 16\)"):
            import_weights(saved(nets[0].state_dict()), "dcgan", tmp_path / "out", check=tmp_path / "s.npz")


class TestRefused:
    def refuse(self, path, words, tmp_path, name="dcgan", error=WeightsError, **options):
        with pytest.raises(error, match=words) as caught:
            import_weights(path, name, tmp_path / "out", **options)
        assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()

    def test_another_net(self, saved, tmp_path):
        state = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).state_dict()
        self.refuse(saved(state), r"no stack of transposed.*0 \(3, 4\), 2 \(2, 3\)", tmp_path)

    def test_another_kernel(self, nets, saved, tmp_path):
        state = nets[0].state_dict() | {"main.3.weight": torch.zeros(NGF * 2, NGF, 5, 5)}
        words = r"3\.weight has the shape \(16, 8, 5, 5\), where the model has \(16, 8, 4, 4\)"
        self.refuse(saved(state), words, tmp_path)

    def test_other_widths(self, saved, tmp_path):
        layers = [
            nn.ConvTranspose2d(NZ, 24, 4),
            nn.ConvTranspose2d(24, 8, 4, 2, 1),
            nn.ConvTranspose2d(8, 1, 4, 2, 1),
        ]
        words = r"\(12, 24, 4, 4\), where the model has \(12, 16, 4, 4\)"
        self.refuse(saved(nn.Sequential(*layers).state_dict()), words, tmp_path)

    def test_a_discriminator_alone(self, nets, saved, tmp_path):
        self.refuse(saved(nets[1].state_dict()), "has only a discriminator", tmp_path)

    def test_several_generators(self, nets, saved, tmp_path, monkeypatch):
        state = nets[0].state_dict()
        path = saved({"g": state, "g_ema": {k: v + 0 for k, v in state.items()}})
        self.refuse(path, "holds 2 generators: g, g_ema — choose one with --key", tmp_path)
        self.refuse(path, "nothing under 'g_emma'; did you mean 'g_ema'", tmp_path, key="g_emma")
        import_weights(path, "dcgan", tmp_path / "ema", key="g_ema")

    def test_spectral_norm(self, nets, saved, tmp_path):
        state = {k.replace("0.weight", "0.weight_orig"): v for k, v in nets[0].state_dict().items()}
        self.refuse(saved(state), "0.weight_orig, which belongs to no layer", tmp_path)

    def test_norms_without_statistics(self, nets, saved, tmp_path):
        state = {k: v for k, v in nets[0].state_dict().items() if "running" not in k and "num_" not in k}
        path = saved(state)
        self.refuse(path, "does not say which normalisation.*--set norm=instance", tmp_path)
        assert (
            import_weights(path, "dcgan", tmp_path / "o", settings={"norm": "instance"}).config["norm"]
            == "instance"
        )

    def test_a_folder_that_is_not_empty(self, nets, saved, tmp_path, monkeypatch):
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_text("precious")
        monkeypatch.setattr(reading, "read_capped", lambda *_: pytest.fail("it was read"))
        path = saved(nets[0].state_dict())
        for out, words in (("full", "is not empty"), ("full/mine", "is a file")):
            with pytest.raises(StorageError, match=words):
                import_weights(path, "dcgan", tmp_path / out)
        assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine"]

    def test_wrong_settings(self, nets, saved, tmp_path):
        path = saved(nets[0].state_dict())
        self.refuse(path, "did you mean", tmp_path, error=UnknownNameError, settings={"activaton": "relu"})
        self.refuse(path, "image size", tmp_path, error=ArgumentError, settings={"channels": 3})


def test_own_names_are_taken_by_any_card(saved, tmp_path, monkeypatch):
    model = genzoo.create("autoencoder", width=4, seed=2)
    path = saved(model.state_dict())
    with pytest.raises(WeightsError, match="give the config of these weights"):
        import_weights(path, "autoencoder", tmp_path / "out")
    import_weights(path, "autoencoder", tmp_path / "out", settings={"width": 4})
    z = torch.randn(2, model.latent_size)
    assert torch.equal(loaded(monkeypatch, tmp_path / "out", "autoencoder").decode(z), model.decode(z))
    state = model.state_dict()
    del state["decoder.1.weight"]
    with pytest.raises(WeightsError, match="takes its own state dicts only"):
        import_weights(saved(state), "autoencoder", tmp_path / "o", settings={"width": 4})


def test_json(nets, saved, tmp_path):
    path = saved(nets[0].state_dict())
    done = CliRunner().invoke(
        cli, ["import", str(path), "--as", "dcgan", "--out", str(tmp_path / "o"), "--json"]
    )
    told = json.loads(done.stdout)
    assert (told["name"], told["config"]["width"], told["difference"]) == ("dcgan", 8, None)


class ExampleVAE(nn.Module):
    """The VAE of the usual example, for 8×8 images."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 20), nn.Linear(20, 5), nn.Linear(20, 5)
        self.fc3, self.fc4 = nn.Linear(5, 20), nn.Linear(20, 64)

    def encode(self, x):
        h = self.fc1(x.flatten(1)).relu()
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return self.fc4(self.fc3(z).relu()).sigmoid().view(-1, 1, 8, 8)


def test_the_usual_vae_encodes_and_decodes_as_it_did(saved, tmp_path, monkeypatch):
    torch.manual_seed(3)
    net, x, z = ExampleVAE(), torch.rand(4, 1, 8, 8), torch.randn(4, 5)
    done = import_weights(saved(net.state_dict(), "vae.pth"), "vae", tmp_path / "out")
    assert (done.config["image_shape"], done.config["width"], done.config["depth"]) == ((1, 8, 8), 20, 1)
    model = loaded(monkeypatch, tmp_path / "out", "vae")
    with torch.no_grad():
        assert torch.allclose(model.decode(z), net.decode(z), atol=1e-6)
        mean, log_var = net.encode(x)
    found = model.encode(x)
    assert torch.allclose(found.mean, mean, atol=1e-5) and torch.allclose(found.log_var, log_var, atol=1e-5)
