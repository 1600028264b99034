"""What the Hub reads of a model, read back by the Hub's own library."""

import json

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import EvalResult

import genzoo
from genzoo.card import Card, Family
from genzoo.hub import config_json, model_card, push
from genzoo.hub.metadata import DATASETS
from genzoo.ledger import Row, load_ledgers
from genzoo.record import Record

CARD = Card(name="dcgan-bedrooms", family=Family.IMPLICIT, model="genzoo_dcgan.dcgan:DCGAN", summary="Rooms.")


def full_row(**changes):
    facts = {"licence": "MIT", "data": "4,379 photographs", "terms": "research use"}
    pins = {"name": CARD.name, "sha256": "ab" * 32, "bytes": 7_200_000, "sources": ("folder:x",)}
    return Row(**{**pins, **facts, **changes})


def read(row, card=CARD):
    """Return the metadata of a card as huggingface_hub reads them; broken ones are errors there."""
    return ModelCard(model_card(row, card), ignore_metadata_errors=False).data


def test_results_are_those_of_the_ledger():
    scores = (
        Record(metric="kid", features="gist@00", value=0.0222, stderr=0.0058, n=439, data="bedrooms"),
        Record(metric="kid", features="gist@00", value=-0.004, n=439, data="bedrooms", subject="train"),
        Record(metric="nll", value=81.83, unit="nats", kind="exact", n=10_000, data="mnist", protocol="all"),
    )
    kid, nll = read(full_row(scores=scores)).eval_results
    assert isinstance(kid, EvalResult)
    assert (kid.metric_type, kid.metric_value, kid.metric_args) == (
        "kid",
        0.0222,
        {"n": 439, "stderr": 0.0058},
    )
    assert (kid.dataset_type, kid.dataset_name, kid.dataset_split) == ("bedrooms", "bedrooms, 8-bit", "test")
    assert kid.metric_name == "kid[gist@00] (sample)" and nll.metric_name == "nll (exact, nats)"
    assert (nll.dataset_type, nll.metric_value, nll.metric_args["protocol"]) == ("ylecun/mnist", 81.83, "all")
    assert {result.task_type for result in (kid, nll)} == {"unconditional-image-generation"}


def test_the_other_metadata():
    found = read(full_row(data="cifar10, 50,000 images (train)"))
    assert (found.license, found.library_name, found.datasets) == ("mit", "genzoo", ["uoft-cs/cifar10"])
    assert found.pipeline_tag == "unconditional-image-generation" and found.tags == ["genzoo", "implicit"]
    assert read(full_row(data="my-rooms, 200 images")).datasets is None
    codes = read(full_row(), CARD.replace(family=Family.AUTOENCODER))
    assert codes.pipeline_tag == "image-feature-extraction"


def test_no_scores_are_no_results():
    assert read(full_row(scores=())).eval_results is None


@pytest.mark.parametrize("name", [card.name for card in genzoo.cards() if card.has_weights])
def test_the_card_of_every_published_model(name):
    card = next(card for card in genzoo.cards() if card.name == name)
    row = load_ledgers()[name]
    found = read(row, card)
    wanted = [score for score in row.scores if score.subject != "train"]
    assert wanted and [one.metric_value for one in found.eval_results] == [score.value for score in wanted]
    assert found.license and found.library_name == "genzoo" and name in model_card(row, card)


def test_hostile_texts_are_data():
    evil = 'x\n---\nlicense: mit\n<b> [a](http://x) "q" : {'
    found = read(full_row(licence=evil, data=evil, terms=evil, scores=(Record(metric=evil, value=1.0),)))
    assert found.license == "other" and len(found.eval_results) == 1
    assert "\n" not in found.eval_results[0].metric_name


def test_config_json_says_what_the_model_is():
    config = json.loads(config_json(full_row(), CARD.replace(config={"image_shape": (3, 64, 64)})))
    assert (config["model_type"], config["architectures"]) == ("dcgan-bedrooms", ["DCGAN"])
    assert config["library_name"] == "genzoo" and config["config"] == {"image_shape": [3, 64, 64]}
    assert config["sha256"] == "ab" * 32 and config["condition"] is None


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_repository_gets_the_files(hub, row, weights):
    files = {"config.json": config_json(row, CARD)}
    text = model_card(row, CARD)
    final = push("hf:ada/one", name=row.name, weights=weights, row=row, card_text=text, files=files)
    revision = final.sources[0].removeprefix("hf:ada/one@")[:40]
    assert json.loads(hub.files["ada/one", revision, "config.json"])["model_type"] == row.name


def test_every_dataset_of_the_hub_is_one_that_genzoo_knows():
    from genzoo.datasets import NAMES

    assert DATASETS.keys() <= NAMES.keys() and all(repo.count("/") == 1 for repo in DATASETS.values())
