"""Publishing: what was pushed can be pulled by another machine, and a card holds no traps."""

import json

import pytest

from genzoo.card import Card, Family
from genzoo.errors import GenzooError, HubError, StorageError, WeightsError
from genzoo.files import sha256_of
from genzoo.hub import model_card, pull_bytes, push
from genzoo.ledger import Row, Score, format_row, load_ledgers, parse_rows, read_rows

NAME = "dcgan-bedrooms"
CARD = Card(name=NAME, family=Family.IMPLICIT, model="genzoo_dcgan.dcgan:DCGAN", summary="Bedrooms.", paper="Radford et al. 2016")

LIBRARY = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own upload


def publish(dest, row, weights, **changes):
    return push(dest, **{"name": NAME, "weights": weights, "row": row, "card_text": "# card", **changes})


def test_a_folder_is_a_hub_for_another_machine(tmp_path, row, weights, monkeypatch):
    folder = tmp_path / "share" / "zoo"
    final = publish(folder, row.replace(data="bedrooms"), weights, files={"samples/grid.png": b"png"})
    assert final.sources == ("folder:dcgan-bedrooms.safetensors",)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        ".zoo.toml.lock",
        "dcgan-bedrooms.md",
        "dcgan-bedrooms.safetensors",
        "samples/grid.png",
        "zoo.toml",
    }
    folder.rename(tmp_path / "mounted")  # the other machine sees it elsewhere
    (tmp_path / "core.toml").touch()
    monkeypatch.setenv("GENZOO_ZOO", str(tmp_path / "mounted"))
    ledger = load_ledgers(tmp_path / "core.toml")
    assert ledger[NAME].data == "bedrooms" and pull_bytes(ledger[NAME]) == weights


def test_a_second_model_joins_the_first(tmp_path, row, weights):
    publish(tmp_path, row, weights)
    publish(tmp_path, row.replace(name="other"), weights, name="other")
    publish(tmp_path, row.replace(licence="MIT"), weights)
    rows = read_rows(tmp_path / "zoo.toml")
    assert set(rows) == {NAME, "other"} and rows[NAME].licence == "MIT"


def test_the_row_comes_last(tmp_path, row, weights, monkeypatch):
    from genzoo.hub import publish as module

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "add_row", die)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "zoo", row, weights)
    assert (tmp_path / "zoo" / f"{NAME}.safetensors").exists() and not (tmp_path / "zoo" / "zoo.toml").exists()


def test_weights_that_the_row_does_not_pin_are_refused(tmp_path, row, weights):
    for wrong in (weights + b"x", bytes(len(weights))):
        with pytest.raises(WeightsError, match="not those that the row pins"):
            publish(tmp_path / "zoo", row, wrong)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize("changes", [{"name": "../x"}, {"name": "Upper"}, {"files": {"../x": b""}}, {"files": {"/x": b""}}])
def test_nothing_is_written_outside(tmp_path, row, weights, changes):
    with pytest.raises(GenzooError):
        publish(tmp_path / "zoo", row, weights, **changes)
    assert not (tmp_path / "zoo").exists()


def test_a_folder_that_cannot_be_written(tmp_path, row, weights):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot create .*is a file"):
        publish(tmp_path / "file" / "zoo", row, weights)


@LIBRARY
def test_a_repository_round_trip(hub, row, weights):
    final = publish("hf:ada/zoo", row.replace(data="bedrooms"), weights, files={"grid.png": b"png"})
    revision = final.sources[0].removeprefix("hf:ada/zoo@").removesuffix(f":{NAME}.safetensors")
    assert len(final.sources) == 1 and len(revision) == 40
    assert {path for (repo, rev, path) in hub.files if (repo, rev) == ("ada/zoo", revision)} == {
        f"{NAME}.safetensors",
        "README.md",
        "zoo.toml",
        "grid.png",
    }
    assert pull_bytes(final) == weights
    assert {request.headers.get("authorization") for request in hub.log if request.path != "/api/agent-harnesses"} >= {"Bearer hf_secret"}


