"""The data sets with a name: tiny ones in the formats of the real files, and the real ones where GENZOO_DATA
has them."""

import contextlib
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from genzoo.data import NAMES, named, open_data, remote
from genzoo.data.remote import fetch
from genzoo.datasets import FRAMES, Dataset, File
from genzoo.deadlines import Deadlines
from genzoo.errors import DataError
from genzoo.names import CORE_DATASETS

REAL = os.environ.get("GENZOO_DATA", "")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    return tmp_path


def both(name, **options):
    return [open_data(name, split=split, **options) for split in ("train", "test")]


def test_digits_are_there_without_anything():
    train, test = both("digits")
    assert (
        len(train) + len(test) == 1797
        and train.shape == (1, 8, 8)
        and set(train.labels) == set(range(10)) == set(test.labels)
    )
    assert (train.pixels.min(), train.pixels.max()) == (0, 255) and "CC BY 4.0" in train.facts["terms"]
    # these images stay held out for ever
    assert test.labels[:12].tolist() == [9, 9, 0, 2, 0, 6, 0, 9, 5, 9, 5, 6]
    digest = hashlib.sha256(train.pixels.tobytes() + test.pixels.tobytes()).hexdigest()
    assert digest == "d52bffe4f07a0ff31d0775605ac256a1fda3720daab52402ff8d9138206acadf"


def test_the_names_that_no_plugin_may_claim_are_those_that_open():
    assert set(CORE_DATASETS) == {*NAMES, "hf"}


def test_digits_are_those_of_scikit_learn():
    whole = open_data("digits", val_split=0)
    theirs = load_digits()
    assert np.array_equal(whole.pixels[:, 0], np.rint(theirs.images * 255 / 16)) and np.array_equal(
        whole.labels, theirs.target
    )


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("compress", [True, False])
def test_mnist_has_its_official_split(home, make, name, compress):
    written = make.mnist(home, name, compress=compress)
    for part, images in zip(("train", "t10k"), both(name, val_split=0.5), strict=True):
        assert np.array_equal(images.pixels[:, 0], written[f"{part}-images-idx3"])
        assert np.array_equal(images.labels, written[f"{part}-labels-idx1"]) and images.facts["source"].split(
            "-"
        )[-1].startswith("MNIST")
    assert open_data(name, image_shape=(3, 32, 32)).shape == (3, 32, 32)
    train, valid, fit = (open_data(name, split=split) for split in ("train", "valid", "fit"))
    assert len(valid) == len(train) // 6 and (valid.split, fit.split) == ("valid", "fit")  # 10,000 of 60,000
    assert np.array_equal(np.concatenate([fit.pixels, valid.pixels]), train.pixels)
    assert np.array_equal(np.concatenate([fit.labels, valid.labels]), train.labels)


def test_mnist_whose_labels_are_another_number(home, make):
    make.mnist(home, compress=False)
    (home / "mnist" / "train-labels-idx1-ubyte").write_bytes(make.idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match="do not belong together"):
        open_data("mnist")


def test_binarized_mnist_is_binary_and_has_three_splits(home):
    bits = {
        split: np.random.default_rng(n).integers(0, 2, (n, 784), dtype=np.uint8)
        for split, n in (("train", 9), ("valid", 4), ("test", 5))
    }
    labels = {f"{split}_labels": np.arange(len(b), dtype=np.uint8) for split, b in bits.items()}
    np.savez(
        home / "binarized_mnist.npz", **{split: np.packbits(b, axis=1) for split, b in bits.items()}, **labels
    )
    for split, expected in bits.items():
        images = open_data("binarized-mnist", split=split)
        assert images.transform == "static-binarised" and np.array_equal(
            images.pixels.reshape(-1, 784), expected * 255
        )
        assert set(images.float().unique().tolist()) == {0.0, 1.0} and len(images.labels) == len(expected)
    assert open_data("binarized-mnist", image_shape=(3, 28, 28)).transform == "static-binarised"
    with pytest.raises(DataError, match="is binary at 28x28 and cannot be resized to 1x32x32 — use 'mnist'"):
        open_data("binarized-mnist", image_shape=(1, 32, 32))


