"""The adversarial game (Goodfellow et al. 2014, algorithm 1): k turns of the discriminator, then one of the
generator.

Any objective of `genzoo.losses.objectives` works with any nets. The option `weight_clip` bounds the weights
of D after each of its turns, as in algorithm 1 of the WGAN paper: the critic that trains G, and that is
saved, is always within bounds. (The paper's reference code clips before each step, so G is trained by a
critic that is one step outside.) The option `gp_weight` is λ of the gradient penalty.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.errors import TrainingError
from genzoo.games import Adversarial
from genzoo.hacks import hack
from genzoo.losses.wasserstein import clip
from genzoo.models import AdversarialModel, Model
from genzoo.recipe import Recipe
from genzoo.rng import BatchRng, generator
from genzoo.training.augment import augment, policy_of
from genzoo.training.auxiliary import Auxiliary
from genzoo.training.batch import Batch
from genzoo.training.freezing import freeze, frozen
from genzoo.training.own import objective_of, penalty_of
from genzoo.training.players import Feed, Player, players
from genzoo.training.recomputing import keeping_activations
from genzoo.training.refusals import check_recipe
from genzoo.training.replay import Pool
from genzoo.training.targets import Targets

_REMEDY = (
    f"try a lower lr.discriminator, augment=color,translation,cutout, {hack('instance-noise')}, "
    f"or {hack('soft-labels')}"
)
# rounds at the start, turns of D, rounds from one burst to the next (the WGAN code)
HEAD_START = 25
BURST = 100
EVERY = 500
EACH = 64  # images of each batch that batch statistics are computed over


@players.register(options=Adversarial)
def adversarial_players(model: AdversarialModel, recipe: Recipe) -> Sequence[Player]:
    """Return the discriminator and the generator, in this order; k is the recipe's `turns.discriminator`.

    Raises:
        TrainingError: a network is missing, or the recipe is known to fail with these nets.
    """
    _check_nets(model)
    check_recipe(model, recipe)
    options = recipe.options(Adversarial)
    game = AdversarialGame(model, recipe)
    turns = recipe.turns_of("discriminator")
    # Replay branches on how full its pool is, and a second turn of G in a round would find the fakes of D's
    # last turn used up.
    recordable = model.recordable and not options.replay and recipe.turns_of("generator") == 1
    return [
        Player(
            name="discriminator",
            module=game.learning,
            loss=game.discriminator_loss,
            needs=frozenset({"labels"}) if options.classes else frozenset(),
            classes=options.classes,
            turns=turns,
            turns_at=functools.partial(burst_turns, turns) if options.bursts else None,
            after_turn=_clipping(model.discriminator, options.weight_clip) if options.weight_clip else None,
            before_turn=game.begin,
            floor=0.01 if game.objective.bounded else None,
            remedy=_REMEDY,
            distance=not game.objective.bounded,
            memory=game.memory,
            common=game.memory is not None,
            recordable=recordable,
        ),
        Player(
            name="generator",
            module=model.generator,
            loss=game.generator_loss,
            turns=recipe.turns_of("generator"),
            fresh=False,
            in_parts=True,
            average=True,
            finish=estimate_statistics,
            shown=lambda: game.shown,
            recordable=recordable,
        ),
    ]


def _check_nets(model: AdversarialModel) -> None:
    for name in ("generator", "discriminator"):
        if not isinstance(getattr(model, name, None), nn.Module):
            raise TrainingError(
                f"{type(model).__name__} has no network named {name!r}", f"set self.{name} in its __init__"
            )


def burst_turns(turns: int, step: int) -> int:
    """Return D's turns in the round `step` = 0, 1, …: 100 in the first 25 and in every 500th, otherwise
    `turns`, or more if that is more.

    This brings the critic close to its optimum before G learns from it, as in the reference code of WGAN.
    """
    return max(turns, BURST) if step < HEAD_START or step % EVERY == 0 else turns


def _clipping(module: nn.Module, bound: float) -> Callable[[], None]:
    return lambda: clip((p for p in module.parameters() if p.requires_grad), bound)


class AdversarialGame:
    """The two losses over one model, with the recipe's objective, differentiable augmentation and hacks.

    Real and fake go through D as separate batches, so that batch norm never mixes them (ganhacks 4). The fake
    images of D's last turn are handed on to G's first turn instead of being computed again; D only ever sees
    them detached.
    """

    def __init__(self, model: AdversarialModel, recipe: Recipe) -> None:
        self.model = model
        options = recipe.options(Adversarial)
        freeze(model.discriminator, options.freeze)
        self.policy = policy_of(options.augment)
        self.objective = objective_of(options.objective)
        self.penalty = options.gp_weight
        self._penalty_of = penalty_of(options.penalty_kind)
        self.targets = Targets(options.soft_labels, options.flipped_labels)
        self.pool = Pool(model, recipe.batch_size, options.replay) if options.replay else None
        self.auxiliary = Auxiliary(model, options.classes, recipe.seed) if options.classes else None
        self.shown: tuple[Tensor, Tensor] | None = None  # the images and the fakes of D's last turn
        self._noise_at = functools.partial(options.noise, steps=recipe.steps)
        self._noisy = options.instance_noise > 0
        # a tensor, since a recorded turn reads memory, not Python's numbers
        self._deviation = torch.zeros((), device=model.device)
        self._handed_on: Tensor | None = None
        # of a turn in parts: the noise of the fakes, which G computes again: fakes with all that their
        # gradients need would take the memory of a whole batch
        self._parts = recipe.accumulate
        self._noises: deque[Tensor] = deque(maxlen=self._parts)

    @property
    def learning(self) -> nn.Module:
        """Modules that learn in D's turn."""
        return (
            self.model.discriminator
            if self.auxiliary is None
            else nn.ModuleList([self.model.discriminator, self.auxiliary])
        )

    @property
    def memory(self) -> nn.Module | None:
        """State that D keeps from round to round and that is not part of the model."""
        parts = {"pool": self.pool, "auxiliary": self.auxiliary}
        kept = {name: part for name, part in parts.items() if part is not None}
        return nn.ModuleDict(kept) if kept else None

    def begin(self, step: int) -> None:
        """Note the round, since the instance noise falls over the run."""
        self._deviation.fill_(self._noise_at(step))

    def discriminator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return D's loss on the images and as many fakes, with its penalty and other terms; no gradient
        reaches G.

        The batch has labels if the game's `classes` requires them.
        """
        images, given = batch.images, batch.given
        # fakes of the same conditions, so that these tell D nothing of what is real
        fake = self._for_both(len(batch), rng, *given)
        self.shown = (images, fake.detach())
        shown, *own = (fake.detach(), *given)
        if self.pool is not None:
            shown, *own = self.pool(shown, rng, *given)
        seen, seen_fake = self._augmented(images, rng), self._augmented(shown, rng)
        real, classified = self._judged(seen, batch)
        loss = classified + self.targets.loss(self.objective, real, self._logits(seen_fake, *own), rng)
        if not self.penalty:
            return loss
        # D's slope where D looks, between augmented images: through the augmentation it would be the slope of
        # both together.
        share = torch.rand(len(seen), generator=rng, device=rng.device)
        with keeping_activations():
            slope = self._penalty_of(self._critic(given, seen_fake, own), seen, seen_fake, share)
        return loss + self.penalty * slope

    def _critic(
        self, given: Sequence[Tensor], fakes: Tensor, own: Sequence[Tensor]
    ) -> Callable[[Tensor], Tensor]:
        """Return the critic that a penalty calls. It judges the `fakes` with their `own` conditions, which
        differ from those `given` for replayed ones, and all other points with those of the real images.
        """
        if self.pool is None or not given:
            return lambda points: self._logits(points, *given)

        def critic(points: Tensor) -> Tensor:
            # by their values: a penalty detaches or copies the fakes before it asks for the slope there
            at_fakes = points.dtype == fakes.dtype and torch.equal(points, fakes)
            return self._logits(points, *(own if at_fakes else given))

        return critic

    def generator_loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return G's loss on the fakes of D's last turn, or on new ones; D's weights have changed since, so D
        judges them again.
        """
        fake, self._handed_on = self._handed_on, None
        if self._noises:
            again = torch.Generator(rng.device)
            again.set_state(self._noises.popleft())
            fake = drawn(self.model, len(batch), again, *batch.given)
        if fake is None or len(fake) != len(batch):
            fake = drawn(self.model, len(batch), rng, *batch.given)
        with frozen(self.model.discriminator):
            logits = self._logits(self._augmented(fake, rng), *batch.given)
            beside = self._beside(batch, rng) if self.objective.relative else None
        return self.objective.generator_loss(logits, beside)

    def _for_both(self, n: int, rng: torch.Generator, *condition: Tensor) -> Tensor:
        """Return `n` fakes, and hand them on to G's next turn."""
        if self._parts == 1:
            self._handed_on = drawn(self.model, n, rng, *condition)
            return self._handed_on
        self._noises.append(rng.get_state())
        with torch.no_grad():
            return drawn(self.model, n, rng, *condition)

    def _beside(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """Return D's outputs for the real images that a relative objective compares the fakes with."""
        with torch.no_grad():
            return self._logits(self._augmented(batch.images, rng), *batch.given)

    def _judged(self, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor | float]:
        """Return D's outputs for real images and its loss for misclassifying them."""
        if self.auxiliary is None or batch.labels is None:
            return self._logits(images, *batch.given), 0.0
        with self.auxiliary.watching() as hidden:
            logits = self._logits(images, *batch.given)
        return logits, self.auxiliary(hidden[0], batch.labels)

    def _augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        images = augment(images, self.policy, rng)
        if not self._noisy:
            return images
        return images + self._deviation * torch.randn(images.shape, generator=rng, device=rng.device)

    def _logits(self, images: Tensor, *condition: Tensor) -> Tensor:
        return self.model._discriminate(images, *condition).float()  # (N,)


def estimate_statistics(model: Model, feed: Feed, *, batches: int = 64) -> None:
    """Recompute the generator's batch statistics over `batches` times 64 latents of a fixed seed, with the
    conditions of the first images of `feed` if the model takes any.

    The running mean and variance of an averaged generator describe the weights it was averaged from, not the
    average. Sampling uses these exact statistics, never those of the batch, so an image depends on its z
    alone.
    """
    if not isinstance(model, AdversarialModel):
        return
    norms = [m for m in model.generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    noise = generator("batch statistics", device=model.device)
    with _gathering(model.generator, norms), torch.no_grad():
        for given in _conditions(model, feed, batches):
            drawn(model, EACH, noise, *given)


def _conditions(model: AdversarialModel, feed: Feed, batches: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield the condition of each batch that the statistics are taken over, () of a model without one."""
    if model.condition is None:
        yield from itertools.repeat((), batches)
        return
    rows: list[Tensor] = []
    for number in itertools.count():
        rows.extend(feed(number).given)
        if sum(map(len, rows)) >= batches * EACH:
            break
    yield from zip(torch.cat(rows)[: batches * EACH].split(EACH), strict=True)


def drawn(model: AdversarialModel, n: int, rng: torch.Generator, *condition: Tensor) -> Tensor:
    """Return `n` images of the generator, (n, C, H, W) in [0, 1], for latents drawn from `rng` and the
    `condition` of each image, if the model takes one.
    """
    return model._decode(model._latents(BatchRng(n, rng)), *condition)


@contextlib.contextmanager
def _gathering(network: nn.Module, norms: Sequence[Any]) -> Iterator[None]:
    """Make the batch norms of `network` average over everything it sees in the block; other layers (such as
    dropout) behave as in sampling.
    """
    modes = {module: module.training for module in network.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    for module in modes:
        leaf = not list(module.children())
        module.training = module in momenta or not leaf
    yield
    for norm, momentum in momenta.items():
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode
