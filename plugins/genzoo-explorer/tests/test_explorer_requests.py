"""What a page asks of models, and what it is answered: the same as genzoo's own functions give."""

import base64
import json

import pytest
import torch
from explorer_site import until
from genzoo_explorer import limits, pictures
from websockets.exceptions import ConnectionClosed

import genzoo
from genzoo.explore.completion import completions
from genzoo.explore.drawing import conditionals
from genzoo.images import quantise


def model_of(name):
    return genzoo.create(name, seed=0).eval()


def images_of(answer):
    """Return the pictures of an answer as uint8 (N, C, H, W)."""
    about = answer["pictures"]
    found = torch.frombuffer(bytearray(answer["bytes"]), dtype=torch.uint8)
    return found.view(about["n"], about["h"], about["w"], about["c"]).movedim(3, 1)


def sent(image):
    """Return an image (1, C, H, W) as a page sends it."""
    return base64.b64encode(quantise(image)[0].movedim(0, 2).contiguous().numpy().tobytes()).decode()


def near(found, expected):
    return (found.int() - quantise(expected).int()).abs().max() <= 1


def test_the_catalogue_has_every_model_and_hostile_words_as_they_are_but_for_control_characters(page, toys):
    found = page.ask("catalogue")
    assert [model["name"] for model in found["models"]] == [card.name for card in genzoo.cards()]
    (colour,) = (model for model in found["models"] if model["name"] == "toy-colour")
    assert "<script>" in colour["summary"] and "\u202e" not in colour["summary"]
    assert (found["first"], found["run"]) == ("", False)


def test_the_catalogue_has_the_legend_of_the_maps_of_a_model(page, toys):
    legends = {model["name"]: model["legend"] for model in page.ask("catalogue")["models"]}
    assert len(legends.pop("toy-map")) == 12 and not any(legends.values())
    drawn = next(model for model in page.ask("catalogue")["models"] if model["name"] == "toy-map")["legend"]
    assert drawn[1:3] == [{"name": "wall", "colour": "0032ff"}, {"name": "window", "colour": "0080ff"}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("toy-waves", {"latent": 3, "prior": "normal", "encodes": False, "mean": False, "pixels": False}),
        ("toy-shares", {"latent": 3, "encodes": True, "mean": True, "samples": True}),
        ("toy-hues", {"latent": 0, "pixels": True, "levels": 4, "shape": [3, 4, 4]}),
        ("toy-ways", {"translates": True, "latent": 0}),
    ],
)
def test_facts_are_what_the_class_says_of_itself(page, name, expected):
    facts = page.ask("open", model=name)["facts"]
    assert facts | expected == facts


def test_facts_state_the_condition(page, toys):
    ask = lambda name: page.ask("open", model=name)["facts"]["condition"]  # noqa: E731
    assert ask("toy-waves") is None
    assert ask("toy-kinds")["labels"] == list(toys.NAMES)
    assert ask("toy-said")["sentences"] == list(toys.SENTENCES)
    ways = ask("toy-ways")
    assert ways["both"] and ways["domains"] == [
        {"name": "colour", "shape": [3, 8, 8]}, {"name": "grey", "shape": [1, 8, 8]}
    ]  # fmt: skip


def test_samples_and_their_z_are_those_of_the_seed(page):
    found, model = page.ask("latents", model="toy-colour", n=5, seed=7), model_of("toy-colour")
    assert torch.equal(torch.tensor(found["z"]), model.sample_latents(5, 7))
    assert near(images_of(found), model.sample(5, 7))
    cut = page.ask("latents", model="toy-colour", n=5, seed=7, truncation=0.3)
    assert near(images_of(cut), model.sample(5, 7, truncation=0.3))
    assert torch.tensor(cut["z"]).abs().max() <= 0.3