@pytest.fixture
def cifar(home, make):
    """Write CIFAR-10 with one mosaic per training file; return its images (6000, 32, 32, 3), the last
    thousand for tests."""
    images = np.random.default_rng(3).integers(0, 4, (6000, 32, 32, 3), dtype=np.uint8)
    for i in range(5):
        part = images[1000 * i : 1000 * (i + 1)]
        np.savez(
            home / f"cifar10_train_{i + 1}.npz",
            **make.end_to_end([make.mosaic(part)], "webp"),
            labels=np.full(1000, i, np.uint8),
        )
    lossy = make.end_to_end([make.encoded(images[0], "JPEG")], "jpeg")
    lossy["jpeg_offsets"] = lossy.pop("offsets")
    np.savez(
        home / "cifar10_test.npz",
        **make.end_to_end([make.mosaic(images[5000:])], "webp"),
        **lossy,
        labels=np.arange(1001) % 10,
    )
    return images


def test_cifar_comes_out_of_its_mosaics_in_order(cifar):
    train, test = both("cifar10")
    assert np.array_equal(train.pixels, cifar[:5000].transpose(0, 3, 1, 2)) and np.array_equal(
        train.labels, np.arange(5000) // 1000
    )
    # nothing lossy
    assert np.array_equal(test.pixels, cifar[5000:].transpose(0, 3, 1, 2)) and len(test.labels) == 1000
    assert "first 1,000" in test.facts["note"] and np.shares_memory(open_data("cifar10").pixels, train.pixels)


def test_cifar_without_labels_or_with_another_size(cifar, home, make):
    np.savez(
        home / "cifar10_test.npz", **make.end_to_end([make.encoded(make.photo())], "webp"), labels=np.zeros(9)
    )
    with pytest.raises(DataError, match="a mosaic must be 320x3200 pixels, not 20x16"):
        open_data("cifar10", split="test")
    np.savez(home / "cifar10_test.npz", **make.end_to_end([make.mosaic(cifar[:1000])], "webp"))
    with pytest.raises(DataError, match="the key 'labels' is missing"):
        open_data("cifar10", split="test")


def test_bedrooms_are_resized_and_divided(home, make):
    files = [make.encoded(make.photo(96, 96, i), "JPEG", quality=95) for i in range(40)]
    np.savez(
        home / "bedrooms_96.npz",
        **make.end_to_end(files, "jpeg"),
        source=np.zeros(40, np.uint8),
        path=np.array(["x"] * 40),
    )
    train, test = both("bedrooms", image_shape=(3, 64, 64))
    assert (
        len(train) + len(test) == 40 and train.shape == (3, 64, 64) and "research use" in train.facts["terms"]
    )
    assert open_data("bedrooms").shape == (3, 96, 96)


ROOM_NAMES = ("bedroom", "dining room", "kitchen", "living room")


