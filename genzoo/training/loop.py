"""The training loop, which plays any game and does not depend on the kind of model."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from genzoo.data import Images
from genzoo.errors import CollapseError, StorageError
from genzoo.models import Model
from genzoo.process import seed_global, undisturbed
from genzoo.recipe import Recipe
from genzoo.rng import generator, mix
from genzoo.shares import Share, taking
from genzoo.training import checkpoint, terms
from genzoo.training.batch import Batch
from genzoo.training.checks import check_fit
from genzoo.training.doctor import Doctor, kept
from genzoo.training.ema import EMA
from genzoo.training.findings import Finding
from genzoo.training.hardware import Hardware
from genzoo.training.loader import Loader
from genzoo.training.optimisers import clip, decay, optimisers
from genzoo.training.parallel import World
from genzoo.training.parts import check_divides, check_parts, computed, shares_of
from genzoo.training.players import Player, averaged, completed, has_own_statistics, players
from genzoo.training.recomputing import backward, calling
from genzoo.training.recording import Recorder

CHECKPOINT_SECONDS = 60.0
FIRST_SECONDS = 10.0  # to the first checkpoint of a process: what is killed soon has something to go on from


@dataclass
class Run:
    """One training run: the model, its players, and the current step."""

    model: Model
    recipe: Recipe
    data: Images
    settings: Hardware
    folder: Path
    world: World = field(default_factory=World)
    step: int = 0
    seconds: float = 0.0  # spent training, over all resumptions
    resumed: str = ""  # sha256 of the checkpoint that it went on from
    planned: int = 0  # steps that the run of that checkpoint was planned to have
    plugin: str = ""  # the distribution that brought the model: its version is noted
    lineage: tuple[str, ...] = ()  # the weights that it started from, see `genzoo.ledger.Row`
    unsaved: bool = False  # whether the last checkpoint that was due could not be written
    ask: Callable[[], Sequence[bool]] = tuple  # what this process wishes at the end of a round
    votes: torch.Tensor = field(default_factory=lambda: torch.empty(0))  # shares of the processes that did
    _counted: tuple[int, int] = (0, 0)  # a step, and the batches of all rounds before it
    _whole: bool = False  # whether the checkpoint in the folder is known to be good

    def __post_init__(self) -> None:
        check_divides(self.recipe, self.world.size)
        self.model.to(device=self.settings.device, memory_format=self.settings.memory_format)  # type: ignore[call-overload]
        self.model.train()
        self.recipe = completed(self.model, self.recipe)
        self.players: Sequence[Player] = players(self.model, self.recipe)
        check_fit(self.model, self.recipe, self.data, self.world, self.players)
        check_parts(self.recipe, self.players)
        self.optimisers_of: dict[str, dict[str, Optimizer]] = {
            p.name: optimisers(p, self.recipe) for p in self.players
        }
        self.optimisers: dict[str, Optimizer] = {
            name: one for own in self.optimisers_of.values() for name, one in own.items()
        }
        self.ema = EMA(self.players, self.recipe.ema)
        needs = {need for player in self.players for need in player.needs}
        self.feed = Loader(self.data, self.recipe, self.world, self.settings, needs, self.model.condition)
        self.checkpoint = self.folder / checkpoint.NAME
        look_every = 10 if self.settings.device.type == "cuda" else 1  # reading a loss makes a GPU wait
        self.doctor = Doctor(self.players, self.ema, self.checkpoint, self.recipe.watch, look_every)
        self.recorder = Recorder(self.players, self.settings, self._gradients)
        self.share = self.world.part(self.recipe.sync_batch_norm)
        self.calls = calling(self.players, self.recipe, self.settings.compile)

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What a checkpoint saves besides the optimisers: model, averages and the players' memories."""
        averages = {f"average.{name}": average for name, average in self.ema.modules.items()}
        return {
            "model": self.model,
            **averages,
            **{f"memory.{p.name}": p.memory for p in self.players if p.memory is not None},
        }

    @property
    def batches(self) -> int:
        """The number of batches that the rounds so far have used: a function of `step`, so that a resumed run
        takes the next.
        """
        counted, taken = self._counted if self._counted[0] <= self.step else (0, 0)
        for player in self.players:
            if player.fresh and player.turns_at is None:
                taken += player.turns * (self.step - counted)
            elif player.fresh:
                taken += sum(player.turns_in(step) for step in range(counted, self.step))
        self._counted = (self.step, taken)
        return taken

    def play_round(self) -> dict[str, torch.Tensor]:
        """Let every player take its turns; return the last loss of each, and the curves of the game,
        detached.
        """
        number, losses = self.batches, {}
        batch: Batch | None = None
        self._set_optimisers()
        self.recorder.begin_round()
        for player in self.players:
            for turn in range(player.turns_in(self.step)):
                if player.fresh or batch is None:
                    batch = self.feed(number)
                    number += 1
                losses[player.name] = self._turn(player, turn, batch)
        self.votes = self.world.average_buffers(
            *averaged(self.players), votes=self.ask() if self.world.size > 1 else ()
        )
        self.ema.update(self.players)  # after the buffers, which it follows too: equal on every rank
        curves = self._curves()
        self.calls.check(self.world.writes)
        self.step += 1
        return losses | curves

    def _curves(self) -> dict[str, torch.Tensor]:
        """Tell every player that a round is over; return the curves of the game."""
        return {
            name: value.detach()
            for player in self.players
            if player.after_round is not None
            for name, value in player.after_round(self.step).items()
        }

    def _set_optimisers(self) -> None:
        """Set the learning rates of this step and clear the optimisers that start again in it; both depend on
        the step alone, so a resumed run does the same.
        """
        for player in self.players:
            for optimiser in self.optimisers_of[player.name].values():
                if player.restarts_in(self.step):
                    optimiser.state.clear()
                for group in optimiser.param_groups:
                    group["lr"] = self.recipe.lr_at(player.name, self.step)

    def _turn(self, player: Player, turn: int, batch: Batch) -> torch.Tensor:
        # not the rank: noise is drawn for the whole batch; 0 since runs of one process always had it there
        key = (self.recipe.seed, player.name, self.step, turn, 0)
        # dropout inside a network draws from the global generator
        seed_global(mix("modules", *key), self.settings.device)
        if player.before_turn is not None:
            player.before_turn(self.step)
        if self.recorder.plays(player) and not self.share.talked:
            loss = self.recorder.play(player, mix(*key), batch)
        elif self.recipe.accumulate > 1:
            loss = self._in_parts(player, key, batch)
        else:
            loss = self._gradients(player, generator(*key, device=self.settings.device), batch)
        learning = player.learning
        self.world.average_gradients(learning)
        clip(learning, self.recipe.max_grad_norm)  # of the averaged ones, so equal on every rank
        decay(learning, self.recipe.weight_decay * self.recipe.lr_at(player.name, self.step))
        for optimiser in self.optimisers_of[player.name].values():
            optimiser.step()
        if player.after_turn is not None:
            player.after_turn()
        return loss

    def _in_parts(self, player: Player, key: tuple[int | str, ...], batch: Batch) -> torch.Tensor:
        """Compute the gradients of a turn in the recipe's `accumulate` parts; return their mean loss,
        detached.
        """

        def compute(part: Batch, share: Share) -> torch.Tensor:
            seed_global(mix("modules", *key), self.settings.device)  # each part draws for the whole batch
            return self._gradients(player, generator(*key, device=self.settings.device), part, share)

        shares = shares_of(self.share, self.recipe.accumulate)
        return computed(compute, batch, shares, player, self.players)

    def _gradients(
        self, player: Player, rng: torch.Generator, batch: Batch, share: Share | None = None
    ) -> torch.Tensor:
        """Compute the gradients of the player's loss in its weights, of this process's rows; return the loss,
        detached. For a `share` that is a part of them, they are added to those of the parts before.
        """
        parameters = player.learning
        share = share or self.share
        for parameter in () if share.number % self.recipe.accumulate else parameters:
            parameter.grad = None
        with self.settings.switches(), taking(share, len(batch)):
            with self.settings.autocast():
                loss = player.loss(batch, rng)
            backward(loss, parameters)
        return loss.detach()

    def save(self) -> None:
        """Write the checkpoint, unless a weight is not finite: the last good one is worth more."""
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise CollapseError(
                f"step {self.step}: weights are not finite; {kept(self.checkpoint)}",
                "start again in another --out with a lower lr or precision=fp32",
            )
        if self.world.writes:
            checkpoint.write(self.checkpoint, self.parts, self.optimisers, self.facts(), keep=self._whole)
            self._whole = True

    @functools.cached_property
    def identity(self) -> str:
        """The identity of the training images and their conditions, from their content."""
        return self.feed.identity

    def facts(self) -> checkpoint.Facts:
        """Return what a checkpoint states about this run besides its tensors."""
        return checkpoint.Facts(
            step=self.step,
            steps=self.recipe.steps,
            seconds=float(self.seconds),
            processes=self.world.size,
            data=self.identity,
            images=terms.words(self.data),
            recipe=terms.fingerprint(self.recipe, [player.name for player in self.players]),
            config=terms.plain(asdict(self.model.config)),
            machine=terms.machine(self.settings, self.plugin),
            lineage=self.lineage,
            **self.doctor.state(),
        )

    def resume(self, which: str = checkpoint.NAME) -> str:
        """Restore the last checkpoint, or the previous one; return what has changed about the machine, or "".

        Raises:
            CheckpointError: the checkpoint is missing or damaged.
            TrainingError: it belongs to a run with another recipe or config, or other data; or to one with
                another number of steps whose learning rates had started to fall, or would have.
        """
        path = self.folder / which
        tensors, facts = checkpoint.read(path)
        ours = self.facts()
        terms.check(path, facts, ours, self.model.config, self.recipe)
        checkpoint.restore(tensors, self.parts, self.optimisers)
        self.doctor.restore(facts.told, facts.curves, facts.recent)
        self.step, self.seconds, self.lineage = facts.step, facts.seconds, facts.lineage
        self.resumed, self.planned = facts.sha256, facts.steps
        self._whole = which == checkpoint.NAME
        return terms.changed(facts, ours, apart=has_own_statistics(self.players, self.recipe))


