"""What `faults.py` interrupts: one Scenario each, for the tests and for the table of SECURITY.md. torch is
imported where it is needed."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from faults import Scenario
from pytest import MonkeyPatch

from genzoo.files import digest_path
from genzoo.hub import pull, pull_bytes, push
from genzoo.ledger import Row, add_row, read_rows

NAME = "dcgan-bedrooms"
OLD, NEW, OTHER = (random.Random(seed).randbytes(30_000) for seed in (0, 1, 2))
FOREIGN = ("version = 2\n", "[other.extra]\nx = 1\n")


def publish(folder: Path, weights: bytes, licence: str, name: str = NAME) -> Row:
    """Push `weights` to the hub in `folder`, with all that must agree with them."""
    digest = hashlib.sha256(weights).hexdigest()
    row = Row(name=name, sha256=digest, bytes=len(weights), sources=("folder:x",), licence=licence)
    told = f"{digest} {licence}"
    return push(
        folder / "hub",
        name=name,
        weights=weights,
        row=row,
        card_text=told,
        files={"scores.json": told.encode()},
    )


def hub_state(folder: Path) -> str:
    """Pull from the hub with an empty cache, hold all that lies in it against its rows, and name what is
    published."""
    os.environ["GENZOO_CACHE"] = tempfile.mkdtemp(dir=folder)
    hub = folder / "hub"
    if not (hub / "zoo.toml").exists():
        return "nothing"
    rows = read_rows(hub / "zoo.toml")
    for name, row in rows.items():
        told = f"{row.sha256} {row.licence}"
        pull_bytes(row)
        if (hub / row.card).read_text() != told:
            return f"wrong: the card of {name} is not about its weights"
        if name == NAME and (hub / "scores.json").exists() and (hub / "scores.json").read_text() != told:
            return "wrong: the scores are not those of the weights"
    if NAME not in rows:
        return f"wrong: rows {list(rows)}, {rows.problems}"
    return f"{'new' if pull_bytes(rows[NAME]) == NEW else 'old'} weights, {rows[NAME].licence}"


def first_state(folder: Path) -> str:
    """Judge a hub that was not there before."""
    return {"nothing": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def next_state(folder: Path) -> str:
    """Judge a hub that had another model, an older result and keys of a newer genzoo."""
    text = (folder / "hub" / "zoo.toml").read_text()
    if "[other]" not in text or not all(words in text for words in FOREIGN):
        return "wrong: what others wrote is gone"
    return {"old weights, CC0": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def facts_state(folder: Path) -> str:
    """Judge a hub that had the same weights with other facts."""
    return {"new weights, CC0": "old", "new weights, MIT": "new"}.get(found := hub_state(folder), found)


def _older(folder: Path) -> None:
    """Leave another model, an older result, keys of a newer genzoo, and files of the past that no row
    names."""
    publish(folder, OTHER, "MIT", "other")
    publish(folder, OLD, "CC0")
    path = folder / "hub" / "zoo.toml"
    path.write_text(FOREIGN[0] + path.read_text() + FOREIGN[1])
    for name in (f"{NAME}-{'0' * 16}.safetensors", f"{NAME}-{'1' * 16}.md", f".genzoo-{'2' * 16}.tmp"):
        (folder / "hub" / name).write_text("old")
        os.utime(folder / "hub" / name, (time.time() - 10**6,) * 2)


FIRST = Scenario(
    "first push to a folder", lambda folder: None, lambda folder: publish(folder, NEW, "MIT"), first_state
)
AGAIN = Scenario("push over an older model", _older, lambda folder: publish(folder, NEW, "MIT"), next_state)
FACTS = Scenario(
    "push of other facts",
    lambda folder: publish(folder, NEW, "CC0"),
    lambda folder: publish(folder, NEW, "MIT"),
    facts_state,
)


# One row of a ledger


def _row(weights: bytes, licence: str) -> Row:
    return Row(
        name=NAME,
        sha256=hashlib.sha256(weights).hexdigest(),
        bytes=len(weights),
        sources=("folder:x",),
        licence=licence,
    )


def _with_rows(folder: Path) -> None:
    add_row(folder / "zoo.toml", _row(OTHER, "MIT").replace(name="other"))
    add_row(folder / "zoo.toml", _row(OLD, "CC0"))


def row_state(folder: Path) -> str:
    """Judge a ledger of two rows, of which one is replaced."""
    rows = read_rows(folder / "zoo.toml")
    if set(rows) != {NAME, "other"} or rows.problems:
        return f"wrong: rows {list(rows)}, {rows.problems}"
    told = rows[NAME].replace(origin=Path())
    return {
        repr(_row(OLD, "CC0").replace(origin=Path())): "old",
        repr(_row(NEW, "MIT").replace(origin=Path())): "new",
    }.get(repr(told), f"wrong: {told}")


ROW = Scenario(
    "row of a ledger", _with_rows, lambda folder: add_row(folder / "zoo.toml", _row(NEW, "MIT")), row_state
)


# Pulling into the cache


def _pull(folder: Path) -> None:
    os.environ["GENZOO_CACHE"] = str(folder / "cache")
    assert pull(read_rows(folder / "hub" / "zoo.toml")[NAME]).read_bytes() == NEW


def cached_state(folder: Path) -> str:
    """Judge a cache that was empty: what lies under the name of a digest must have it."""
    path = digest_path(folder / "cache" / "weights", hashlib.sha256(NEW).hexdigest(), ".safetensors")
    if not path.exists():
        return "old"
    return "new" if path.read_bytes() == NEW else "wrong: the cached file is not what its name says"


FETCH = Scenario("pull from a folder", lambda folder: publish(folder, NEW, "MIT"), _pull, cached_state)


@contextlib.contextmanager
def _server() -> Iterator[None]:
    """Serve NEW on loopback as the Hub would, to this process and its children."""
    made = importlib.import_module("hub.conftest")
    hub = made.HubServer({(made.REPO, made.REVISION, made.FILE): NEW})
    before, server = dict(os.environ), made.start(hub)
    os.environ["HF_ENDPOINT"] = hub.url
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.shutdown()
        server.server_close()


def _on_hub(folder: Path) -> None:
    made = importlib.import_module("hub.conftest")
    (folder / "hub").mkdir()
    add_row(
        folder / "hub" / "zoo.toml",
        _row(NEW, "MIT").replace(sources=(f"hf:{made.REPO}@{made.REVISION}:{made.FILE}",)),
    )


DOWNLOAD = Scenario("pull from the Hub", _on_hub, _pull, cached_state, around=_server)


# The decoded images of a folder


@contextlib.contextmanager
def _warm() -> Iterator[None]:
    """Import what is slow, so that no child must; the engine of gradients is not started, for it does not
    survive a fork everywhere."""
    import torch._dynamo  # noqa: F401  by the first optimiser otherwise, and that is a matter of seconds

    import genzoo.training.train  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), 1)
    yield


def _photos(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    (folder / "photos").mkdir()
    for seed in range(5):
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{seed}.png")
    (folder / "photos" / "bad.png").write_bytes(b"no image")


def _open(folder: Path, cache: bool = True) -> Any:
    from genzoo.data import open_data

    os.environ["GENZOO_CACHE"] = str(folder / "cache")
    return open_data(folder / "photos", image_shape=(3, 8, 8), val_split=0, cache=cache)


def decoded_state(folder: Path) -> str:
    """Judge the decoded images: they are those of the folder, and "new" where they need not be decoded once
    more."""
    from PIL import ImageFile

    expected, decoded, load = _open(folder, cache=False), [], ImageFile.ImageFile.load
    ImageFile.ImageFile.load = lambda image: (decoded.append(image), load(image))[1]
    try:
        found = _open(folder)
    finally:
        ImageFile.ImageFile.load = load
    if found.pixels.tobytes() != expected.pixels.tobytes() or found.skipped != expected.skipped:
        return "wrong: other pixels"
    return "old" if decoded else "new"


DECODED = Scenario("decoded images of a folder", _photos, _open, decoded_state, around=_warm, comfort=True)


# A run: its checkpoint, and what it publishes


def _run(folder: Path, steps: int) -> Any:
    """Return a run of the toy, taken up where it was left."""
    import toys

    from genzoo.data import open_data
    from genzoo.training.hardware import choose
    from genzoo.training.loop import Run

    recipe = toys.RECIPE.replace(steps=steps, ema=0.9)
    run = Run(
        toys.gan(),
        recipe,
        open_data("digits", val_split=0).subset(slice(0, 64)),
        choose(recipe, "cpu"),
        folder,
    )
    if run.checkpoint.exists():
        run.resume()
    return run


def _save_to(folder: Path, step: int) -> None:
    run = _run(folder, 9)
    while run.step < step:
        run.play_round()
        run.save()


def _bits(path: Path) -> tuple[int, str]:
    """Return step and digest of the tensors of a checkpoint that can be read."""
    from genzoo.training import checkpoint

    tensors, facts = checkpoint.read(path)
    told = hashlib.sha256()
    for key in sorted(tensors):
        told.update(key.encode() + tensors[key].contiguous().numpy().tobytes())
    return facts.step, told.hexdigest()


def _two_checkpoints(folder: Path) -> None:
    """Leave checkpoints of the first and the second round, and write down what each round ends in."""
    known = {}
    for step in (1, 2, 3):
        with tempfile.TemporaryDirectory() as other:
            _save_to(Path(other), step)
            known[step] = _bits(Path(other) / "checkpoint.safetensors")[1]
    _save_to(folder, 2)
    (folder / "known.json").write_text(json.dumps(known))


def checkpoint_state(folder: Path) -> str:
    """Judge the last checkpoint, of the second or the third round, and the one before it, which may be
    missing and not damaged."""
    from genzoo.training import checkpoint

    known = json.loads((folder / "known.json").read_text())
    step, bits = _bits(folder / checkpoint.NAME)
    if known.get(str(step)) != bits:
        return f"wrong: the checkpoint of step {step} holds other bits"
    if (folder / checkpoint.PREVIOUS).exists():
        earlier, bits = _bits(folder / checkpoint.PREVIOUS)
        if known.get(str(earlier)) != bits or earlier > step:
            return f"wrong: the checkpoint kept before step {step} is of step {earlier}, or holds other bits"
    _run(folder, 9)  # which goes on from it
    return {2: "old", 3: "new"}.get(step, f"wrong: step {step}")


CHECKPOINT = Scenario(
    "checkpoint over an older one",
    _two_checkpoints,
    partial(_save_to, step=3),
    checkpoint_state,
    around=_warm,
)


def _train(folder: Path, steps: int, out: str = "run") -> None:
    import toys

    from genzoo.data import open_data
    from genzoo.training import loop
    from genzoo.training.report import Report
    from genzoo.training.train import train

    data = open_data("digits", val_split=0).subset(slice(0, 64))
    settings = {"ema": 0.5, "val_split": 0.0}
    with MonkeyPatch.context() as patch:  # the scenarios are also played in the process of the tests
        patch.setattr(loop, "FIRST_SECONDS", 0.0)  # a checkpoint after every round
        patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
        # no sample grids: they are not what is tested here
        patch.setattr(Report, "checkpoint", lambda self: None)
        train(
            toys.CARDS["toy-gan"],
            data,
            folder / out,
            steps,
            resume="auto",
            settings=settings,
            device="cpu",
            quiet=True,
            scored=False,
        )


def _trained(folder: Path) -> None:
    """Leave a run of two rounds that has published its weights, and write down what two and three rounds end
    in."""
    known = {}
    for steps in (2, 3):
        _train(folder, steps, f"other-{steps}")
        known[steps] = read_rows(folder / f"other-{steps}" / "zoo.toml")["toy-gan"].sha256
    _train(folder, 2)
    (folder / "known.json").write_text(json.dumps(known))


def published_state(folder: Path) -> str:
    """Judge a run's folder as the hub that it is: the row, the weights that it pins, the card that it
    names."""
    os.environ["GENZOO_CACHE"] = tempfile.mkdtemp(dir=folder)
    known = json.loads((folder / "known.json").read_text())
    row = read_rows(folder / "run" / "zoo.toml")["toy-gan"]
    pull_bytes(row)
    if not (folder / "run" / row.card).read_text().strip():
        return "wrong: an empty card"
    return {known["2"]: "old", known["3"]: "new"}.get(row.sha256, "wrong: other weights")


PUBLISH = Scenario(
    "training and publishing over an older result",
    _trained,
    partial(_train, steps=3),
    published_state,
    around=_warm,
)
SCENARIOS = [FIRST, AGAIN, FACTS, ROW, FETCH, DOWNLOAD, DECODED, CHECKPOINT, PUBLISH]
