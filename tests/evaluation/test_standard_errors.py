"""Standard errors where images are not independent: held against data whose truth is known."""

import json
import math

import numpy as np
import pytest
import torch
from toys import Bernoulli, ToyConfig

from genzoo.data.collection import Images
from genzoo.evaluation import likelihood, sample_quality
from genzoo.evaluation.copying import share_nearer
from genzoo.evaluation.distances import kid
from genzoo.evaluation.standard_errors import count_blocks, groups, mean_error, pair_error
from genzoo.evaluation.swd import swd
from genzoo.evaluation.two_sample import two_sample


def film(blocks, size, seed, shared=0.9, features=1):
    """Return values (n, features) of mean 0 and variance 1, alike within a block, and the blocks (n,)."""
    rng = np.random.default_rng(seed)
    of_block = rng.normal(size=(blocks, 1, features)).repeat(size, 1)
    values = math.sqrt(shared) * of_block + math.sqrt(1 - shared) * rng.normal(size=(blocks, size, features))
    return torch.from_numpy(values.reshape(-1, features)), torch.arange(blocks).repeat_interleave(size)


def test_the_interval_holds_the_truth_as_often_as_it_should_and_the_naive_one_does_not():
    robust, naive = [], []
    for seed in range(400):
        values, blocks = film(40, 10, seed)
        mean = abs(float(values.mean()))
        robust.append(mean < 1.96 * mean_error(values[:, 0], blocks))
        naive.append(mean < 1.96 * mean_error(values[:, 0]))
    assert 0.91 < np.mean(robust) < 0.98
    assert np.mean(naive) < 0.6


def test_blocks_of_any_size_and_number():
    values = torch.tensor([1.0, 2.0, 4.0, 9.0], dtype=torch.float64)
    assert (
        mean_error(values, torch.arange(4))
        == pytest.approx(mean_error(values))
        == pytest.approx(float(values.std()) / 2)
    )
    deviations = values - 4
    by_hand = math.sqrt(2 / 1 * (float(deviations[:3].sum()) ** 2 + float(deviations[3]) ** 2)) / 4
    assert mean_error(values, torch.tensor([7, 7, 7, 3])) == pytest.approx(by_hand)
    # one stretch of film says nothing of others
    assert mean_error(values, torch.zeros(4, dtype=torch.int64)) is None
    assert mean_error(values[:1]) is None
    assert (count_blocks(torch.tensor([5, 5, 1])), count_blocks(None)) == (2, None)


def test_pairs_that_share_a_block_are_dependent():
    spread = []
    told, plain = [], []
    for seed in range(200):
        values, blocks = film(30, 8, seed)
        order = torch.randperm(240, generator=torch.Generator().manual_seed(seed))
        a, b = order[:120], order[120:]
        sums = values[a, 0] + values[b, 0]
        spread.append(float(sums.mean()))
        told.append(pair_error(sums, (blocks[a], blocks[b])))
        plain.append(pair_error(sums))
    assert 0.8 < np.mean(told) / np.std(spread) < 1.2
    assert np.mean(plain) / np.std(spread) < 0.6


def test_groups_are_nearly_equal_and_tear_no_block_apart():
    blocks = torch.from_numpy(np.random.default_rng(0).integers(0, 60, 300))
    found = groups(300, blocks, 10, torch.randperm(300, generator=torch.Generator().manual_seed(0)))
    assert all(len(found[blocks == block].unique()) == 1 for block in blocks.unique())
    sizes = found.bincount(minlength=10)
    assert len(sizes) == 10 and sizes.min() >= 15 and sizes.max() <= 45
    assert groups(7, None, 3, torch.arange(7)).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_kid_leaves_whole_blocks_out():
    """The jackknife, carried out: KID measured anew without each block."""
    (x, x_blocks), (y, y_blocks) = film(6, 3, 0, features=4), film(9, 2, 1, features=4)
    value, stderr = kid(x, y, x_blocks, y_blocks)
    assert value == kid(x, y).value
    without_x = torch.tensor([kid(x[x_blocks != block], y).value for block in range(6)], dtype=torch.float64)
    without_y = torch.tensor([kid(x, y[y_blocks != block]).value for block in range(9)], dtype=torch.float64)
    variance = sum((len(w) - 1) / len(w) * (w - w.mean()).square().sum() for w in (without_x, without_y))
    assert stderr == pytest.approx(math.sqrt(variance))
    assert kid(x, y, torch.arange(18), torch.arange(18)).stderr == pytest.approx(kid(x, y).stderr)
    assert kid(x, y, torch.zeros(18, dtype=torch.int64)).stderr is None