@undisturbed()
def play(
    run: Run,
    on_round: Callable[[dict[str, float]], None],
    on_checkpoint: Callable[[], None],
    stop: Callable[[], bool],
    on_finding: Callable[[Finding], None] = lambda finding: None,
    on_trouble: Callable[[StorageError], None] | None = None,
) -> bool:
    """Train until the recipe's last step; return False if `stop` asked to end earlier (the run is saved
    then).

    `on_round` is called with the losses and curves of each round, `on_checkpoint` after each checkpoint, and
    `on_finding` with each finding of the training doctor. `on_trouble`, if given, is called when a checkpoint
    cannot be written (a full disk), and training continues unless it was asked to stop.
    """
    begun = saved = time.monotonic()
    pause = min(FIRST_SECONDS, CHECKPOINT_SECONDS)
    earlier = run.seconds

    def ask() -> Sequence[bool]:
        now = time.monotonic()
        run.seconds = earlier + now - begun
        return stop(), now - saved > pause

    run.ask = ask
    while run.step < run.recipe.steps:
        losses = run.play_round()
        look = run.step % run.doctor.look_every == 0 or run.step == run.recipe.steps
        if look:
            read = {name: float(loss) for name, loss in losses.items()}
            findings = run.doctor.look(run.step, read)
            on_round(read)
            for finding in findings:
                on_finding(finding)
        stopping, saving = _wishes(run, look)
        if stopping or saving or run.step == run.recipe.steps:
            _save(run, on_checkpoint, None if stopping else on_trouble)
            run.world.meet()  # writing and what hangs on it may take one process longer than a collective
            saved, pause = time.monotonic(), CHECKPOINT_SECONDS
        if stopping:
            return run.step == run.recipe.steps
    return True


def _wishes(run: Run, look: bool) -> Sequence[bool]:
    """Return whether to stop and whether to save: the wish of this process if it is alone, else that of any,
    as it was at the end of the last round. Several processes `look` when they read the losses.
    """
    if run.world.size == 1:
        return run.ask()
    return [vote > 0 for vote in run.votes.tolist()] if look else (False, False)


def _save(
    run: Run, on_checkpoint: Callable[[], None], on_trouble: Callable[[StorageError], None] | None
) -> None:
    """Write a checkpoint; report a full disk to `on_trouble` if given, else raise."""
    try:
        run.save()
        run.unsaved = False
        on_checkpoint()
    except StorageError as error:
        if on_trouble is None:
            raise
        run.unsaved = True
        on_trouble(error)