def test_a_vae_shows_means_and_with_noise_samples(page):
    model = model_of("toy-shares")
    assert near(
        images_of(page.ask("latents", model="toy-shares", n=3, seed=1)), model.sample(3, 1, mean=True)
    )
    noisy = page.ask("latents", model="toy-shares", n=3, seed=1, noise=True)
    assert near(images_of(noisy), model.sample(3, 1))
    assert not near(images_of(noisy), model.sample(3, 1, mean=True))


def test_decode_shows_the_image_of_z(page):
    z = torch.tensor([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]])
    assert near(
        images_of(page.ask("decode", model="toy-waves", z=z.tolist())), model_of("toy-waves").decode(z)
    )


def test_a_label_by_number_and_a_sentence_are_given_to_the_model(page, toys):
    z = [[0.1, 0.2, 0.3]]
    kinds, said = model_of("toy-kinds"), model_of("toy-said")
    for label in range(3):
        found = images_of(page.ask("decode", model="toy-kinds", z=z, condition=label))
        assert near(found, kinds.decode(torch.tensor(z), label))
    for text in toys.SENTENCES:
        assert near(
            images_of(page.ask("decode", model="toy-said", z=z, condition=text)),
            said.decode(torch.tensor(z), text),
        )
    assert "did you mean 'flower'" in page.error("decode", model="toy-said", z=z, condition="a red flour")
    assert "label" in page.error("decode", model="toy-kinds", z=z, condition=9)
    assert "condition" in page.error("decode", model="toy-kinds", z=z)
    assert "condition" in page.error("decode", model="toy-waves", z=z, condition=1)


def test_directions_are_unit_vectors_and_kept(page, site):
    first = torch.tensor(page.ask("directions", model="toy-waves")["directions"])
    assert torch.allclose(first @ first.T, torch.eye(3), atol=1e-4)
    assert site.shelf.remembered("toy-waves", "directions", None, None, None) is not None
    assert torch.equal(first, torch.tensor(page.ask("directions", model="toy-waves")["directions"]))


def test_a_walk_has_both_ends(page):
    ends = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    found = page.ask("walk", model="toy-waves", z=ends, steps=5)
    z = torch.tensor(found["z"])
    assert torch.equal(z[[0, -1]], torch.tensor(ends)) and z.shape == (5, 3)
    assert torch.allclose(z.norm(dim=1), torch.ones(5), atol=1e-5)  # round the sphere
    assert near(images_of(found), model_of("toy-waves").decode(z))


def test_a_sum_is_that_of_the_means(page):
    plus, minus, more = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1))
    trays = {"plus": plus.tolist(), "minus": minus.tolist(), "more": more.tolist()}
    found = page.ask("sums", model="toy-waves", **trays)
    z = plus.mean(0) + more.mean(0) - minus.mean(0)
    assert torch.allclose(torch.tensor(found["z"][0]), z, atol=1e-5)
    assert found["parts"] == [9, 3, 1]
    assert near(images_of(found)[:1], model_of("toy-waves").decode(z[None]))
    assert "at least 3" in page.error("sums", model="toy-waves", plus=plus[:2].tolist())


def test_a_picture_is_encoded_and_its_reconstruction_has_an_error(page):
    model = model_of("toy-shares")
    x = model.decode(torch.tensor([[0.5, -0.5, 0.2]]))
    found = page.ask("encode", model="toy-shares", pixels=sent(x))
    assert torch.allclose(torch.tensor(found["z"]), torch.tensor([[0.5, -0.5, 0.2]]), atol=0.02)
    assert found["rmse"] < 0.01
    assert page.ask("encode", model="toy-shares", pixels=sent(torch.rand(1, 1, 8, 8)))["rmse"] > 0.1
    assert "encode" in page.error("encode", model="toy-waves", pixels=sent(x))


def test_a_picture_is_found_by_inversion_and_the_error_falls(page):
    x = model_of("toy-waves").decode(torch.tensor([[0.4, -0.3, 0.2]]))
    *found, last = page.all("invert", model="toy-waves", pixels=sent(x))
    errors = [answer["rmse"] for answer in found]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.02 < errors[0]
    assert found[-1]["step"] == found[-1]["steps"] == limits.INVERT_STEPS and last["done"]
    assert near(images_of(found[-1]), model_of("toy-waves").decode(torch.tensor(found[-1]["z"])))