def test_the_error_of_copying_counts_blocks():
    values, told, naive = [], [], []
    for seed in range(150):
        (x, x_blocks), (y, y_blocks) = film(25, 6, 2 * seed), film(25, 6, 2 * seed + 1)
        found = share_nearer(x[:, 0], y[:, 0], x_blocks, y_blocks)
        values.append(found.value)
        told.append(found.stderr)
        naive.append(share_nearer(x[:, 0], y[:, 0]).stderr)
    assert 0.85 < np.mean(told) / np.std(values) < 1.2
    assert np.mean(naive) / np.std(values) < 0.6


def test_the_two_sample_test_asks_nobody_it_has_learned_from():
    """Persons with many photographs: where a person is on both sides, the classifier is right without knowing
    anything of others."""
    (x, blocks), (y, _) = film(10, 12, 0, shared=0.99, features=20), film(10, 12, 1, shared=0.99, features=20)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    x, y, blocks = x[order], y[order], blocks[order]
    torn, whole = two_sample(x, y), two_sample(x, y, blocks, blocks)
    assert torn.value > 0.85  # as if models could be told from data that they have the distribution of
    assert abs(whole.value - 0.5) < 3 * whole.stderr and whole.stderr > 2 * torn.stderr


def test_the_error_of_the_two_sample_test_covers_other_halves():
    """Nothing but the order of the rows is changed, which decides what is learned from."""
    rng = np.random.default_rng(0)
    x, y = (torch.from_numpy(rng.normal(shift, 1, (30, 5))) for shift in (0, 0.3))
    found = []
    for seed in range(12):
        order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
        found.append(two_sample(x[order], y[order.flip(0)]))
    assert np.std([one.value for one in found]) < np.mean([one.stderr for one in found])


def pictures(rng, blocks, size):
    """Return smooth pictures (n, 1, 16, 16), alike within a block."""
    base = rng.random((blocks, 1, 4, 4)).repeat(size, 0) + 0.05 * rng.random((blocks * size, 1, 4, 4))
    return torch.from_numpy((base * 200).astype(np.uint8)).repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.mark.parametrize("size", [1, 4])
def test_the_sliced_wasserstein_distance_has_the_error_of_other_images(size):
    rng, found = np.random.default_rng(size), []
    blocks = torch.arange(24 // size).repeat_interleave(size)
    for seed in range(10):
        found.append(
            swd(pictures(rng, 24 // size, size), pictures(rng, 24 // size, size), seed, blocks, blocks).mean
        )
    assert 0.6 < np.mean([one.stderr for one in found]) / np.std([one.value for one in found]) < 1.9


def frames(**more):
    pixels = np.random.default_rng(0).integers(0, 2, (24, 1, 8, 8), dtype=np.uint8) * np.uint8(255)
    pixels[:12] = pixels[0]
    blocks = np.repeat(np.arange(4), 6)
    return Images(
        pixels=pixels, name="film", split="test", transform="static-binarised", blocks=blocks, **more
    )


def test_records_say_how_many_blocks_their_error_counts():
    model = Bernoulli(ToyConfig())
    with torch.no_grad():
        model.logits.copy_(torch.linspace(-2, 2, 64).view(1, 8, 8))
    nats, bits = likelihood(model, frames(), subject="coin")
    values = -model.log_prob(frames().float()).double().detach()
    assert nats.stderr == pytest.approx(mean_error(values, torch.from_numpy(frames().blocks)))
    assert nats.stderr > 1.5 * mean_error(values)
    assert bits.stderr == pytest.approx(nats.stderr / (64 * math.log(2)))
    assert nats.blocks == bits.blocks == json.loads(json.dumps(nats.as_dict()))["blocks"] == 4
    assert "(n = 24 in 4 blocks, film test" in str(nats)
    assert likelihood(model, frames().replace(blocks=None))[0].blocks is None


def test_measures_of_samples_count_them_too():
    found = sample_quality(
        frames().pixels, frames(), frames(), metrics=["kid", "two-sample", "copying", "swd"], subject="model"
    )
    assert {record.blocks for record in found} == {4} and all(record.stderr is not None for record in found)
    alone = frames().replace(blocks=np.zeros(24, np.int64))
    unknown = sample_quality(
        frames().pixels, frames(), alone, metrics=["kid", "two-sample", "copying", "swd"], subject="model"
    )
    assert {record.stderr for record in unknown} == {None} and {record.blocks for record in unknown} == {1}
