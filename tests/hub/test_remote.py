"""A repository as the place of a model: its ledger, the commit that pins it, and what its first use pins."""

from __future__ import annotations

import pytest
import torch
import toys

import genzoo
from genzoo import hub as library
from genzoo import zoo
from genzoo.errors import ArgumentError, HubError, LedgerError, UnknownNameError, WeightsError
from genzoo.files import sha256_of
from genzoo.hub import remote
from genzoo.ledger import Row, format_row
from genzoo.models import golden
from genzoo.models.weights import encode

# huggingface_hub's own upload
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
PLUGIN, PLACE = "genzoo-remote", "hf:ada/zoo"


@pytest.fixture(autouse=True, scope="module")
def installed(plug):
    plug(*toys.CARDS.values(), distribution=PLUGIN)


@pytest.fixture(autouse=True)
def own_run(tmp_path, monkeypatch):
    """A run in runs/mine, of width 6, as training publishes it."""
    monkeypatch.chdir(tmp_path)
    publish("runs/mine", 6)


def publish(folder, width, name="toy-gan", model=None):
    made = model or toys.gan(width=width)
    blob = encode(made, name, golden.record(made))
    row = Row(name=name, sha256=sha256_of(blob), bytes=len(blob), sources=("folder:none",), plugin=PLUGIN)
    return library.push(folder, name=name, weights=blob, row=row, card_text="# card\n")


def push(hub, source="runs/mine"):
    """Push as its author does, to a public repository; return the commit."""
    row = genzoo.push(source, PLACE, public=True)
    return row.sources[0].removeprefix(f"{PLACE}@").partition(":")[0]


def forget_weights(cache):
    for path in cache.glob("*.safetensors"):
        path.unlink()


def asked(hub):
    return [request.path for request in hub.log if request.path != "/api/agent-harnesses"]


@pytest.mark.parametrize("typed", [PLACE, f"{PLACE}#toy-gan", f"{PLACE}@main"])
def test_a_pushed_run_is_a_model_like_any_other(hub, typed):
    push(hub)
    model = genzoo.load(typed)
    theirs = toys.gan(width=6).state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in model.state_dict().items())
    assert sha256_of(genzoo.pull(typed)) == zoo.row(typed).sha256
    assert genzoo.verify(typed).startswith("sha256 ")


def test_its_model_card_says_how_to_load_it(hub):
    push(hub)
    text = hub.tree("ada/zoo")["README.md"].decode()
    (line,) = [line for line in text.splitlines() if "genzoo.load" in line]
    call = line.removeprefix("model = genzoo.load(").removesuffix(")")
    place, digest = (part.split("=")[-1].strip('" ') for part in call.split(", "))
    assert genzoo.load(place, sha256=digest).config.width == 6
    assert f"import genzoo  # pip install {PLUGIN}\n" in text


def test_a_commit_is_pinned_by_whoever_names_it(hub):
    first = push(hub)
    push(hub, publish("runs/next", 5).origin.parent)
    assert genzoo.load(f"{PLACE}@{first}").config.width == 6
    hub.log.clear()
    assert genzoo.load(f"{PLACE}@{first}").config.width == 6  # nothing needs to be asked again
    assert asked(hub) == []


def test_a_branch_is_pinned_at_its_first_use(hub):
    first = push(hub)
    before = zoo.row(PLACE)
    second = push(hub, publish("runs/next", 5).origin.parent)
    with pytest.raises(WeightsError, match=rf"has moved: .*{before.sha256}.*hf:ada/zoo@{first}") as caught:
        genzoo.load(PLACE)
    assert "\n" not in str(caught.value)
    new = zoo.row(f"{PLACE}@{second}").sha256
    assert f"--sha256 {new}" in str(caught.value)
    assert genzoo.load(f"{PLACE}@{first}").config.width == 6
    assert genzoo.load(PLACE, sha256=new).config.width == 5  # the user's pin replaces that of the first use
    assert genzoo.load(PLACE).config.width == 5


def test_a_digest_of_the_user_that_is_another_pins_nothing(hub):
    push(hub)
    with pytest.raises(WeightsError, match="but you asked for 0000"):
        genzoo.load(PLACE, sha256="0" * 64)
    push(hub, publish("runs/next", 5).origin.parent)
    assert genzoo.load(PLACE).config.width == 5  # the first use


def test_a_commit_that_changes_other_files_is_no_move(hub):
    push(hub)
    genzoo.load(PLACE)
    hub.commit("ada/zoo", {"README.md": b"# reworded"})
    assert genzoo.load(PLACE).config.width == 6


def test_offline_the_first_use_answers(hub, monkeypatch, cache):
    push(hub)
    genzoo.load(PLACE)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.log.clear()
    assert genzoo.load(PLACE).config.width == 6
    assert asked(hub) == []
    forget_weights(cache)
    with pytest.raises(HubError, match="offline mode is on"):
        genzoo.load(PLACE)
    with pytest.raises(HubError, match="offline mode is on"):
        genzoo.load("hf:ada/other")


