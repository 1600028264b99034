"""Hostile files and plugins, made by seeded code: each has a right outcome, and each is tried in a process of
its own with a deadline.

A corpus is a function of an empty folder that yields cases: a label, and a check that returns "" or says what
is wrong.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from faults import asked

from genzoo.errors import GenzooError

Case = tuple[str, Callable[[], str]]
PLUGIN_SECONDS = 8.0  # that a broken plugin may cost a listing, with the deadline below
PLUGIN_DEADLINE = "2"


def refused(work: Callable[[], object], right: Callable[[Any], bool] = lambda found: False) -> str:
    """Return "" where `work` is refused in one safe line of genzoo's, or returns what is `right`; else what
    is wrong."""
    try:
        found = work()
    except GenzooError as error:
        line = str(error)
        return "" if line.isprintable() and len(line) < 3000 else f"no line for a terminal: {line!r:.200}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"
    return "" if right(found) else f"accepted: {found!r:.200}"


def play(corpus: Callable[[Path], Iterator[Case]], folder: Path, every: int = 1) -> tuple[int, list[str]]:
    """Return how many cases were tried and what went wrong; `every` picks each so many-th."""
    count, wrong = 0, []
    for number, (label, check) in enumerate(corpus(folder)):
        if number % every:
            continue
        count += 1
        told = asked(lambda check=check: check() or "right")  # type: ignore[misc]
        if told != "right":
            wrong.append(f"{label}: {told}")
    return count, wrong


# Weights


def weights(folder: Path) -> Iterator[Case]:
    """Yield files that are not what the model expects; what is accepted all the same must hold the very
    tensors."""
    import torch
    import toys

    from genzoo.models import golden
    from genzoo.models.weights import build_filled, encode

    net = toys.gan()
    blob = encode(net, "toy-gan", golden.record(net))
    expected = net.state_dict()

    def same(model: Any) -> bool:
        return all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())

    for label, data in [*damaged_headers(blob), *damaged_tensors(blob)]:
        yield label, partial(refused, partial(build_filled, toys.CARDS["toy-gan"], data, "the file"), same)


def _header(blob: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(blob[:8], "little")
    return json.loads(blob[8 : 8 + size]), blob[8 + size :]


def _file(header: dict[str, Any] | str, body: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + body


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1.5,
    "",
    "x",
    "\x1b[31m",
    "F64",
    "BF16",
    "I32",
    "BOOL",
    "F4",
]
ODD += [[], [-1], [0, 0], [2**62, 2**62], {}, [[1]]]


def damaged_headers(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield files whose header is damaged: bytes, values, keys that stand twice, facts, and sizes that are
    lies."""
    dice, size = random.Random("weights"), int.from_bytes(blob[:8], "little")
    header, body = _header(blob)
    tensors = [key for key in header if key != "__metadata__"]
    for number in range(150):
        data = bytearray(blob)
        for _ in range(dice.choice((1, 1, 2, 8, 64))):
            data[dice.randrange(8 + size) if number % 5 else dice.randrange(8)] = dice.randrange(256)
        yield f"header bytes {number}", bytes(data)
    for _ in range(120):
        damaged = json.loads(json.dumps(header))
        key = dice.choice(tensors)
        what = dice.choice(("dtype", "shape", "data_offsets"))
        odd = dice.choice(ODD)
        damaged[key][what] = odd
        yield f"{key} {what} {odd!r:.30}", _file(damaged, body)
    facts = json.loads(header["__metadata__"]["genzoo"])
    for key in ("format", "config", "storage", "golden"):
        for odd in ODD:
            told = json.dumps({**facts, key: odd})
            # no golden check is a lack, not a fault
            if facts[key] != odd and not (key == "golden" and odd == {}):
                yield f"fact {key} {odd!r:.30}", _file({**header, "__metadata__": {"genzoo": told}}, body)
    text = json.dumps(header)
    for key in (tensors[0], "__metadata__"):
        yield f"{key} twice", _file(f"{text[:-1]}, {json.dumps(key)}: {json.dumps(header[key])}}}", body)
    for label, lie in (
        ("giant", 2**64 - 1),
        ("longer than all", len(blob)),
        ("of 100 MB", 10**8),
        ("none", 0),
        ("less", size - 1),
    ):
        yield f"header {label}", lie.to_bytes(8, "little") + blob[8:]
    yield "deep header", _file("[" * 200_000, body)
    yield "other metadata", _file({**header, "__metadata__": {"format": "pt"}}, body)
    yield "no metadata", _file({key: header[key] for key in tensors}, body)
    yield "lone surrogate", _file({**header, "\udcff": header[tensors[0]]}, body)