@pytest.mark.parametrize(("name", "shape"), [("toy-dots", (1, 8, 8)), ("toy-hues", (3, 4, 4))])
def test_a_drawing_comes_value_by_value_with_probabilities(page, name, shape):
    model, top = model_of(name), model_of(name).levels - 1
    *parts, last = page.all("draw", model=name, seed=3)
    image = model.sample(1, 3)
    assert last["done"] and torch.equal(images_of(last), quantise(image))
    drawn = [level for part in parts for level in part["drawn"]]
    assert [part["first"] for part in parts] == [
        sum(len(p["drawn"]) for p in parts[:i]) for i in range(len(parts))
    ]
    assert drawn == (image[0].movedim(0, 2).flatten() * top).round().int().tolist()
    p = torch.tensor([p for part in parts for p in part["p"]])
    assert float(p.log().sum()) == pytest.approx(last["nats"], rel=1e-2)
    assert last["nats"] == pytest.approx(float(model.log_prob(image)), rel=1e-4)


def test_a_temperature_reaches_the_sampler(page):
    *_, last = page.all("draw", model="toy-dots", seed=3, temperature=0.2)
    assert torch.equal(images_of(last), quantise(model_of("toy-dots").sample(1, 3, temperature=0.2)))
    assert "temperature" in page.error("draw", model="toy-dots", temperature=-1)


def test_the_conditional_of_a_pixel_and_its_context(page):
    model = model_of("toy-hues")
    x = model.sample(1, 4)
    found = page.ask("conditional", model="toy-hues", pixels=sent(x), row=2, column=1)["p"]
    assert torch.allclose(torch.tensor(found), conditionals(model, x)[:, 2, 1], atol=1e-5)
    seen = page.ask("context", model="toy-dots", row=2, column=3)
    grid = torch.frombuffer(bytearray(seen["bytes"]), dtype=torch.uint8).view(8, 8)
    assert grid.nonzero().tolist() == [[1, 3], [2, 2]]  # above, and to the left
    assert (seen["seen"], seen["earlier"]) == (2, 19)
    assert "row" in page.error("context", model="toy-dots", row=8, column=0)


def test_completions_keep_what_is_kept_and_come_with_their_likelihoods(page):
    model = model_of("toy-dots")
    x, mask = model.sample(1, 5), torch.zeros(8, 8, dtype=torch.bool)
    mask[:4] = True
    kept = base64.b64encode(mask.byte().numpy().tobytes()).decode()
    *_, found = page.all("complete", model="toy-dots", pixels=sent(x), mask=kept, seed=2)
    expected = completions(model, x, mask, limits.COMPLETIONS, 2)
    assert torch.equal(images_of(found), quantise(expected.drawn[0]))
    assert found["drawn"] == pytest.approx(expected.log_prob_drawn[0].tolist()) and found["exact"]


def test_log_p_of_a_picture_is_that_of_its_nearest_levels(page):
    model = model_of("toy-dots")
    grey = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    found = page.ask("log_prob", model="toy-dots", pixels=sent(grey))
    assert found["nats"] == pytest.approx(float(model.log_prob((grey > 0.5).float())), rel=1e-5)
    assert found["bits"] == pytest.approx(float(model.bits_per_dim((grey > 0.5).float())), rel=1e-5)
    assert set(images_of(found).flatten().tolist()) == {0, 255}


def test_a_picture_is_translated_both_ways(page):
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    x = quantise(x) / 255
    assert near(
        images_of(page.ask("translate", model="toy-ways", pixels=sent(x))), 1 - x.mean(1, keepdim=True)
    )
    grey = torch.full((1, 1, 8, 8), 0.4)
    back = images_of(page.ask("translate", model="toy-ways", pixels=sent(grey), to="colour"))
    assert back[0, :, 0, 0].tolist() == [0, 102, 102]
    assert "did you mean" in page.error("translate", model="toy-ways", pixels=sent(x), to="gray")