@LIBRARY
def test_a_repository_keeps_the_rows_of_other_models(hub, row, weights, tmp_path):
    publish("hf:ada/zoo", row.replace(name="first"), weights, name="first")
    second = publish("hf:ada/zoo", row, weights)
    revision = second.sources[0][len("hf:ada/zoo@") :][:40]
    rows = parse_rows(hub.files["ada/zoo", revision, "zoo.toml"], tmp_path / "zoo.toml")
    assert set(rows) == {"first", NAME} and rows[NAME].sources == ("folder:dcgan-bedrooms.safetensors",)


def test_a_repository_that_refuses(hub, row, weights, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"cannot push 'dcgan-bedrooms' to hf:ada/zoo: .*401") as caught:
        publish("hf:ada/zoo", row, weights)
    assert "\n" not in str(caught.value) and "HF_TOKEN" in caught.value.hint and "hf_wrong" not in str(caught.value)


@pytest.mark.parametrize("dest", ["hf:", "hf:zoo", "hf:../zoo", "hf:a/b/c", "hf:a/b@main"])
def test_a_place_that_is_no_repository(hub, row, weights, dest):
    with pytest.raises(HubError, match="hf:OWNER/REPO"):
        publish(dest, row, weights)
    assert hub.log == []


def test_pushing_offline_or_over_http(hub, row, weights, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="offline"):
        publish("hf:ada/zoo", row, weights)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://example.com")
    with pytest.raises(HubError, match="only https"):
        publish("hf:ada/zoo", row, weights)
    assert hub.log == []


def test_a_repository_that_nobody_serves(row, weights, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(HubError, match="cannot push") as caught:
        publish("hf:ada/zoo", row, weights)
    assert "\n" not in str(caught.value)


def full_row(**changes):
    score = Score(metric="KID", value=0.0123456, stderr=0.001, n=4379, data="bedrooms, held out", protocol="100 subsets")
    facts = {"licence": "MIT", "data": "4,379 photographs", "terms": "research use", "trained": "1.5 M images", "scores": (score,)}
    return Row(**{"name": NAME, "sha256": "ab" * 32, "bytes": 7_200_000, "sources": ("folder:x",), **facts, **changes})


def front_matter(text):
    head = text.split("---\n")[1]
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in head.splitlines())}


def test_a_card_says_what_people_ask():
    text = model_card(full_row(), CARD)
    assert front_matter(text) == {
        "license": "mit",
        "library_name": "genzoo",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["genzoo", "implicit"],
    }
    for words in ("# dcgan-bedrooms", "4,379 photographs", "research use", "Radford", "7,200,000 bytes", "ab" * 32):
        assert words in text
    assert "| KID | 0.01235 ± 0.001 | sample | 4379 | bedrooms, held out | 100 subsets |" in text
    film = Score(metric="nll", value=9.5, n=190, blocks=8, data="frey", split="valid", transform="8-bit")
    assert "| nll | 9.5 | sample | 190 in 8 blocks | frey, valid, 8-bit |  |" in model_card(full_row(scores=(film,)), CARD)
    assert model_card(full_row(), CARD) == text


def test_an_unusual_licence():
    head = front_matter(model_card(full_row(licence="Research only: see terms"), CARD))
    assert (head["license"], head["license_name"]) == ("other", "research-only-see-terms")


def test_hostile_texts_stay_texts():
    evil = 'x\n---\nlicense: mit\n<script>alert(1)</script> [a](javascript:1) \x1b[31m ![](http://x) "quotes" | `code`'
    row = full_row(licence=evil, data=evil, scores=(Score(metric=evil, value=1.0, protocol=evil),))
    text = model_card(row, CARD.replace(summary=evil))
    assert "\x1b" not in text and "<script" not in text.replace("\\<script", "") and text.count("\n---\n") == 1
    assert "[a](" not in text.replace("\\[a\\](", "")
    assert sum(line.startswith("|") for line in text.splitlines()) == 3
    assert front_matter(text)["license"] == "other"


def test_the_published_row_is_written_the_same_twice(tmp_path, row, weights):
    final = publish(tmp_path / "a", row, weights)
    assert (tmp_path / "a" / "zoo.toml").read_text() == format_row(final)
    assert sha256_of(tmp_path / "a" / f"{NAME}.safetensors") == final.sha256