def damaged_tensors(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield files that are cut, too long, of another kind, of other tensors, or hold values that are not
    finite."""
    from safetensors.torch import load, save

    dice, header = random.Random("tensors"), _header(blob)[0]
    for size in [*range(64), *(dice.randrange(len(blob)) for _ in range(60))]:
        yield f"cut at {size}", blob[:size]
    yield "longer", blob + bytes(1)
    for label, data in (
        ("html", b"<!DOCTYPE html>" * 99),
        ("pickle", b"\x80\x04\x95" + bytes(80)),
        ("zip", b"PK\x03\x04" + bytes(99)),
    ):
        yield label, data
    tensors = load(blob)
    for key, value in tensors.items():
        for label, other in (
            ("left out", None),
            ("flat and one more", value.flatten().repeat(2)),
            ("double", value.double()),
            ("bool", value.bool()),
            *(
                (f"{odd}", value * 0 + odd)
                for odd in (float("nan"), float("inf"), float("-inf"))
                if value.is_floating_point()
            ),
        ):
            changed = (
                {k: v for k, v in tensors.items() if k != key}
                if other is None
                else {**tensors, key: other.contiguous()}
            )
            yield f"{key} {label}", save(changed, metadata=header["__metadata__"])
    yield (
        "one more",
        save(
            {**tensors, "more\x1b[2J": tensors[next(iter(tensors))].clone()}, metadata=header["__metadata__"]
        ),
    )


# zoo.toml


def ledgers(folder: Path) -> Iterator[Case]:
    """Yield ledgers in which something is wrong: no other row is lost or changed, and it takes no second."""
    import importlib

    reading = importlib.import_module("ledger.test_reading")
    for seed in range(1000, 1220):  # others than those of the suite
        data, name = reading.mutated(seed)
        yield f"line {seed}", partial(_others_stay, data, {name})
    text = reading.ZOO.read_bytes()
    heads = [
        at for at in range(len(text)) if text.startswith(b"\n[", at) and not text.startswith(b"\n[[", at)
    ]
    names = [text[at + 2 : text.index(b"]", at)].decode() for at in heads]
    dice = random.Random("ledger")
    for number in range(220):
        data, place = bytearray(text), dice.randrange(heads[0], len(text))
        row = max(index for index, at in enumerate(heads) if at <= place)
        for at in range(place, min(place + dice.choice((1, 1, 1, 3, 40)), [*heads, len(text)][row + 1])):
            data[at] = dice.choice(b"\x00\x1b[]{}'\"=#\\\n.,abc\xff\xe9 019")
        # a lost header joins two rows
        yield (f"bytes {number}", partial(_others_stay, bytes(data), {names[row], names[max(row - 1, 0)]}))
    for number, bad in enumerate(reading.hostile()):
        data = bad.encode("utf-8", "surrogateescape")[: 10**6]
        yield (
            f"hostile {number}",
            partial(refused, partial(reading.parse_rows, data, Path("z")), lambda found: True),
        )


def _others_stay(data: bytes, spoilt: set[str]) -> str:
    from genzoo.ledger.reading import parse_rows, read_rows

    whole = read_rows(Path(__file__).resolve().parent.parent / "zoo.toml")
    begun = time.process_time()
    try:
        found = parse_rows(data, Path("zoo.toml"))
    except GenzooError as error:
        return f"no row is left: {error}"
    if time.process_time() - begun > 1:
        return "it takes more than a second"
    if any(not problem.isprintable() for problem in found.problems):
        return f"no line for a terminal: {found.problems!r:.200}"
    lost = [
        name
        for name, row in whole.items()
        if name not in spoilt
        and found.get(name, row.replace(origin=Path())).replace(origin=Path()) != row.replace(origin=Path())
    ]
    lost += [name for name in whole if name not in spoilt and name not in found]
    quiet = {name for name in whole if name not in found} and not found.problems
    return f"rows lost or changed: {lost}" if lost else "a row is lost without a word" if quiet else ""


# Plugins

MORE = {  # name of the fault -> source; those of tests/test_registry.py are tried too
    "raises-late": "import genzoo\ndef late():\n    raise OSError('late')\nlate()",
    "memory": "raise MemoryError",
    "unicode": "raise UnicodeDecodeError('utf-8', b'\\xff', 0, 1, 'no')",
    "group": (
        "class Many(Exception):\n    def __str__(self):\n        return '\\n'.join(map(str, "
        "range(10_000)))\nraise Many"
    ),
    "stop": "raise StopIteration",
    "asks-stdin": "input('your name? ')",
    "bare-exit": "exit()",
    "null-bytes": "x = 1\n\0",
    "tabs": "if True:\n\tx = 1\n        y = 2",
    "cards-of-stranger": (
        "@genzoo.hookimpl\ndef genzoo_cards():\n    class Card: name = 'x'\n    return [Card()]"
    ),
    "cards-infinite": (
        "import itertools\n@genzoo.hookimpl\ndef genzoo_cards():\n    return itertools.repeat(card('again'))"
    ),
    "card-name-long": "@genzoo.hookimpl\ndef genzoo_cards():\n    return [card('x' * 100_000)]",
    "card-name-number": "@genzoo.hookimpl\ndef genzoo_cards():\n    return [card(7)]",
    "card-family": (
        "@genzoo.hookimpl\ndef genzoo_cards():\n    return [Card(name='x', family='odd', model='a:b')]"
    ),
    "card-model": (
        "@genzoo.hookimpl\ndef genzoo_cards():\n    return [Card(name='x', "
        "family=Family.IMPLICIT, model='os.system(1)')]"
    ),
    "claims-many": (
        "@genzoo.hookimpl\ndef genzoo_cards():\n    return [card('mine'), card('vae'), card('dcgan')]"
    ),
    "datasets-none": "@genzoo.hookimpl\ndef genzoo_datasets():\n    return {None: print}",
    "ledgers-url": "@genzoo.hookimpl\ndef genzoo_ledgers():\n    return ['https://example.org/zoo.toml']",
    "hook-twice-wrong": "@genzoo.hookimpl\ndef genzoo_cards(a, b, c):\n    return []",
    "api-list": "genzoo_api = [1]\n@genzoo.hookimpl\ndef genzoo_cards():\n    return [card('api')]",
}


def plugins(folder: Path) -> Iterator[Case]:
    """Yield plugins that are broken: each is left out with a reason in one line, and all others are as usable
    as before, in time."""
    import test_registry

    hangs = test_registry.HANGS | getattr(test_registry, "ENDS", {})
    sources = {name: source for name, (source, _) in test_registry.FAULTS.items()} | hangs | MORE
    calm = folder / "calm"
    calm.mkdir()
    usual = sorted(_listing(calm)[0]["cards"])
    for name, source in sources.items():
        yield (
            name,
            partial(_left_out, folder / name, name, source, test_registry.OBJECTS.get(name, ""), usual),
        )


def _listing(folder: Path) -> tuple[dict[str, Any], str]:
    from test_registry import run

    return run(folder, GENZOO_PLUGIN_TIMEOUT=PLUGIN_DEADLINE, GENZOO_CACHE=str(folder / "cache"))


def _left_out(folder: Path, name: str, source: str, attribute: str, usual: list[str]) -> str:
    from test_registry import GOOD, install

    folder.mkdir()
    install(folder, "zzz-good", GOOD.format(name="good-last"))
    module = f"mod_ill_{name.replace('-', '_')}"
    install(folder, f"ill-{name}", source, f"[genzoo]\nill-{name} = {module}{attribute}\n")
    begun = time.monotonic()
    try:
        found, told = _listing(folder)
    except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
        return f"the listing failed: {error!r:.300}"
    if time.monotonic() - begun > PLUGIN_SECONDS:
        return f"it took {time.monotonic() - begun:.1f} s"
    (report,) = [report for report in found["reports"] if report["name"] == f"ill-{name}"]
    lines = [line for line in told.splitlines() if f"'ill-{name}'" in line and "is left out" in line]
    if (
        report["loaded"]
        or not report["reason"].isprintable()
        or len(lines) != 1
        or not lines[0].isprintable()
    ):
        return f"not refused in one line: {report}, {lines}"
    missing = {*usual, "good-last"} - set(found["cards"])
    return f"unusable now: {sorted(missing)}" if missing else ""


# Images


def images(folder: Path) -> Iterator[Case]:
    """Yield folders in which one file is hostile (it is skipped and counted, or is an image), and arrays and
    idx files that are damaged."""
    from genzoo.data import open_data

    open_data("digits")  # what is slow is imported once
    dice, good = random.Random("images"), _pictures()
    for form, data in good.items():
        for number in range(40):
            bad = bytearray(data)
            for _ in range(dice.choice((1, 1, 4, 32))):
                bad[dice.randrange(len(bad) if number % 2 else min(64, len(bad)))] = dice.randrange(256)
            yield f"{form} bytes {number}", partial(_one_among_good, folder, f"x.{form}", bytes(bad))
        for number in range(12):
            cut = dice.randrange(len(data))
            yield f"{form} cut at {cut} ({number})", partial(_one_among_good, folder, f"x.{form}", data[:cut])
    for label, data in bombs():
        yield label, partial(_one_among_good, folder, "bomb.png", data, True)
    for label, place in (
        ("fifo", os.mkfifo),
        ("folder", os.mkdir),
        ("/dev/zero", partial(os.symlink, "/dev/zero")),
        ("lost link", partial(os.symlink, "nowhere")),
        ("loop", partial(os.symlink, "x.png")),
    ):
        yield label, partial(_one_among_good, folder, "x.png", place, label not in ("folder",))
    for suffix, data in (("npz", _npz()), ("npz", _npz(True)), ("idx3-ubyte", _idx())):
        for number in range(60):
            bad = bytearray(data)
            for _ in range(dice.choice((1, 2, 16))):
                bad[dice.randrange(len(bad) if number % 3 else min(48, len(bad)))] = dice.randrange(256)
            data_or_cut = bytes(bad) if number % 4 else data[: dice.randrange(len(data))]
            yield (
                f"{suffix} {number}",
                partial(_refused_or_images, folder, f"x{number}-{len(data)}.{suffix}", data_or_cut),
            )
    for label, data in lying_arrays():
        yield (
            label,
            partial(_refused_or_images, folder, f"lie-{len(label)}-{label[:3]}.{label.split()[0]}", data),
        )


def _pictures() -> dict[str, bytes]:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    found = {}
    for suffix, form in {
        "png": "PNG",
        "jpg": "JPEG",
        "tif": "TIFF",
        "gif": "GIF",
        "bmp": "BMP",
        "webp": "WEBP",
        "ppm": "PPM",
    }.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, form)
        found[suffix] = buffer.getvalue()
    return found


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield small PNGs that claim to be large, or of no size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for width, height in ((50_000, 50_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1), (0, 0), (20_000, 20_000)):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        rows = zlib.compress(bytes(10**7))
        yield (
            f"png of {width}x{height}",
            b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""),
        )
    text = chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2 * 10**8)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    yield "png with 200 MB of text", b"\x89PNG\r\n\x1a\n" + head + text + chunk(b"IEND", b"")


def _one_among_good(
    folder: Path, name: str, bad: bytes | Callable[[str], object], certain: bool = False
) -> str:
    """Judge a folder of three good images and a bad one; where that is `certain` to be no image it must be
    skipped."""
    import shutil

    from genzoo.data import open_data

    place = folder / "photos"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for number, data in enumerate(list(_pictures().values())[:3]):
        (place / f"good-{number}.{list(_pictures())[number]}").write_bytes(data)
    (place / name).write_bytes(bad) if isinstance(bad, bytes) else bad(str(place / name))
    try:
        found = open_data(place, image_shape=(3, 8, 8), val_split=0, cache=False)
    except BaseException as error:  # noqa: BLE001 - three good images are there
        return f"the good ones are lost: {type(error).__name__}: {error}"
    if len(found) == 4:
        return "it was taken for an image" if certain else ""
    if len(found) != 3:
        return f"{len(found)} images"
    return (
        ""
        if sum(found.skipped.values()) == 1 or not isinstance(bad, bytes)
        else f"not counted: {dict(found.skipped)}"
    )


def _refused_or_images(folder: Path, name: str, data: bytes) -> str:
    from genzoo.data import Images, open_data

    (folder / name).write_bytes(data)
    try:
        return refused(
            partial(open_data, folder / name, val_split=0, cache=False),
            lambda found: isinstance(found, Images),
        )
    finally:
        (folder / name).unlink()


def _npz(packed: bool = False) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(
        buffer, images=np.random.default_rng(1).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    )
    return buffer.getvalue()


def _idx() -> bytes:
    return struct.pack(">HBB3I", 0, 8, 3, 6, 8, 8) + random.Random(3).randbytes(6 * 64)


def lying_arrays() -> Iterator[tuple[str, bytes]]:
    """Yield an npz and idx files that claim more than they hold, or that would run code as a pickle."""
    import zipfile

    import numpy as np

    for label, shape in (
        ("huge", "(1000000, 64, 64)"),
        ("overflow", "(4611686018427387904, 8, 8)"),
        ("negative", "(-1, 8, 8)"),
    ):
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(
                "images.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(1000)
            )
        yield f"npz {label}", buffer.getvalue()
    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([{"an": "object"}], object))
    yield "npz of objects", buffer.getvalue()
    for label, sizes in (("huge", (2**31, 64, 64)), ("overflow", (2**32 - 1,) * 3), ("empty", (0, 8, 8))):
        yield f"idx3-ubyte {label}", struct.pack(">HBB3I", 0, 8, 3, *sizes) + bytes(384)


CORPORA = {"weights": weights, "zoo.toml": ledgers, "plugins": plugins, "images": images}


if __name__ == "__main__":
    import tempfile

    for which in sys.argv[1:] or CORPORA:
        with tempfile.TemporaryDirectory() as room:
            tried, bad = play(CORPORA[which], Path(room))
        print(which, tried, *bad, sep="\n  ")