@pytest.fixture
def kinds_of_room(home, make):
    """Write forty bedrooms at 96x96, and twenty rooms of each other kind at 64x64, tinted by kind."""
    bedrooms = [make.encoded(make.photo(96, 96, i), "JPEG", quality=95) for i in range(40)]
    np.savez(home / "bedrooms_96.npz", **make.end_to_end(bedrooms, "jpeg"))
    others = np.arange(60) // 20
    files = [
        make.encoded(make.photo(64, 64, i) // 4 + np.uint8(60 * kind), "JPEG")
        for i, kind in enumerate(others)
    ]
    write_rooms(home, make, files, others)
    return home


def write_rooms(home, make, files, labels, names=("living_room", "kitchen", "dining_room")):
    columns = {"labels": np.asarray(labels, np.uint8), "class_names": np.array(names)}
    np.savez(home / "rooms3_64.npz", **make.end_to_end(files, "jpeg"), **columns)


def test_rooms_are_the_bedrooms_and_three_other_kinds_under_their_own_names(kinds_of_room):
    counts = np.zeros(4, int)
    for split in ("train", "test"):
        images = open_data("rooms", split=split)
        assert (images.name, images.split, images.shape) == ("rooms", split, (3, 64, 64))
        assert images.class_names == ROOM_NAMES and "research use" in images.facts["terms"]
        counts += np.bincount(images.labels, minlength=4)
        for number, tint in ((1, 120), (2, 60), (3, 0)):  # what was written, not in the order of the file
            darkest = images.pixels[images.labels == number].min(axis=(1, 2, 3))
            assert ((tint - 10 < darkest) & (darkest < tint + 20)).all(), images.class_names[number]
    assert counts.tolist() == [40, 20, 20, 20]
    assert open_data("rooms", image_shape=(1, 32, 32)).shape == (1, 32, 32)


@pytest.mark.parametrize("val_split", [0.1, 0.3])
def test_nobody_trains_on_the_rooms_that_others_are_tested_with(kinds_of_room, val_split):
    """A bedroom lies on the side, and is the picture, that it is in the set of bedrooms."""
    seen = {}
    for split in ("train", "fit", "valid", "test"):
        bedrooms = open_data("bedrooms", image_shape=(3, 64, 64), split=split, val_split=val_split)
        images = open_data("rooms", split=split, val_split=val_split)
        assert np.array_equal(images.of_class("bedroom").pixels, bedrooms.pixels), split
        seen[split] = {image.tobytes() for image in images.pixels}
    assert not seen["train"] & seen["test"] and not seen["fit"] & seen["valid"]
    assert seen["fit"] | seen["valid"] == seen["train"] and len(seen["train"] | seen["test"]) == 100


def test_rooms_say_which_of_their_files_is_missing_or_wrong(kinds_of_room, make):
    photo = make.encoded(make.photo(64, 64), "JPEG")
    write_rooms(kinds_of_room, make, [photo] * 3, [0, 1, 2], ("living_room", "kitchen", "bathroom"))
    with pytest.raises(DataError, match=r"rooms3_64.npz must hold dining room, kitchen, living room, not"):
        open_data("rooms")
    for file in ("rooms3_64.npz", "bedrooms_96.npz"):
        (kinds_of_room / file).unlink()
        with pytest.raises(
            DataError, match=f"needs {file}, and .* has no {file} — get .* genzoo data prepare"
        ):
            open_data("rooms")


@pytest.fixture
def flowers(home, make):
    """Write six flowers of different brightness, of which the splits are 2, 0, 1, 2, 2, 0."""

    def write(**changes):
        files = [make.encoded(np.full((64, 64, 3), 40 * i, np.uint8), "JPEG") for i in range(6)]
        columns = {
            "labels": np.array([76, 0, 1, 72, 73, 101], np.uint8),
            "split": np.array([2, 0, 1, 2, 2, 0]),
        }
        np.savez(home / "flowers102_64.npz", **make.end_to_end(files, "jpeg"), **{**columns, **changes})

    write()
    return write


def test_flowers_have_their_official_split_and_the_names_of_their_classes(flowers):
    for split, rows in {"train": [1, 5], "fit": [1, 5], "valid": [2], "test": [0, 3, 4]}.items():
        images = open_data(
            "flowers102", split=split, val_split=0.5
        )  # of an official split nothing is held out
        assert np.abs(images.pixels.mean((1, 2, 3)) - 40 * np.array(rows)).max() < 2
        names = [images.class_names[label] for label in images.labels]
        written = ["passion flower", "pink primrose", "hard-leaved pocket orchid", "water lily", "rose"]
        assert names == [[*written, "blackberry lily"][row] for row in rows]
        assert images.split == ("train" if split == "fit" else split) and "official" in images.facts["note"]


def test_the_names_of_the_flowers_are_the_public_ones_in_their_order():
    names = NAMES["flowers102"].classes
    known = {3: "canterbury bells", 12: "colt's foot", 51: "petunia", 73: "water lily", 74: "rose"}
    assert {number: names[number - 1] for number in known} == known and len(set(names)) == 102
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert digest == "0d27092c2140383d4f002dc99d20c184d58ffdc454e5f4d12f0475b4e23480ee"


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (np.array([0, 1]), "not those of 6 images"),
        (np.array([0, 0, 0, 2, 2, 2]), "no image is in the split 'valid'"),
        (np.array(["a"] * 6), "no image is in the split"),
    ],
)
def test_flowers_whose_split_cannot_be_read(flowers, split, words):
    flowers(split=split)
    with pytest.raises(DataError, match=f"flowers102_64.npz contradicts itself: .*{words}"):
        open_data("flowers102", split="valid")


