"""Publishing: what was pushed can be pulled by another machine, and a card holds no traps."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from genzoo.card import Card, Family
from genzoo.errors import ArgumentError, GenzooError, HubError, LedgerError, StorageError, WeightsError
from genzoo.files import sha256_of
from genzoo.hub import model_card, pull_bytes, push
from genzoo.ledger import LEDGER_CAP, Row, format_row, load_ledgers, parse_rows, read_rows, with_row
from genzoo.record import Record

NAME = "dcgan-bedrooms"
CARD = Card(
    name=NAME,
    family=Family.IMPLICIT,
    model="genzoo_dcgan.dcgan:DCGAN",
    summary="Bedrooms.",
    paper="Radford et al. 2016",
)

SHORT = 16  # digits of a digest in the name of a file


def file_of(row):
    """Return the name of the weights file of a row."""
    return f"{row.name}-{row.sha256[:SHORT]}.safetensors"


# huggingface_hub's own upload
LIBRARY = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def publish(dest, row, weights, **changes):
    return push(dest, **{"name": NAME, "weights": weights, "row": row, "card_text": "# card", **changes})


def test_a_folder_is_a_hub_for_another_machine(tmp_path, row, weights, monkeypatch):
    folder = tmp_path / "share" / "zoo"
    final = publish(folder, row.replace(data="bedrooms"), weights, files={"samples/grid.png": b"png"})
    assert (
        final.sources == (f"folder:{file_of(row)}",)
        and final.card == f"{NAME}-{sha256_of(b'# card')[:SHORT]}.md"
    )
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        ".zoo.toml.lock",
        final.card,
        file_of(row),
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
    from genzoo.hub import folder as module

    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "add_row", die)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "zoo", row, weights)
    assert (tmp_path / "zoo" / file_of(row)).exists() and not (tmp_path / "zoo" / "zoo.toml").exists()


@pytest.mark.parametrize(
    "text", ["= 1\n", "dcgan-bedrooms = {bytes = 1}\n", "[dcgan_bedrooms]\n", "#" * LEDGER_CAP]
)
def test_a_ledger_that_cannot_take_the_row_is_told_before_anything_is_written(tmp_path, row, weights, text):
    if text.startswith("[dcgan_"):
        text = format_row(row.replace(name="dcgan_bedrooms"))
    (tmp_path / "zoo.toml").write_text(text)
    (tmp_path / "scores.json").write_text("old")
    with pytest.raises(LedgerError, match=r"zoo.toml"):
        publish(tmp_path, row, weights, files={"scores.json": b"new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "zoo.toml": text,
        "scores.json": "old",
    }


def test_weights_that_the_row_does_not_pin_are_refused(tmp_path, row, weights):
    for wrong in (weights + b"x", bytes(len(weights))):
        with pytest.raises(WeightsError, match="not those that the row pins"):
            publish(tmp_path / "zoo", row, wrong)
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    "changes", [{"name": "../x"}, {"name": "Upper"}, {"files": {"../x": b""}}, {"files": {"/x": b""}}]
)
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
    revision = final.sources[0].removeprefix("hf:ada/zoo@").removesuffix(f":{file_of(row)}")
    assert len(final.sources) == 1 and len(revision) == 40
    assert {path for (repo, rev, path) in hub.files if (repo, rev) == ("ada/zoo", revision)} == {
        ".gitattributes",
        file_of(row),
        "README.md",
        "zoo.toml",
        "grid.png",
    }
    assert pull_bytes(final) == weights
    assert {
        request.headers.get("authorization") for request in hub.log if request.path != "/api/agent-harnesses"
    } >= {"Bearer hf_secret"}


@LIBRARY
def test_a_repository_keeps_the_rows_of_other_models(hub, row, weights, tmp_path):
    publish("hf:ada/zoo", row.replace(name="first"), weights, name="first")
    second = publish("hf:ada/zoo", row, weights)
    revision = second.sources[0][len("hf:ada/zoo@") :][:40]
    rows = parse_rows(hub.files["ada/zoo", revision, "zoo.toml"], tmp_path / "zoo.toml")
    assert set(rows) == {"first", NAME} and rows[NAME].sources == (f"folder:{file_of(row)}",)


def other_writer(hub, name):
    """Return what another writer does: it adds a row to the ledger that is there now."""

    def commit():
        before = hub.files.get(("ada/zoo", "main", "zoo.toml"), b"")
        other = Row(name=name, sha256="ab" * 32, bytes=5, sources=("folder:x",), origin=Path("zoo.toml"))
        hub.commit("ada/zoo", {"zoo.toml": with_row(before, other, Path("zoo.toml")), f"{name}.txt": b"x"})

    return commit


@pytest.fixture
def no_pause(monkeypatch):
    from genzoo.hub import upload

    monkeypatch.setattr(upload, "_PAUSE", 0.0)


@LIBRARY
def test_a_repository_that_others_write_to_at_the_same_time(hub, row, weights, tmp_path, no_pause):
    hub.before_commit = [other_writer(hub, "first"), other_writer(hub, "second")]
    final = publish("hf:ada/zoo", row, weights)
    revision = final.sources[0][len("hf:ada/zoo@") :][:40]
    assert set(parse_rows(hub.files["ada/zoo", revision, "zoo.toml"], tmp_path / "zoo.toml")) == {
        NAME,
        "first",
        "second",
    }
    assert {"first.txt", "second.txt", file_of(row)} <= set(hub.tree("ada/zoo")) and pull_bytes(
        final
    ) == weights


@LIBRARY
def test_several_writers_to_one_repository_lose_nothing(hub, row, weights, tmp_path, no_pause):
    names = [f"model-{i}" for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        finals = list(
            pool.map(lambda name: publish("hf:ada/zoo", row.replace(name=name), weights, name=name), names)
        )
    assert set(parse_rows(hub.files["ada/zoo", "main", "zoo.toml"], tmp_path / "zoo.toml")) == set(names)
    assert all(pull_bytes(final) == weights for final in finals)


@LIBRARY
def test_others_who_commit_without_end_are_told(hub, row, weights, no_pause):
    hub.before_commit = [other_writer(hub, f"m{i}") for i in range(20)]
    with pytest.raises(HubError, match="others committed first, 6 times"):
        publish("hf:ada/zoo", row, weights)


@LIBRARY
def test_replaced_weights_leave_the_tree_and_stay_in_the_history(hub, row, weights):
    first = publish("hf:ada/zoo", row, weights)
    new = row.replace(sha256=sha256_of(weights[1:]), bytes=len(weights) - 1)
    final = publish("hf:ada/zoo", new, weights[1:])
    assert file_of(new) in hub.tree("ada/zoo") and file_of(row) not in hub.tree("ada/zoo")
    assert pull_bytes(final) == weights[1:] and pull_bytes(first) == weights
    hub.commit("ada/zoo", {file_of(new): None})  # somebody tidied up by hand
    assert pull_bytes(publish("hf:ada/zoo", row, weights)) == weights


@LIBRARY
@pytest.mark.parametrize(
    ("there", "public", "words", "private"),
    [
        (None, False, "new and private", True),
        (None, True, "is public: everybody", False),
        (True, False, "is private: only its members", True),
        (True, True, "is private and stays so", True),
        (False, False, "is public: everybody", False),
        (False, True, "is public: everybody", False),
    ],
)
def test_who_can_read_a_repository_is_told_before_anything_is_uploaded(
    hub, row, weights, there, public, words, private
):
    if there is not None:
        hub.create("ada/zoo", there)
    told = []
    publish(
        "hf:ada/zoo", row, weights, public=public, tell=lambda line: told.append((line, len(hub.uploads)))
    )
    assert hub.private["ada/zoo"] is private
    assert len(told) == 1 and words in told[0][0] and "\n" not in told[0][0] and told[0][1] == 0


def test_a_folder_is_not_made_public(row, weights, tmp_path):
    with pytest.raises(ArgumentError, match="only a repository"):
        publish(tmp_path / "zoo", row, weights, public=True)
    assert not (tmp_path / "zoo").exists()


def test_a_repository_whose_ledger_is_broken(hub, row, weights):
    hub.create("ada/zoo")
    hub.commit("ada/zoo", {"zoo.toml": b"[a\n"})
    with pytest.raises(LedgerError, match=r"hf:ada/zoo: zoo.toml:1: not valid TOML"):
        publish("hf:ada/zoo", row, weights)
    hub.commit("ada/zoo", {"zoo.toml": b"#" * (LEDGER_CAP + 1)})
    with pytest.raises(HubError, match="larger than 1,048,576 bytes"):
        publish("hf:ada/zoo", row, weights)


PUSH = """
import hashlib, sys
from pathlib import Path
from genzoo.hub import push
from genzoo.ledger import Row
for i in range(3):
    name, data = f"m{sys.argv[2]}-{i}", sys.argv[2].encode() * 1000
    row = Row(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), sources=("folder:x",))
    push(Path(sys.argv[1]), name=name, weights=data, row=row, card_text=name)