def test_samples_come_batch_by_batch(page):
    found = page.all("sample", model="toy-waves", n=40, seed=2)
    images = torch.cat([images_of(answer) for answer in found[:-1]])
    assert len(found) > 2 and torch.equal(images, quantise(model_of("toy-waves").sample(40, 2)))


def test_a_broken_model_is_one_message_and_the_others_go_on(page):
    for _ in range(2):
        words = page.error("latents", model="toy-broken")
        assert words == "RuntimeError: \ufffdthe decoder\ufffd is broken"
        assert page.ask("latents", model="toy-waves")["z"]


@pytest.mark.parametrize(
    "key", ["../x", "/etc/passwd", "hf:owner/repo", "runs/mine", "place", "x.safetensors", ".", "toy-waves#a"]
)
def test_a_place_is_no_model(page, key):
    assert "there is no model" in page.error("open", model=key)


PIXELS = base64.b64encode(bytes(64)).decode()


@pytest.mark.parametrize(
    ("do", "values"),
    [
        ("decode", {"z": []}),
        ("decode", {"z": [[1, 2]]}),
        ("decode", {"z": [[1, 2, "3"]]}),
        ("decode", {"z": "x"}),
        ("decode", {"z": [[1, 2, 1e39]]}),
        ("decode", {"z": [[1, 2, True]]}),
        ("decode", {"z": [[0] * 3] * 65}),
        ("decode", {}),
        ("latents", {"n": 65}),
        ("latents", {"n": 0}),
        ("latents", {"n": 1.5}),
        ("latents", {"seed": -1}),
        ("latents", {"seed": 2**53}),
        ("latents", {"seed": "1"}),
        ("latents", {"n": True}),
        ("latents", {"truncation": "x"}),
        ("latents", {"truncation": -1}),
        ("latents", {"condition": [1]}),
        ("latents", {"condition": "x" * 1001}),
        ("latents", {"noise": 1}),
        ("walk", {"z": [[1, 2, 3]] * 3}),
        ("walk", {"z": [[1, 2, 3]] * 2, "steps": 33}),
        ("invert", {"pixels": "%%%"}),
        ("invert", {"pixels": PIXELS[:-4]}),
        ("invert", {"pixels": PIXELS + "AAAA"}),
        ("invert", {"pixels": 3}),
        ("invert", {}),
        ("sample", {"n": 10**9}),
        ("draw", {}),
        ("complete", {}),
        ("nothing", {}),
        ("open", {"model": 3}),
        ("open", {"model": ""}),
        ("__class__", {}),
        ("translate", {"pixels": PIXELS}),
    ],
)
def test_a_wrong_value_is_one_error_and_the_next_request_is_answered(page, do, values):
    words = page.error(do, **{"model": "toy-waves", **values})
    assert words and len(words) < 1100 and "\n" not in words
    assert page.ask("decode", model="toy-waves", z=[[0, 0, 0]])["pictures"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        '{"id": "x", "do": "open"}',
        '{"id": 1}',
        '{"do": "open"}',
        "[" * 50_000,
        '{"id": NaN, "do": "open"}',
        '{"id": 1, "do": "decode", "model": "toy-waves", "z": [[Infinity, 0, 0]]}',
        '{"id": 1, "do": 7}',
    ],
)
def test_what_is_no_request_is_one_error(page, text):
    page.wire.send(text)
    assert "request" in page.receive()["error"]
    assert page.ask("catalogue")["models"]


def test_a_request_is_taken_back_and_the_one_after_it_answered(page, toys):
    number = page.send("draw", model="toy-slow")
    assert page.receive()["id"] == number
    page.wire.send(json.dumps({"cancel": number}))
    after = page.send("decode", model="toy-waves", z=[[0, 0, 0]])
    while (answer := page.receive())["id"] == number:
        assert "done" not in answer
    assert answer["id"] == after