def test_faces_are_divided_by_person(home, make):
    files = [make.encoded(np.full((64, 64, 3), i, np.uint8), "JPEG", quality=95) for i in range(90)]
    people = [f"Person_{i // 3}" for i in range(90)]
    path = np.array([f"{person}/{person}_{i}.jpg" for i, person in enumerate(people)])
    attr = np.arange(90, dtype=np.float16)[:, None] / 100
    np.savez(
        home / "faces_lfw_64.npz",
        **make.end_to_end(files, "jpeg"),
        attr=attr,
        attr_names=np.array(["Smiling"]),
        path=path,
    )
    train, test = both("faces", val_split=0.3)
    inside, outside = (
        {people[round(float(v) * 100)] for v in part.attributes["Smiling"]} for part in (train, test)
    )
    assert len(train) + len(test) == 90 and not inside & outside and len(outside) > 2
    # photographs of one person are one block of the standard error
    assert len(np.unique(test.blocks)) == len(outside)
    assert test.facts["decoder"].startswith("decoded by Pillow ") and "Huang" in test.facts["source"]


def test_frey_is_divided_in_blocks_of_time(home):
    frames = (np.arange(500)[:, None, None] % 250 + np.zeros((1, 28, 20))).astype(np.uint8)
    np.savez(home / "frey_faces.npz", images=frames)
    train, test = both("frey", val_split=0.3)
    assert train.shape == (1, 28, 20) and len(train) + len(test) == 500 and len(test) % FRAMES == 0
    steps = np.diff(test.pixels[:, 0, 0, 0].astype(int))
    assert (steps == 1).mean() > 0.9  # neighbours stay together
    assert set(np.unique(test.blocks, return_counts=True)[1]) == {FRAMES} and "decoder" not in test.facts


def test_omniglot_has_a_class_for_every_character(home):
    images = np.zeros((40, 28, 28), np.uint8)
    alphabet, character = np.repeat(["Greek", "Latin"], 20), np.tile(["character01", "character02"], 20)
    np.savez(home / "omniglot_small_28.npz", images=images, alphabet=alphabet, character=character)
    assert set(open_data("omniglot").labels) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "name", ["bedrooms", "rooms", "flowers102", "faces", "frey", "binarized-mnist", "omniglot"]
)
def test_a_set_that_is_not_at_hand_says_what_to_do(name, tmp_path, monkeypatch):
    first = "bedrooms" if name == "rooms" else name  # of which rooms needs the file, too
    advice = f"genzoo data prepare {first} --from|set GENZOO_DATA to the folder that holds"
    with pytest.raises(DataError, match=rf"'{name}' needs .* GENZOO_DATA is not set — .*({advice})"):
        open_data(name)
    monkeypatch.setenv("GENZOO_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"GENZOO_DATA={tmp_path} has no {NAMES[name].files[0]}"):
        open_data(name)


def test_binarised_digits_stand_in_at_any_size():
    images = open_data("binarized-digits", image_shape=(1, 28, 28))
    assert images.shape == (1, 28, 28) and images.transform == "static-binarised"
    assert set(np.unique(images.pixels)) == {0, 255} and 0.1 < (images.pixels > 0).mean() < 0.5
    again = open_data("binarized-digits", image_shape=(1, 28, 28))
    assert np.array_equal(images.pixels, again.pixels)
    test = open_data("binarized-digits", image_shape=(1, 28, 28), split="test")
    assert len(test) == len(open_data("binarized-digits", split="test"))


def test_a_file_that_would_be_fetched_is_taken_from_genzoo_data(home, monkeypatch):
    data = b"an archive"
    file = pinned(data, "https://example.invalid/x.bin")
    for place in (home / "x.bin", home / "sets" / "x.bin"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        assert fetch(file, "sets") == data
        place.write_bytes(data[::-1])
        with pytest.raises(DataError, match=r"x.bin has another sha256 .* get it again from https"):
            fetch(file, "sets")
        place.unlink()


def test_every_name_states_source_and_terms():
    for name, known in NAMES.items():
        assert (
            known.source and known.terms and all(len(fact.splitlines()) == 1 for fact in known.facts.values())
        ), name
        for file in known.homes.values():
            assert all(address.startswith("https://") for address in file.homes) and len(file.sha256) == 64


# fetching


class Home(http.server.BaseHTTPRequestHandler):
    content: dict[str, bytes] = {}
    asked: list[str] = []
    gone = threading.Event()

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path.startswith("/slow/"):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"d")
                self.gone.wait(2)
                self.wfile.write(b"ata")
            return
        data = self.content.get(self.path)
        self.send_response(404 if data is None else 200)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data or b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Home.content, Home.asked, Home.gone = {}, [], threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Home) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        Home.gone.set()
        found.shutdown()
        thread.join()