def test_a_repository_without_a_ledger(hub):
    hub.create("ada/zoo")
    with pytest.raises(HubError, match=r"has no zoo\.toml at [0-9a-f]{8}, so nothing pins") as caught:
        genzoo.load(PLACE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["hf:ada/none", f"hf:ada/none@{'a' * 40}"])
def test_a_repository_that_is_not_there(hub, place):
    with pytest.raises(HubError, match="hf:ada/none"):
        genzoo.load(place)


@pytest.mark.parametrize("answer", ["main", "A" * 40, "a" * 39, 7])
def test_a_server_that_names_no_commit(hub, answer):
    push(hub)
    hub.garbled = answer
    with pytest.raises(HubError, match="does not name a commit"):
        genzoo.load(PLACE)


@pytest.mark.parametrize(
    "place", ["hf:", "hf:ada", "hf:ada/zoo@", "hf:ada/zoo@../x", "hf:ada/zoo@a b", "hf:../zoo", "hf:a/b/c"]
)
def test_what_names_no_repository(hub, place):
    with pytest.raises(ArgumentError, match="does not name a repository"):
        genzoo.load(place)
    assert asked(hub) == []


def test_a_ledger_that_is_broken_or_too_large(hub):
    hub.create("ada/zoo")
    hub.commit("ada/zoo", {"zoo.toml": b"\x00"})
    with pytest.raises(LedgerError, match=r"hf:ada/zoo"):
        genzoo.load(PLACE)
    hub.commit("ada/zoo", {"zoo.toml": b"#" * (1 << 20) + b"#"})
    with pytest.raises(HubError, match="larger than"):
        genzoo.load(PLACE)


def test_several_models_in_one_repository(hub):
    push(hub)
    push(hub, publish("runs/coin", 0, "coin", toys.Bernoulli(toys.ToyConfig())).origin.parent)
    with pytest.raises(ArgumentError, match=r"hf:ada/zoo#toy-gan, hf:ada/zoo#coin"):
        genzoo.load(PLACE)
    assert genzoo.info(f"{PLACE}#coin").name == "coin"
    with pytest.raises(UnknownNameError, match="did you mean 'coin'"):
        genzoo.load(f"{PLACE}#coim")


def test_folders_of_the_authors_machine_are_not_looked_into(hub, tmp_path):
    row = Row(
        name="toy-gan",
        sha256="0" * 64,
        bytes=10,
        sources=(f"folder:{tmp_path}/private.safetensors", "folder:w/beside.safetensors"),
    )
    hub.create("ada/zoo")
    commit = hub.commit("ada/zoo", {"zoo.toml": format_row(row).encode()})
    assert remote.rows_of("ada/zoo", commit)["toy-gan"].sources == (
        f"hf:ada/zoo@{commit}:w/beside.safetensors",
    )
    only = row.replace(sources=row.sources[:1])
    commit = hub.commit("ada/zoo", {"zoo.toml": format_row(only).encode()})
    with pytest.raises(HubError, match="sources must name at least one place"):
        zoo.row(f"{PLACE}@{commit}")


def test_weights_that_are_not_those_of_the_ledger(hub, cache):
    commit = push(hub)
    forget_weights(cache)
    for repo, revision, path in list(hub.files):
        if path.endswith(".safetensors"):
            hub.files[repo, revision, path] = b"x" * len(hub.files[repo, revision, path])
    with pytest.raises(HubError, match="sha256"):
        genzoo.load(f"{PLACE}@{commit}")


def test_a_private_repository_is_asked_for_with_the_token(hub):
    hub.create("ada/private", private=True)
    hub.log.clear()
    with pytest.raises(HubError, match=r"hf:ada/private"):
        genzoo.load("hf:ada/private")
    assert {request.headers.get("authorization") for request in hub.log} == {"Bearer hf_secret"}


def test_the_answer_is_read_up_to_a_limit(hub, monkeypatch):
    push(hub)
    monkeypatch.setattr(remote, "_ANSWER_CAP", 10)
    with pytest.raises(HubError, match="does not name a commit"):
        genzoo.load(PLACE)


def test_it_is_exported_by_its_place(hub):
    from genzoo.porting.exporting import export

    first = push(hub)
    done = export(f"{PLACE}@{first}", "net.pt2", format="torch")
    assert done.inputs == {"z": "(N, 4) float32"} and done.golden.startswith("golden outputs agree")
    z = torch.randn(3, 4)
    expected = toys.gan(width=6).decode(z)
    assert torch.allclose(torch.export.load("net.pt2").module()(z), expected, atol=1e-5)
    with pytest.raises(WeightsError, match="but you asked for 000"):
        export(f"{PLACE}@{first}", "other.pt2", format="torch", sha256="0" * 64)
