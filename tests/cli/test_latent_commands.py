"""Every command that looks into a model, on a fresh plugin of each family that `genzoo new-plugin` writes: it
works, or says in one line which part the family lacks."""

from pathlib import Path

import pytest
from shell import in_process, one_line, publish

from genzoo import registry
from genzoo.card import Family
from genzoo.cli import new_plugin
from genzoo.cli.new_plugin import KINDS, render
from genzoo.images import save_image
from genzoo.models.weights import build_fresh
from genzoo.rng import Rng

FAMILIES = [family.value for family in KINDS]
NO_Z = "has no latent z"
NO_CODES = "decodes z but cannot encode images"
# what a command says of a family that has no z, or no encoder
CODES, LATENTS = {"tractable": NO_Z, "implicit": NO_CODES}, {"tractable": NO_Z}
DIGITS, SEED = ("--data", "digits"), ("--seed", 0)
WALK = ("../x.png", "--to", "../x.png", "--steps", 3)
FEW = ("--labels", 20, "--seeds", 2, "--steps", 2, "-n", 50)
# what is typed after the name, and what the families say that cannot do it
COMMANDS = {
    "features": ((*DIGITS, "-n", 8), {"tractable": "no features"}),
    "reconstruct": ((*DIGITS, "-n", 4, *SEED), CODES),
    "arithmetic": (("--plus-seeds", "1,2,3", "--minus-seeds", "4,5,6", *SEED), LATENTS),
    "arithmetic --plus": ((7, "--minus", 1, *DIGITS, "-n", 5, *SEED), LATENTS),
    "interpolate": (("-n", 2, "--steps", 3, *SEED), LATENTS),
    "interpolate --from": (WALK, CODES),
    "traverse": (("--dimension", 0, "-n", 3, *SEED), LATENTS),
    "traverse --from": (("../x.png", "--dimension", 0, "-n", 3), CODES),
    "manifold": (("-n", 3), dict.fromkeys(("implicit", "approximate"), "two latents") | LATENTS),
    "few-labels": ((*DIGITS, *FEW), dict.fromkeys(("tractable", "implicit"), "no encoder")),
    "neighbours": ((*DIGITS, "-n", 2, *SEED), {}),
    "neighbours --space": (("model", *DIGITS, "-n", 2, *SEED), {"tractable": "no features"}),
    "complete": ((*DIGITS, "-n", 1, *SEED), dict.fromkeys(("implicit", "approximate"), "cannot complete")),
    "context": ((), dict.fromkeys(("implicit", "approximate"), "no order of pixels")),
}


@pytest.fixture(scope="module", params=FAMILIES)
def package(request, tmp_path_factory):
    """Give a family, the folder of a fresh plugin of it, laid as pip does, and a hub with its weights."""
    family = request.param
    root, name = tmp_path_factory.mktemp(family), f"fresh-{family}"
    folder = new_plugin.write(render(name, Family(family)), root / "site")
    info = folder / f"genzoo_fresh_{family}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: genzoo-{name}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[genzoo]\n{name} = genzoo_fresh_{family}\n", "utf-8")
    published, plugin = root / "hub", f"genzoo-{name}"
    with pytest.MonkeyPatch.context() as patch, in_process(patch, root, folder, plugin, published):
        publish(published, name, build_fresh(registry.installed().cards[name], 0), plugin)
    return family, folder, published


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works_or_says_what_the_family_lacks(package, command, monkeypatch, tmp_path):
    family, folder, published = package
    command, *flag = command.split()
    words, lacks = COMMANDS[" ".join([command, *flag])]
    save_image(Rng(0, 0, 1).uniform(1, 8, 8)[0].float(), tmp_path / "x.png")
    with in_process(monkeypatch, tmp_path, folder, f"genzoo-fresh-{family}", published) as run:
        done = run(command, f"fresh-{family}", *flag, *words)
        written = list(Path().iterdir())
    if family in lacks:
        assert done.exit_code == 1 and lacks[family] in done.stderr, done.output
        assert one_line(done.stderr) and not written
    else:
        assert done.exit_code == 0 and written, done.output