def test_the_work_of_a_page_that_left_ends(site, toys):
    with site.page() as page:
        page.send("draw", model="toy-slow", seed=1)
        page.send("draw", model="toy-slow", seed=2)
        page.receive()
    until(lambda: site.worker.waiting == 0)
    passes = toys.Dots.passes
    with site.page() as other:
        assert other.ask("open", model="toy-waves")
    assert toys.Dots.passes <= passes + 1  # of 128 that both drawings would have taken


def test_no_more_than_some_requests_wait(site, toys):
    toys.Locked.entered.clear(), toys.Locked.go_on.clear()
    with site.page() as page:
        z = [[0, 0, 0]]
        for _ in range(limits.WAITING + 1):
            last = page.send("decode", model="toy-locked", z=z)
        answer = page.receive()
        toys.Locked.go_on.set()
    assert answer["id"] == last and "requests wait" in answer["error"]
    until(lambda: site.worker.waiting == 0)


def test_a_page_that_asks_too_often_is_held_up(site, monkeypatch):
    monkeypatch.setattr(limits, "BURST", 2)
    monkeypatch.setattr(limits, "PER_SECOND", 5)
    import time

    with site.page() as page:
        began = time.monotonic()
        for _ in range(6):
            page.ask("catalogue")
        assert time.monotonic() - began > 0.6


def test_a_page_that_does_not_read_is_disconnected_and_bounded(site, monkeypatch):
    monkeypatch.setattr(limits, "UNREAD", 10_000)
    with site.page(max_queue=1) as page, pytest.raises(ConnectionClosed):
        for _ in range(50):
            page.send("latents", model="toy-colour", n=64)
        while True:
            page.receive()
    until(lambda: site.worker.waiting == 0)


def test_only_some_models_stay_in_memory(page, site):
    names = ["toy-waves", "toy-colour", "toy-shares", "toy-dots", "toy-hues", "toy-kinds"]
    page.ask("directions", model=names[0])
    for name in names:
        page.ask("open", model=name)
    assert list(site.shelf._loaded) == names[-limits.LOADED :]
    assert site.shelf.remembered(names[0], "directions", None, None, None) is None


def test_what_is_kept_for_a_model_is_bounded(site):
    for number in range(1_100):
        site.shelf.remember(number, "toy-dots", number)
    assert len(site.shelf._memory) <= 1_000 and site.shelf.remembered("toy-dots", 1_099) == 1_099


@pytest.mark.parametrize("name", ["toy-waves", "toy-shares", "toy-dots", "toy-kinds", "toy-said"])
def test_a_thumbnail_is_the_first_sample_and_displaces_no_model(page, site, toys, name):
    before = list(site.shelf._loaded)
    found, model = images_of(page.ask("thumbnail", model=name)), model_of(name)
    given = {"toy-kinds": {"condition": 0}, "toy-said": {"condition": toys.SENTENCES[0]}}.get(name, {})
    assert near(found, model.sample(1, 0, mean=name == "toy-shares", **given))
    assert list(site.shelf._loaded) == before


def test_a_thumbnail_is_drawn_once(page, site, monkeypatch):
    lent = []
    monkeypatch.setattr(site.shelf, "lent", lambda key: lent.append(key) or model_of(key))
    site.shelf.thumbnails.pop("toy-waves", None)
    first, again = (images_of(page.ask("thumbnail", model="toy-waves")) for _ in range(2))
    assert torch.equal(first, again)
    assert lent == ["toy-waves"]


def test_a_model_without_samples_has_no_thumbnail(page, toys):
    assert all("pictures" not in answer for answer in page.all("thumbnail", model="toy-ways"))
    page.error("thumbnail", model="../etc")


def test_few_images_are_computed_by_one_thread_and_the_others_come_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        seen = []
        for count in (1, pictures.FEW, pictures.FEW + 1):
            with pictures.few_threads(count):
                seen.append(torch.get_num_threads())
        assert seen == [1, 1, 2] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