def pinned(data, *homes):
    return File("x.bin", len(data), hashlib.sha256(data).hexdigest(), homes)


def test_a_file_is_fetched_once_and_kept(server, own_cache):
    Home.content["/x.bin"] = data = os.urandom(200_000)
    file = pinned(data, f"{server}/absent/x.bin", f"{server}/x.bin")
    assert fetch(file, "mnist") == data == fetch(file, "mnist")
    assert (
        Home.asked == ["/absent/x.bin", "/x.bin"]
        and (own_cache / "data" / "mnist" / "x.bin").read_bytes() == data
    )
    # harmed on the disk: it is fetched again
    (own_cache / "data" / "mnist" / "x.bin").write_bytes(data[:-1] + b"?")
    assert fetch(file, "mnist") == data and len(Home.asked) == 4


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(server, own_cache, tmp_path):
    Home.content["/x.bin"] = data = b"data"
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    place = own_cache / "data" / "mnist" / "x.bin"
    place.parent.mkdir(parents=True)
    place.symlink_to(victim)
    assert fetch(pinned(data, f"{server}/x.bin"), "mnist") == data
    assert victim.read_bytes() == b"mine" and not place.is_symlink() and place.read_bytes() == data


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"a" * 999, "999 bytes, not 1,000"),
        (b"a" * 5000, "1,001 bytes and more"),
        (b"b" * 1000, "another sha256"),
        (b"<html>", "6 bytes, not 1,000"),
    ],
)
def test_what_is_not_the_pinned_file_is_refused(server, own_cache, sent, words):
    Home.content["/x.bin"] = sent
    with pytest.raises(DataError) as caught:
        fetch(pinned(b"a" * 1000, f"{server}/x.bin"), "mnist")
    assert words in str(caught.value) and "genzoo data prepare mnist --from" in str(caught.value)
    assert not any(own_cache.rglob("*.bin"))


def test_redirects_keep_to_https_and_end(server):
    Home.content["/x.bin"] = data = b"data"
    assert fetch(pinned(data, f"{server}/to//x.bin"), "a") == data
    for address, words in (
        (f"{server}/to/http://example.org/x.bin", "'http://example.org/x.bin' refused: only https"),
        (f"{server}/to/file:///etc/hostname", "'file:///etc/hostname' refused: only https"),
        (f"{server}/to//to//to//to//to//x.bin", "redirected more than 3 times"),
        ("http://example.org/x.bin", "only https"),
        ("ftp://example.org/x.bin", "only https"),
    ):
        with pytest.raises(DataError) as caught:
            fetch(pinned(data, address), "b")
        assert words in str(caught.value), address


@pytest.mark.parametrize("scheme", ["https", "socks5"])
def test_a_proxy_that_wants_another_language_is_not_spoken_to(monkeypatch, scheme):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"{scheme}://ada:secret@127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(
            DataError, match=f"the proxy {scheme}://127.0.0.1 is not supported — set HTTPS_PROXY"
        ) as caught:
            fetch(pinned(b"data", "https://example.invalid/x.bin"), "a")
        assert "secret" not in str(caught.value)
        proxy.settimeout(0.05)
        with pytest.raises(TimeoutError):
            proxy.accept()


def test_without_a_network_one_line_says_so(monkeypatch):
    def getaddrinfo(*args, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    words = r"\(no network: cannot resolve example.org — check the network\)"
    with pytest.raises(DataError, match=f"^a: x.bin could not be fetched {words}"):
        fetch(pinned(b"data", "https://example.org/x.bin"), "a")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Deadlines(stall=0.3), "is silent"),
        (Deadlines(stall=5, window=0.3, slowest=10_000), "less than 10000 bytes a second"),
        (Deadlines(stall=5, total=0.4, pace=1e9), "took too long as a whole"),
    ],
)
def test_a_home_that_goes_silent_is_given_up_for_the_next(server, monkeypatch, limits, words):
    """A deadline for each read alone would wait for a byte now and then for ever."""
    monkeypatch.setattr(remote, "PATIENT", limits)
    Home.content["/x.bin"] = data = b"data"
    begun = time.monotonic()
    assert fetch(pinned(data, f"{server}/slow/x.bin", f"{server}/x.bin"), "a") == data
    assert time.monotonic() - begun < 4
    with pytest.raises(DataError, match=words) as caught:
        fetch(pinned(data, f"{server}/slow/x.bin"), "b")
    assert "kept" not in str(caught.value)  # of data nothing is


