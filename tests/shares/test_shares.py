"""Shares of a batch: the parts draw what one process draws, and sum what it sums."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from genzoo.rng import BatchRng
from genzoo.shares import Share, drawn, mean, on_whole, taking, twice, whole

ROWS = 12


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ones(n, *shape):
    return torch.ones(n, *(shape or (7,)))


DRAWS = {
    "rand": lambda n: torch.rand(n, 3),
    "rand of a tuple": lambda n: torch.rand((n, 3)),
    "by name": lambda n: torch.randn(size=(n, 3)),
    "twice the rows": lambda n: torch.rand(2 * n, 3).view(2, n, 3).transpose(0, 1),
    "along the second axis": lambda n: torch.rand(5, n).T,
    "randint": lambda n: torch.randint(0, 9, (n, 5)),
    "randint from 0": lambda n: torch.randint(9, (n, 5)),
    "normal": lambda n: torch.normal(0.0, 2.0, (n, 4)),
    "normal of means": lambda n: torch.normal(ones(n), 2.0),
    "with a generator": lambda n: torch.rand(n, 3, generator=torch.Generator().manual_seed(3)),
    "batch rng": lambda n: BatchRng(n, torch.Generator().manual_seed(3)).normal(3, 2),
    "rand_like": lambda n: torch.rand_like(ones(n)),
    "channels last": lambda n: torch.randn_like(ones(n, 3, 4, 5).to(memory_format=torch.channels_last)),
    "filled": lambda n: torch.empty(n, 7).normal_(1, 3),
    "coins": lambda n: torch.empty(n, 300).bernoulli_(0.3),
    "dropout": lambda n: functional.dropout(ones(n, 3, 20, 20), 0.3),
    "dropout by position": lambda n: functional.dropout(ones(n), 0.3, True),
    "dropout in place": lambda n: functional.dropout(ones(n), 0.3, True, True),
    "dropout, channels last": lambda n: functional.dropout(
        ones(n, 3, 9, 9).to(memory_format=torch.channels_last), 0.3
    ),
    "dropout of channels": lambda n: nn.Dropout2d(0.4)(ones(n, 30, 2, 2)),
    "alpha dropout": lambda n: nn.AlphaDropout(0.4)(ones(n, 30)),
    "bernoulli": lambda n: torch.bernoulli(ones(n, 30) / 3),
    "multinomial": lambda n: torch.multinomial(ones(n, 30), 4),
    "gumbel": lambda n: functional.gumbel_softmax(ones(n, 9)),
    "rrelu": lambda n: functional.rrelu(-ones(n, 9), training=True),
    "attention": lambda n: functional.scaled_dot_product_attention(
        *(ones(n, 2, 4, 4) for _ in range(3)), dropout_p=0.3
    ),
}


def in_parts(work, parts, rows=ROWS):
    """Return what each part makes, one after the other, each with the seed that one process has."""
    made = []
    for number in range(parts):
        torch.manual_seed(5)
        with taking(Share(number, parts), rows // parts):
            made.append(work(rows // parts))
    return made


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("name", DRAWS)
def test_the_parts_draw_what_one_process_draws(name, parts):
    torch.manual_seed(5)
    expected = DRAWS[name](ROWS)
    made = in_parts(DRAWS[name], parts)
    assert torch.equal(torch.cat(made), expected)
    assert not torch.equal(made[0], made[1])  # else nothing is shown


def test_the_next_draw_is_that_of_one_process_too():
    def work(n):
        functional.dropout(ones(n), 0.3)
        return torch.rand(n, 3)

    made = in_parts(work, 3)
    torch.manual_seed(5)
    assert torch.equal(torch.cat(made), work(ROWS))


def test_what_is_not_random_is_as_it_was():
    x = ones(6)
    with taking(Share(1, 2), 6):
        assert torch.equal(functional.dropout(x, 0.5, training=False), x)
        assert torch.equal(functional.dropout(x, 0.0), x)
        assert torch.equal(functional.rrelu(-x), functional.rrelu(-x))
        assert (x + 1).sum() == 84 and torch.rand(()).ndim == 0
    torch.manual_seed(0)
    first = torch.rand(5)
    torch.manual_seed(0)
    with taking(Share(1, 2), 6):
        assert torch.equal(torch.rand(5), first)  # no rows: alike on all
        assert torch.equal(torch.randperm(6).sort().values, torch.arange(6))


def test_numbers_with_their_rows_along_another_axis():
    def draw(n):
        return drawn(lambda shape: torch.rand(shape), (2, n), 1).T

    for rows in (2, ROWS):  # with one row each, any axis looks like that of the rows
        made = in_parts(draw, 2, rows)
        torch.manual_seed(5)
        assert torch.equal(torch.cat(made), draw(rows))


def test_a_gradient_passes_through_a_mask():
    x = noise(4, 5).requires_grad_()
    torch.manual_seed(5)
    with taking(Share(0, 2), 4):
        made = functional.dropout(x, 0.5)
        made.sum().backward()
    assert torch.equal(x.grad, (made != 0) * 2.0)


def test_what_is_computed_again_in_the_backward_pass_is_drawn_as_it_was():
    x = noise(4, 50).requires_grad_()
    torch.manual_seed(5)
    with taking(Share(1, 2), 4):
        made = checkpoint(lambda x: functional.dropout(x, 0.5) * x, x, use_reentrant=False, context_fn=twice)
        made.sum().backward()
    assert torch.allclose(x.grad, (made != 0) * 4.0 * x)


def test_in_one_process_nothing_is_changed():
    share = Share()
    with taking(share, 4):
        assert not torch.overrides._get_current_function_mode_stack()
        x = noise(4, 3)
        assert whole(x) is x and mean(x) is x and on_whole(lambda x: x, x) is x
    assert not share.talked


class Group:
    """As many threads as there are processes, each with its share."""

    def __init__(self, parts, norms=False):
        self.parts, self.norms = parts, norms
        self.barrier, self.given = threading.Barrier(parts, timeout=60), [None] * parts

    def __call__(self, work, *rows):
        """Return what `work` makes of the rows of each part."""
        results, errors = [None] * self.parts, []

        def part(number):
            def add(total):
                self.given[number] = total.clone()
                self.barrier.wait()
                total.copy_(sum(self.given))
                self.barrier.wait()

            share = Share(number, self.parts, add, self.norms)
            own = [x.chunk(self.parts)[number] for x in rows]
            try:
                with taking(share, len(own[0])):
                    results[number] = work(*own)
            except BaseException as error:  # noqa: BLE001 - shown below
                errors.append(error)
                self.barrier.abort()

        threads = [threading.Thread(target=part, args=(number,)) for number in range(self.parts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        return results


def gradients_of(loss, *tensors):
    return torch.autograd.grad(loss, tensors)


@pytest.mark.parametrize("parts", [2, 3])
def test_rows_of_all_and_their_gradients(parts):
    """Each row is compared with all others, as in minibatch discrimination."""
    x, w = noise(ROWS, 4), noise(4, 3, seed=1).requires_grad_()

    def loss(own):
        y = own @ w
        return (-(y[:, None] - whole(y)[None]).abs().sum(2)).exp().mean()

    expected, (slope,) = loss(x), gradients_of(loss(x), w)
    found = Group(parts)(lambda own: (loss(own).detach(), *gradients_of(loss(own), w)), x)
    losses, slopes = zip(*found, strict=True)
    assert torch.allclose(sum(losses) / parts, expected.detach(), atol=1e-6)
    assert torch.allclose(sum(slopes) / parts, slope, atol=1e-6)


def test_blocks_of_rows_keep_their_order():
    x = noise(ROWS, 2)
    for made in Group(3)(lambda own: whole(torch.cat([own, -own])), x):
        assert torch.equal(made, torch.cat([x, -x]))
    numbers = torch.arange(ROWS)
    for made in Group(3)(whole, numbers):
        assert torch.equal(made, numbers)
    for made in Group(3)(whole, (numbers % 2).bool()):
        assert torch.equal(made, (numbers % 2).bool())


def test_a_mean_that_is_bent():
    x, w = noise(ROWS, 4), noise(4, seed=1).requires_grad_()

    def loss(own):
        return mean((own @ w).mean()).square()

    (slope,) = gradients_of(loss(x), w)
    slopes = [grad for (grad,) in Group(4)(lambda own: gradients_of(loss(own), w), x)]
    assert torch.allclose(sum(slopes) / 4, slope, atol=1e-6)


def test_work_on_the_whole_batch():
    x, names = noise(ROWS, 3), torch.arange(ROWS)

    def rolled(rows, names):
        return rows.roll(1, 0), names.roll(1, 0) + torch.rand(len(names)).lt(2)

    parts = Group(3)(lambda own, names: on_whole(rolled, own, names), x, names)
    for index, expected in enumerate(rolled(x, names)):
        assert torch.equal(torch.cat([made[index] for made in parts]), expected)
    drawn_inside = Group(2)(
        lambda own: on_whole(
            lambda rows: torch.rand(len(rows), generator=torch.Generator().manual_seed(0)), own
        ),
        x,
    )
    assert torch.equal(torch.cat(drawn_inside), torch.rand(ROWS, generator=torch.Generator().manual_seed(0)))


class TestBatchNorm:
    @pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 4, 3)])
    @pytest.mark.parametrize("affine", [True, False])
    def test_it_is_that_of_the_whole_batch_forward_and_backward(self, shape, affine):
        x = noise(ROWS, *shape) * 3 + 7
        target = noise(ROWS, *shape, seed=2)
        made = self.run([self.norm(x, affine)], None, x, target)
        nets = [self.norm(x, affine) for _ in range(3)]
        parts = self.run(nets, Group(3, norms=True), x, target)
        for name, one in made.items():
            together = parts[name].flatten(0, 1) if name in ("output", "x") else parts[name].mean(0)
            assert torch.allclose(together, one[0], atol=2e-5, rtol=1e-4), name
        for net in nets:
            assert net.num_batches_tracked == 1

    def norm(self, x, affine):
        net = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[x.ndim](5, affine=affine)
        if affine:
            with torch.no_grad():
                net.weight.copy_(noise(5, seed=3)), net.bias.copy_(noise(5, seed=4))
        return net

    def run(self, nets, group, x, target):
        def work(own, target, net):
            own = own.clone().requires_grad_()
            y = net(own)
            loss = (y * target).square().mean()
            names = [*(name for name, _ in net.named_parameters()), "x"]
            grads = gradients_of(loss, *net.parameters(), own)
            return {
                "output": y.detach(),
                "mean": net.running_mean.clone(),
                "var": net.running_var.clone(),
                **dict(zip(names, grads, strict=True)),
            }

        if group is None:
            found = [work(x, target, nets[0])]
        else:
            left = iter(nets)
            lock = threading.Lock()

            def part(own, target):
                with lock:
                    net = next(left)
                result = work(own, target, net)
                result["x"] /= group.parts  # the loss of a part is a mean over fewer rows
                return result

            found = group(part, x, target)
        return {name: torch.stack([one[name] for one in found]) for name in found[0]}

    def test_the_slope_of_a_slope(self):
        """A gradient penalty takes a derivative of a derivative."""
        x = noise(ROWS, 5)
        weight = noise(5, seed=3).requires_grad_()

        def penalty(own):
            own = own.clone().requires_grad_()
            y = functional.batch_norm(own, None, None, weight, None, True)
            (slope,) = torch.autograd.grad(y.pow(3).sum(), own, create_graph=True)
            return slope.square().sum(1).mean()

        (expected,) = gradients_of(penalty(x), weight)
        found = [g for (g,) in Group(2, norms=True)(lambda own: gradients_of(penalty(own), weight), x)]
        assert torch.allclose(sum(found) / 2, expected, rtol=1e-3)

    def test_only_if_it_is_asked_for_and_only_in_training(self):
        x = noise(ROWS, 5)
        for made in Group(2)(nn.BatchNorm1d(5, track_running_stats=False), x):
            assert made.mean(0).abs().max() < 1e-6  # of the own rows
        net = nn.BatchNorm1d(5).eval()
        for part, made in zip(x.chunk(2), Group(2, norms=True)(net, x), strict=True):
            assert torch.equal(made, net(part))


def test_half_precision_is_summed_in_float32():
    seen = []
    share = Share(0, 2, lambda total: seen.append(total.dtype))
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.uint8):
        assert share.added(ones(3).to(dtype)).dtype == dtype
    assert seen == [torch.float32, torch.float32, torch.float32, torch.int64]