"""


def test_several_processes_push_to_one_folder_and_lose_nothing(tmp_path):
    children = [subprocess.Popen([sys.executable, "-c", PUSH, str(tmp_path), str(i)]) for i in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    rows = read_rows(tmp_path / "zoo.toml")
    assert len(rows) == 9 and rows.problems == ()
    for row in rows.values():
        assert (
            pull_bytes(row) == row.name[1].encode() * 1000 and (tmp_path / row.card).read_text() == row.name
        )


def test_a_repository_that_refuses(hub, row, weights, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"cannot push 'dcgan-bedrooms' to hf:ada/zoo: .*401") as caught:
        publish("hf:ada/zoo", row, weights)
    assert (
        "\n" not in str(caught.value)
        and "HF_TOKEN" in caught.value.hint
        and "hf_wrong" not in str(caught.value)
    )


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
    score = Record(
        metric="KID",
        value=0.0123456,
        stderr=0.001,
        n=4379,
        data="bedrooms, held out",
        split="",
        transform="",
        protocol="100 subsets",
    )
    facts = {
        "licence": "MIT",
        "data": "4,379 photographs",
        "terms": "research use",
        "trained": "1.5 M images",
        "scores": (score,),
    }
    return Row(
        **{
            "name": NAME,
            "sha256": "ab" * 32,
            "bytes": 7_200_000,
            "sources": ("folder:x",),
            **facts,
            **changes,
        }
    )


def front_matter(text):
    head = text.split("---\n")[1]
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in head.splitlines())}


def test_a_card_says_what_people_ask():
    text = model_card(full_row(), CARD)
    assert front_matter(text) == {
        "license": "mit",
        "data_terms": "research use",
        "library_name": "genzoo",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["genzoo", "implicit"],
        "model-index": front_matter(text)["model-index"],  # see tests/hub/test_metadata.py
    }
    for words in (
        "# dcgan-bedrooms",
        "4,379 photographs",
        "research use",
        "Radford",
        "7,200,000 bytes",
        "ab" * 32,
    ):
        assert words in text
    assert "| KID | samples | 0.01235 ± 0.001 | sample | 4379 | bedrooms, held out | 100 subsets |" in text
    film = Record(metric="nll", value=9.5, n=190, blocks=8, data="frey", split="valid", transform="8-bit")
    assert "| nll | samples | 9.5 | sample | 190 in 8 blocks | frey, valid, 8-bit |  |" in model_card(
        full_row(scores=(film,)), CARD
    )
    assert model_card(full_row(), CARD) == text
    given = Record(metric="kid", features="gist@00", value=0.1, n=9, data="rooms", condition="label kitchen")
    assert r"| kid\[gist@00\] given label kitchen | samples | 0.1 |" in model_card(
        full_row(scores=(given,)), CARD
    )


def test_a_card_says_of_what_each_score_is():
    """The value of real images is next to that of the model, and looks the same but for this."""
    of = [
        Record(metric="kid", value=number, n=9, data="rooms", subject=subject)
        for number, subject in ((0.2, NAME), (0.1, "train"), (0.3, "digit-net | x"))
    ]
    lines = [line for line in model_card(full_row(scores=tuple(of)), CARD).splitlines() if line[:1] == "|"]
    assert [line.split(" | ")[1] for line in lines if "kid" in line][:2] == ["the model", "real images"]
    assert r"| digit-net \| x | 0.3 |" in lines[-1]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


def test_an_unusual_licence():
    head = front_matter(model_card(full_row(licence="Research only: see terms"), CARD))
    assert (head["license"], head["license_name"]) == ("other", "research-only-see-terms")


@pytest.mark.parametrize("licence", ["", "  "])
def test_no_licence_is_stated_where_nobody_stated_one(licence):
    text = model_card(full_row(licence=licence.strip(), terms=""), CARD)
    assert not {"license", "license_name", "data_terms"} & front_matter(text).keys()
    assert "**Licence:** no licence stated" in text and "mit" not in text.lower().split()


def test_hostile_texts_stay_texts():
    evil = (
        "x\n---\nlicense: mit\n<script>alert(1)</script> [a](javascript:1) \x1b[31m ![](http://x) "
        '"quotes" | `code`'
    )
    row = full_row(licence=evil, data=evil, scores=(Record(metric=evil, value=1.0, protocol=evil),))
    text = model_card(row, CARD.replace(summary=evil))
    assert (
        "\x1b" not in text and "<script" not in text.replace("\\<script", "") and text.count("\n---\n") == 1
    )
    assert "[a](" not in text.replace("\\[a\\](", "")
    assert sum(line.startswith("|") for line in text.splitlines()) == 3
    assert front_matter(text)["license"] == "other"


def test_the_published_row_is_written_the_same_twice(tmp_path, row, weights):
    final = publish(tmp_path / "a", row, weights)
    assert (tmp_path / "a" / "zoo.toml").read_text() == format_row(final)
    assert sha256_of(tmp_path / "a" / file_of(row)) == final.sha256


AGAIN = """
import hashlib, sys
from pathlib import Path
from genzoo.hub import push
from genzoo.ledger import Row
for i in range(30):
    data = bytes([i]) * 50_000
    digest = hashlib.sha256(data).hexdigest()
    row = Row(name="dcgan-bedrooms", sha256=digest, bytes=len(data), sources=("folder:x",))
    push(Path(sys.argv[1]), name="dcgan-bedrooms", weights=data, row=row, card_text=row.sha256)
"""


def test_a_reader_meets_no_half_state_while_others_publish(tmp_path, row, weights, monkeypatch):
    publish(tmp_path / "zoo", row, weights, card_text=row.sha256)
    child = subprocess.Popen([sys.executable, "-c", AGAIN, str(tmp_path / "zoo")])
    pulls, seen = 0, set()
    while child.poll() is None or not pulls:
        monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / f"cache-{pulls}"))
        found = read_rows(tmp_path / "zoo" / "zoo.toml")
        assert found.problems == () and sha256_of(pull_bytes(found[NAME])) == found[NAME].sha256
        assert (tmp_path / "zoo" / found[NAME].card).read_text() == found[NAME].sha256
        pulls, seen = pulls + 1, seen | {found[NAME].sha256}
    assert child.returncode == 0 and len(seen) > 1