def test_a_named_set_is_fetched_where_it_is_not_at_hand(server, make, tmp_path, monkeypatch):
    make.mnist(tmp_path)
    homes = {}
    for path in (tmp_path / "mnist").iterdir():
        Home.content[f"/{path.name}"] = data = path.read_bytes()
        homes[path.name] = File(
            path.name, len(data), hashlib.sha256(data).hexdigest(), (f"{server}/{path.name}",)
        )
    known = Dataset(files=(), source="s", terms="t", homes=homes)
    monkeypatch.setattr(named, "NAMES", {**NAMES, "mnist": known})
    assert (
        len(open_data("mnist")) == 12 and len(open_data("mnist", split="test")) == 5 and len(Home.asked) == 4
    )
    assert len(open_data("mnist")) == 12 and len(Home.asked) == 4


def test_the_binary_version_of_cifar(monkeypatch):
    records = np.arange(10_000, dtype=np.uint16).astype(np.uint8)[:, None] * np.ones((1, 3073), np.uint8)
    records[:, 0] %= 10
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
        info.size = records.nbytes
        archive.addfile(info, io.BytesIO(records.tobytes()))
    monkeypatch.setattr("genzoo.data.cifar.fetch", lambda file, name: buffer.getvalue())
    test = open_data("cifar10", split="test")
    assert np.array_equal(test.pixels.reshape(10_000, 3072), records[:, 1:])
    assert np.array_equal(test.labels, records[:, 0])  # whole: not the 1,000 that mosaics hold
    with pytest.raises(DataError, match="the archive is damaged"):
        open_data("cifar10")


# the real files, where this machine has them

FACTS = {
    ("mnist", "train"): (60_000, (1, 28, 28), 0.13066),
    ("mnist", "test"): (10_000, (1, 28, 28), 0.13251),
    ("fashion-mnist", "train"): (60_000, (1, 28, 28), 0.28604),
    ("binarized-mnist", "train"): (50_000, (1, 28, 28), 0.130562),
    ("binarized-mnist", "valid"): (10_000, (1, 28, 28), 0.131127),
    ("binarized-mnist", "test"): (10_000, (1, 28, 28), 0.132512),
    ("cifar10", "train"): (50_000, (3, 32, 32), 0.473363),
    ("cifar10", "test"): (1_000, (3, 32, 32), 0.478146),
    ("bedrooms", "train"): (3_940, (3, 96, 96), 0.47535),
    ("bedrooms", "test"): (439, (3, 96, 96), 0.48044),
    ("rooms", "train"): (14_790, (3, 64, 64), 0.45829),
    ("rooms", "test"): (1_589, (3, 64, 64), 0.46232),
    ("flowers102", "train"): (1_020, (3, 64, 64), 0.39639),
    ("flowers102", "valid"): (1_020, (3, 64, 64), 0.39566),
    ("flowers102", "test"): (6_149, (3, 64, 64), 0.39252),
    ("flowers-unseen", "train"): (7_803, (3, 64, 64), None),
    ("facades", "train"): (400, (3, 128, 128), None),
    ("facades", "test"): (106, (3, 128, 128), None),
    ("horse2zebra", "train"): (1_067, (3, 96, 96), None),
    ("horse2zebra", "test"): (120, (3, 96, 96), None),
    ("horses-zebras", "train"): (2_401, (3, 96, 96), None),
    ("horses-zebras", "test"): (260, (3, 96, 96), None),
    ("faces", "train"): (10_984, (3, 64, 64), 0.43387),
    ("frey", "test"): (190, (1, 28, 20), None),
    ("omniglot", "test"): (481, (1, 28, 28), 0.07969),
}
AT_HAND = [
    key
    for key in FACTS
    if REAL and all(os.path.isfile(os.path.join(REAL, file)) for file in NAMES[key[0]].files)
]


def test_the_real_sets_have_their_published_counts_and_means(request):
    if AT_HAND:
        request.getfixturevalue("real_data")
    for name, split in AT_HAND:
        images = open_data(name, split=split)
        count, shape, mean = FACTS[name, split]
        assert (len(images), images.shape) == (count, shape), (name, split)
        assert mean is None or abs(images.pixels.mean() / 255 - mean) < 1e-5, (name, split)
