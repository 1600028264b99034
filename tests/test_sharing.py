"""Work shared by several processes: in order, each piece once, the same bits as alone, and nobody waits
for one that failed. Threads play the processes here, since a crew belongs to its thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import toys

from genzoo.data.collection import Images
from genzoo.errors import ArgumentError, TrainingError
from genzoo.evaluation import kept, likelihood, sample_quality, scoring, swd
from genzoo.evaluation.drawing import drawn
from genzoo.evaluation.quality import measure_samples
from genzoo.request import Request
from genzoo.sharing import agreed, check_same, each, first, sharing, writes


class Threads:
    """A crew whose processes are threads."""

    def __init__(self, rank, size, board, barrier):
        self.rank, self.size, self._board, self._barrier = rank, size, board, barrier

    def exchange(self, own):
        self._board[self.rank] = own
        self._barrier.wait()
        found = list(self._board)
        self._barrier.wait()
        return found


def together(size, work):
    """Return what `work(rank)` gives in each of `size` members of a crew, or what it raises."""
    board, barrier = [b""] * size, threading.Barrier(size, timeout=60)

    def member(rank):
        with sharing(Threads(rank, size, board, barrier)):
            try:
                return work(rank)
            except Exception as error:  # noqa: BLE001 - what each member ends with is looked at
                return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(member, range(size)))


@pytest.mark.parametrize("in_runs", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_all_get_every_result_in_order(size, count, in_runs):
    def work(rank):
        return each(range(count), lambda i: torch.full((i,), i + 0.5), in_runs=in_runs)

    for found in together(size, work):
        assert [part.tolist() for part in found] == [[i + 0.5] * i for i in range(count)]


@pytest.mark.parametrize(
    ("in_runs", "ranks"), [(False, [0, 1, 2, 0, 1, 2, 0]), (True, [0, 0, 1, 1, 2, 2, 2])]
)
def test_a_piece_is_done_by_one(in_runs, ranks):
    done, told = [], []

    def work(rank):
        tell = told.append if rank == 2 else None
        return each(range(7), lambda i: done.append((i, rank)) or torch.tensor(i), tell, in_runs=in_runs)

    together(3, work)
    assert sorted(done) == list(enumerate(ranks))
    assert told == ([3, 6] if not in_runs else [3, 6, 7])


def test_pieces_are_not_shared_again():
    def inner(i):
        return torch.stack(each(range(3), lambda j: torch.tensor(10 * i + j)))

    for found in together(2, lambda rank: each(range(3), inner)):
        assert torch.stack(found).tolist() == [[10 * i + j for j in range(3)] for i in range(3)]


def test_types_and_shapes_stay():
    parts = [torch.zeros(2, 0), torch.ones(3, dtype=torch.uint8), torch.tensor(True), torch.arange(6)[::2]]
    for found in together(2, lambda rank: each(parts, lambda part: part)):
        assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(found, parts, strict=True))


def test_who_fails_says_why_and_the_others_do_not_wait():
    def work(i):
        if i == 3:
            raise ArgumentError("three is no piece")
        return torch.tensor(i)

    other, failed = together(2, lambda rank: each(range(4), work))
    assert str(failed) == "three is no piece"
    assert isinstance(other, TrainingError) and "another process of the group failed" in str(other)


def test_the_first_goes_before_the_others():
    said = []
    together(3, lambda rank: first(lambda: said.append(rank)))
    assert said[0] == 0 and sorted(said) == [0, 1, 2]


def test_nobody_waits_where_the_first_fails():
    def work():
        raise ArgumentError("no data")

    first_one, second = together(2, lambda rank: first(work))
    assert str(first_one) == "no data" and isinstance(second, TrainingError)


def test_agreement_and_sameness():
    assert together(2, lambda rank: agreed(True)) == [True, True]
    assert together(2, lambda rank: agreed(rank == 0)) == [False, False]
    assert together(2, lambda rank: writes()) == [True, False]
    assert together(2, lambda rank: check_same("words", lambda: "same")) == [None, None]
    for error in together(2, lambda rank: check_same("words", lambda: f"of {rank}")):
        assert str(error).startswith("the processes have different words")


def test_alone_nothing_is_asked_of_others():
    assert (agreed(False), writes(), first(lambda: 7)) == (False, True, 7)
    check_same("words", lambda: pytest.fail("asked"))


def images(n, seed, side=16, **more):
    noise = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 1, side, side), generator=noise, dtype=torch.uint8)
    return Images(pixels=pixels.numpy(), name="noise", split="test", **more)


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    return tmp_path


def test_sample_quality_has_the_bits_of_one_process(cache, monkeypatch):
    """Every metric that 16x16 images allow, on sets that are no multiples of the chunks."""
    from genzoo.evaluation import distances

    monkeypatch.setattr(distances, "CHUNK", 16)
    monkeypatch.setattr(kept, "_read", lambda key, count: None)

    def measure(rank=0):
        records = sample_quality(images(70, 2).pixels, images(120, 0), images(45, 1), subject="model")
        return [record.as_dict() for record in records]

    alone = measure()
    assert {"kid", "fid", "precision", "two-sample", "copying", "swd", "ms-ssim", "checkerboard"} <= {
        record["metric"] for record in alone
    }
    assert together(2, measure) == [alone, alone]


def test_a_process_cuts_the_patches_of_few_levels(monkeypatch):
    """Those of the three levels of 64 pixels are cut anew by each process that measures some of them."""
    cut, own = {}, swd._patches

    def patches(images, level, seed):
        cut.setdefault(threading.get_ident(), []).append(level)
        return own(images, level, seed)

    x, y = (images(12, seed, side=64).pixels for seed in (0, 1))
    alone = swd.swd(x, y)
    monkeypatch.setattr(swd, "_patches", patches)
    assert together(2, lambda rank: swd.swd(x, y)) == [alone, alone]
    assert sorted(cut.values()) == [[0, 0, 1, 1], [1, 1, 2, 2]]


def test_held_out_images_are_opened_while_the_others_open_training_images(monkeypatch):
    """The first decodes, and nobody waits longer than for that."""
    opened, others = [], threading.Event()

    def opening(model, card, data, part):
        rank = 0 if writes() else 1
        if (rank, part) == (1, "train"):
            others.set()
        if (rank, part) == (0, "test"):
            assert others.wait(60), "they wait for held-out images, which they do not need yet"
        opened.append((rank, part))
        return images(12, len(part))

    monkeypatch.setattr(scoring, "held_in", opening)
    card = toys.CARDS["toy-gan"]
    request = Request(n=12, metrics=("kid",), features="gist")
    # built before the threads start: all of them seed the process's one generator
    nets = [toys.gan(image_shape=(1, 16, 16)).eval() for _ in range(2)]
    one, other = together(2, lambda rank: scoring.records_of(nets[rank], card, request))
    assert one == other and len(one) == 2
    assert opened[0] == (0, "train") and sorted(opened) == [
        (r, part) for r in (0, 1) for part in ("test", "train")
    ]


def test_shared_samples_are_those_of_the_seed():
    """40 of them, in chunks of 16: each process draws others."""
    net = toys.gan().eval()
    expected = net.sample(40, 7, dtype=torch.uint8)
    for found in together(2, lambda rank: drawn(net, 40, Request(seed=7), None, None)[0]):
        assert torch.equal(found, expected)


def test_samples_and_likelihoods_have_the_bits_of_one_process(cache):
    net, coins = toys.gan(), toys.Coins(toys.ToyConfig())
    train, test = (
        Images(pixels=(toys.gan().sample(n, seed, dtype=torch.uint8)).numpy(), name="toy", split="test")
        for n, seed in ((60, 1), (40, 2))
    )
    black = Images(pixels=255 * (test.pixels > 127).astype("uint8"), transform="static-binarised")
    request = Request(n=40, metrics=("kid",), features="gist")

    def measure(rank=0):
        found = list(measure_samples(net.eval(), train, test, request, subject="toy"))
        return [record.as_dict() for record in (*found, *likelihood(coins.eval(), black))]

    alone = measure()
    assert together(3, measure) == [alone] * 3
