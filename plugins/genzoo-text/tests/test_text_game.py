"""The equations of GAN-CLS and GAN-INT by hand, which texts count as wrong, and bugs that were published."""

import dataclasses
import math

import pytest
import torch
from genzoo_text import CARDS
from genzoo_text.game import MatchingGame, mismatched
from genzoo_text.options import Matching
from genzoo_text.textgan import TextGAN, matching_players
from genzoo_text.words import NEUTRAL
from text_toys import LEVELS, SHADE, VOCABULARY, WORTH, Maker, batch, game, rows, stub, tiny
from torch import nn

from genzoo import Adversarial, Recipe
from genzoo.errors import TrainingError
from genzoo.losses import minimax
from genzoo.rng import generator
from genzoo.testing import LawError, check_game
from genzoo.training import Player, players

RED, YELLOW, PLAIN = "a red rose", "a yellow daffodil", "a photograph of a rose"
REAL = [2 * level - 1 for level in LEVELS]  # what D sees of the images


def said(text, values):
    return sum(values.get(word, 0.0) for word in text.split())


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def mean(values):
    return sum(values) / len(values)


def by_hand(texts, wrong, beta=None, weight=0.5):
    """Return L_D and L_G in the words of the paper, of scores in (0, 1).

    `wrong` has the text shown in place of the own one, or None; every second fake is a share `beta` of its
    own text and the rest of the one before, if that is given.
    """
    shade, worth = [said(text, SHADE) for text in texts], [said(text, WORTH) for text in texts]
    if beta is not None:
        for values in (shade, worth):
            values[1::2] = [
                beta * own + (1 - beta) * other for own, other in zip(values[1::2], values[::2], strict=True)
            ]
    right = [sigmoid(real + said(text, WORTH)) for real, text in zip(REAL, texts, strict=False)]
    shown = [(real, text) for real, text in zip(REAL, wrong, strict=False) if text is not None]
    worse = [sigmoid(real + said(text, WORTH)) for real, text in shown]
    fakes = [sigmoid(level + value) for level, value in zip(shade, worth, strict=True)]
    on_fakes = -mean([math.log(1 - s) for s in fakes])
    on_wrong = -mean([math.log(1 - s) for s in worse]) if worse else 0.0
    loss = -mean([math.log(s) for s in right]) + 0.5 * on_wrong + weight * on_fakes
    return loss, -mean([math.log(s) for s in fakes])


def losses(made, shown):
    noise = generator(0, "test")
    return [float(f(shown, noise).detach()) for f in (made.discriminator_loss, made.generator_loss)]


PLAINLY = {"interpolate": False}
# options, texts, the wrong text of each, what by_hand is told besides
CASES = [
    (PLAINLY, (RED, YELLOW), (YELLOW, RED), {}),
    (PLAINLY, (RED, PLAIN, YELLOW), (YELLOW, YELLOW, RED), {}),  # "a rose" is no wrong text of a red rose
    (PLAINLY, (RED, RED), (None, None), {}),
    (PLAINLY, ("a flower", RED, YELLOW), (None, YELLOW, RED), {}),
    (PLAINLY, (RED, RED, RED, YELLOW), (YELLOW, YELLOW, YELLOW, RED), {}),
    ({"matching": False, **PLAINLY}, (RED, YELLOW), (None, None), {"weight": 1.0}),
    ({}, (RED, YELLOW), (YELLOW, RED), {"beta": 0.5}),
    ({"beta": 0.2}, (RED, YELLOW, RED, YELLOW), (YELLOW, RED, YELLOW, RED), {"beta": 0.2}),
    ({"matching": False}, (RED, YELLOW), (None, None), {"beta": 0.5, "weight": 1.0}),
]


@pytest.mark.parametrize(("options", "texts", "wrong", "more"), CASES)
def test_both_losses_by_hand(options, texts, wrong, more):
    assert losses(game(**options), batch(*texts)) == pytest.approx(by_hand(texts, wrong, **more), abs=1e-6)


class FullWeight(MatchingGame):
    """Mismatched pairs weigh as much as matched ones."""

    def discriminator_loss(self, shown, rng):
        judge, texts = self.model.discriminator, shown.condition
        embedded, fake = judge.words(texts), self._made(shown, rng)[0].detach()
        maps = judge.features(self._inputs(shown.images, rng))
        bad, found = self.wrong(texts)
        worse = minimax.fake(judge.judge(maps, embedded[bad])) * found
        loss = minimax.real(judge.judge(maps, embedded)).mean()
        on_fakes = minimax.fake(judge(self._inputs(fake, rng), self.between(embedded))).mean()
        return loss + worse.sum() / found.sum().clamp(min=1) + on_fakes


class Careless(MatchingGame):
    """The text of the next row is taken for wrong, whatever it says: the published bug."""

    def wrong(self, texts):
        return torch.arange(1, len(texts) + 1) % len(texts), torch.ones(len(texts))


class SameOnly(MatchingGame):
    """Only equal texts count as right: "a rose" would be wrong for a red rose."""

    def wrong(self, texts):
        found = []
        for row, text in enumerate(texts):
            others = [(row + step) % len(texts) for step in range(1, len(texts))]
            found.append(next((other for other in others if not torch.equal(texts[other], text)), -1))
        return torch.tensor(found), torch.tensor([float(row >= 0) for row in found])


class OwnText(MatchingGame):
    """Fakes of interpolated texts are judged by the text of their row."""

    def discriminator_loss(self, shown, rng):
        plain = self.between
        self.between = lambda embedded: embedded
        try:
            return super().discriminator_loss(shown, rng)
        finally:
            self.between = plain


class MovedReal(MatchingGame):
    """Real images are shown with interpolated texts too."""

    def _right(self, logits):
        return super()._right(logits.roll(1, 0).lerp(logits, 0.5)[::2])


class OtherImage(MatchingGame):
    """Wrong texts are scored with the images of other rows."""

    def discriminator_loss(self, shown, rng):
        judge = self.model.discriminator
        scored = judge.forward

        def moved(x, embedded, *others):
            found = scored(x, embedded, *others)
            return torch.stack([found[0], scored(x.roll(1, 0), *others)]) if others else found

        judge.forward = moved
        return super().discriminator_loss(shown, rng)


@pytest.mark.parametrize("kind", [OtherImage, FullWeight, Careless, SameOnly, OwnText, MovedReal])
def test_the_losses_by_hand_tell_bugs(kind):
    told = [
        losses(game(kind, **options), batch(*texts)) == pytest.approx(by_hand(texts, wrong, **more), abs=1e-6)
        for options, texts, wrong, more in CASES
        if options.get("matching", True)
    ]
    assert not all(told)


class TestWrongTexts:
    """Which text of a batch is shown as wrong with an image."""

    SAID = torch.tensor([0.0, *(float(word not in NEUTRAL) for word in VOCABULARY)])

    def found(self, *texts):
        chosen, wrong = mismatched(rows(*texts), self.SAID)
        pairs = zip(chosen.tolist(), wrong.tolist(), strict=True)
        return [texts[row] if there else None for row, there in pairs]

    def test_none_that_describes_the_image_as_well(self):
        texts = (RED, "a rose", "a red flower", "a photograph of a red rose", YELLOW)
        # "a rose" and "a red flower" say different things, and each may describe what the other does not
        assert self.found(*texts) == [YELLOW, "a red flower", YELLOW, YELLOW, RED]
        assert self.found(RED, "a photograph of a red rose", "a rose of red") == [None] * 3

    def test_a_word_for_everything_describes_everything(self):
        assert self.found("a flower", RED, YELLOW) == [None, YELLOW, RED]

    def test_the_colour_alone_makes_a_text_wrong_and_so_does_the_flower(self):
        assert self.found(RED, "a yellow rose") == ["a yellow rose", RED]
        assert self.found(RED, "a red daffodil") == ["a red daffodil", RED]

    def test_the_next_wrong_text_is_taken_and_rows_differ(self):
        assert self.found(RED, YELLOW, RED, "a yellow rose") == [YELLOW, RED, "a yellow rose", RED]

    def test_a_text_without_a_word_and_a_batch_of_one(self):
        nothing = torch.zeros(1, 6, dtype=torch.int64)
        _, wrong = mismatched(torch.cat([nothing, rows(RED, YELLOW)]), self.SAID)
        assert wrong.tolist() == [0.0, 1.0, 1.0]
        assert mismatched(rows(RED), self.SAID)[1].tolist() == [0.0]

    def test_neutral_words_are_an_option(self):
        texts = ("a red flower", "a red rose")
        shown = batch(*texts)
        plain = losses(game(**PLAINLY), shown)
        assert plain == pytest.approx(by_hand(texts, (None, None)), abs=1e-6)
        strict = losses(game(neutral=("a",), **PLAINLY), shown)
        assert strict == pytest.approx(by_hand(texts, texts[::-1]), abs=1e-6)


class TestSmoothing:
    def test_only_the_target_of_a_real_image_with_its_text_is_smoothed(self):
        texts, smooth = (RED, YELLOW), 0.1
        plain, made = by_hand(texts, texts[::-1])
        right = [sigmoid(real + said(text, WORTH)) for real, text in zip(REAL, texts, strict=False)]
        change = mean([math.log(s) for s in right]) - mean([math.log(1 - s) for s in right])
        found = losses(game(smooth=smooth, **PLAINLY), batch(*texts))
        assert found == pytest.approx([plain + smooth * change, made], abs=1e-6)

    def test_a_smoothed_target_in_gs_loss_is_seen(self):
        class Leaky(MatchingGame):
            def generator_loss(self, shown, rng):
                fake, judge = self._made(shown, rng)[0], self.model.discriminator
                return self._right(judge(self._inputs(fake, rng), judge.words(shown.condition)))

        texts = (RED, YELLOW)
        found = losses(game(Leaky, smooth=0.1, **PLAINLY), batch(*texts))
        assert found[1] != pytest.approx(by_hand(texts, texts[::-1])[1], abs=1e-3)


class TestInterpolation:
    def test_every_second_text_lies_between_two(self):
        embedded = torch.tensor([[0.0, 8.0], [4.0, 0.0], [1.0, 1.0]])
        moved = game(beta=0.25).between(embedded)
        assert moved.tolist() == [[0, 8], [1, 6], [1, 1]]
        assert game(interpolate=False).between(embedded) is embedded

    def test_g_learns_from_the_words_of_both_texts(self):
        words = {"red": VOCABULARY.index("red") + 1, "yellow": VOCABULARY.index("yellow") + 1}

        def slopes(**options):
            made = game(**options)
            fake = made._made(batch(RED, YELLOW), generator(0, "test"))[0]
            (slope,) = torch.autograd.grad(fake[1].sum(), made.model.generator.shade)
            return {name: float(slope[number]) for name, number in words.items()}

        assert slopes(interpolate=False) == {"red": 0, "yellow": pytest.approx(6)}
        assert slopes(beta=0.25) == {"red": pytest.approx(4.5), "yellow": pytest.approx(1.5)}


class Shaded(nn.Module):
    """An image of one level: the shade of the words and a share of z."""

    def __init__(self, share):
        super().__init__()
        self.plain, self.share = Maker(), nn.Parameter(torch.tensor(share, dtype=torch.float64))
        self.words = self.plain.words

    def forward(self, z, embedded):
        return self.plain(z, embedded) + self.share * z.double().mean(1)[:, None, None, None]


class TestSeeking:
    """Mode seeking (Mao et al. 2019): z of one text must show."""

    TEXTS = (RED, YELLOW, RED)

    def made(self, kind=MatchingGame, share=0.2, **options):
        found = game(kind, **{**PLAINLY, **options})
        found.model.generator = Shaded(share)
        return found

    def term(self, kind=MatchingGame, **options):
        """Return what `seeking` adds to L_G, and the two z of each text that the game draws."""
        noise, drawn = generator(0, "test"), []
        made = self.made(kind, **options)
        draw = made.model._latents
        made.model._latents = lambda rng: drawn.append(draw(rng)) or drawn[-1]
        loss = made.generator_loss(batch(*self.TEXTS), noise)
        plain = self.made(**{**options, "seeking": 0.0})
        without = plain.generator_loss(batch(*self.TEXTS), generator(0, "test"))
        return float((loss - without).detach()), drawn

    def by_hand(self, drawn, share):
        one, other = (z.double() for z in drawn)
        return float(
            mean(
                [
                    (a - b).abs().mean() / ((share * (a.mean() - b.mean())).abs() + 1e-5)
                    for a, b in zip(one, other, strict=True)
                ]
            )
        )

    def test_the_term_by_hand(self):
        for weight, share in ((1.0, 0.2), (0.5, 0.05)):
            found, drawn = self.term(seeking=weight, share=share)
            assert len(drawn) == 2 and not torch.equal(*drawn)
            assert found == pytest.approx(weight * self.by_hand(drawn, share), rel=1e-4)

    def test_it_is_small_where_z_shows(self):
        deaf, heard = self.term(seeking=1.0, share=1e-3)[0], self.term(seeking=1.0, share=1.0)[0]
        assert deaf > 100 * heard > 0

    def test_an_ignored_z_is_no_division_by_0(self):
        found = self.made(seeking=1.0, share=0.0).generator_loss(batch(*self.TEXTS), generator(0, "test"))
        assert torch.isfinite(found) and found > 1e3

    def test_two_texts_in_place_of_one_are_seen(self):
        """Images of other texts differ anyhow, so z would not have to show."""

        class Mixed(MatchingGame):
            def _made(self, shown, rng):
                found = super()._made(shown, rng)
                self.times = getattr(self, "times", 0) + 1
                return (found[0].roll(1, 0), found[1]) if self.times == 2 else found

        found, drawn = self.term(Mixed, seeking=1.0)
        assert found != pytest.approx(self.by_hand(drawn, 0.2), rel=1e-2)

    def test_it_continues_from_the_fakes_of_ds_turn_and_their_z(self):
        made, shown, noise = self.made(seeking=1.0), batch(*self.TEXTS), generator(0, "test")
        made.discriminator_loss(shown, noise)
        fakes, z = made._handed_on
        seen = []
        draw = made.model._latents
        made.model._latents = lambda rng: seen.append(draw(rng)) or seen[-1]
        plain = self.made(seeking=0.0)
        plain._handed_on = (fakes, z)
        added = made.generator_loss(shown, noise) - plain.generator_loss(shown, noise)
        assert len(seen) == 1
        assert float(added.detach()) == pytest.approx(self.by_hand([z, seen[0]], 0.2), rel=1e-4)

    def test_only_g_pays(self):
        assert (
            losses(self.made(seeking=2.0), batch(*self.TEXTS))[0]
            == losses(self.made(), batch(*self.TEXTS))[0]
        )


class TestPlayers:
    def test_who_plays(self):
        model = tiny()
        judge, maker = matching_players(model, Recipe(turns={"discriminator": 2}))
        assert (judge.name, judge.module, judge.turns) == ("discriminator", model.discriminator, 2)
        assert (maker.name, maker.module, maker.average) == ("generator", model.generator, True)
        assert judge.recordable and not matching_players(model, Recipe(turns={"generator": 2}))[0].recordable

    @pytest.mark.parametrize(
        ("options", "mixed"),
        [({}, [True, True]), ({"interpolate": False}, [True, False]), ({"matching": False}, [True, True])],
    )
    def test_rows_are_mixed_where_the_game_mixes_them(self, options, mixed):
        found = players(tiny(), Recipe(game=Matching(**options)))
        assert [player.mixes_rows for player in found] == mixed
        plain = players(tiny(), Recipe(game=Matching(matching=False, interpolate=False)))
        assert not any(player.mixes_rows for player in plain)

    @pytest.mark.parametrize(
        "options",
        [
            {"matching": False, "interpolate": False},
            {"smooth": 0.1},
            {"augment": ("cutout",)},
            {"matching": False, "interpolate": False, "seeking": 0.5},
        ],
    )
    def test_each_way_obeys_the_laws_of_games(self, options):
        check_game(tiny(), Recipe(game=Matching(**options)))

    def test_the_options_of_another_game_are_refused(self):
        with pytest.raises(TrainingError, match="TextGAN takes Matching"):
            players(tiny(), Recipe(game=Adversarial()))

    def test_fakes_that_are_not_detached_are_seen(self):
        class Attached(TextGAN):
            pass

        class Through(MatchingGame):
            def discriminator_loss(self, shown, rng):
                loss = super().discriminator_loss(shown, rng)
                return loss + 0 * self._handed_on[0].sum()

        @players.register
        def attached(model: Attached, recipe: Recipe):
            made = Through(model, Matching())
            judge, maker = matching_players(model, recipe)
            return [
                dataclasses.replace(judge, loss=made.discriminator_loss),
                dataclasses.replace(maker, loss=made.generator_loss),
            ]

        with pytest.raises(LawError, match="no gradient in the generator"):
            check_game(tiny(Attached), Recipe())

    def test_a_game_that_ignores_the_text_is_seen(self):
        class Deaf(TextGAN):
            pass

        class Ignoring(MatchingGame):
            def discriminator_loss(self, shown, rng):
                first = dataclasses.replace(shown, condition=shown.condition[-1:].expand_as(shown.condition))
                return super().discriminator_loss(first, rng)

        @players.register
        def deaf(model: Deaf, recipe: Recipe):
            made = Ignoring(model, Matching(matching=False, interpolate=False))
            return [Player(name="discriminator", module=model.discriminator, loss=made.discriminator_loss)]

        with pytest.raises(LawError, match="learns from its condition"):
            check_game(tiny(Deaf), Recipe())


def test_d_sees_the_fakes_that_g_is_then_judged_by():
    made, shown, noise = game(), batch(RED, YELLOW), generator(0, "test")
    made.discriminator_loss(shown, noise)
    images, fakes = made.shown
    assert images is shown.images and not fakes.requires_grad and len(fakes) == 2
    assert made._handed_on is not None and torch.equal(made._handed_on[0].detach(), fakes)
    made.generator_loss(shown, noise)
    assert made._handed_on is None
    assert torch.isfinite(made.generator_loss(shown, noise))  # a second turn makes its own


def test_ds_weights_are_kept_out_of_gs_turn():
    made = game()
    loss = made.generator_loss(batch(RED, YELLOW), generator(0, "test"))
    found = torch.autograd.grad(loss, list(made.model.generator.parameters()), allow_unused=True)
    assert all(slope is not None for slope in found)
    assert all(parameter.requires_grad for parameter in made.model.discriminator.parameters())
    with pytest.raises(RuntimeError):
        torch.autograd.grad(
            made.generator_loss(batch(RED, YELLOW), generator(0, "test")), made.model.discriminator.worth
        )


def test_the_card_asks_for_both_and_keeps_colours_out_of_the_augmentation():
    options = CARDS[0].recipe.game
    assert options.matching and options.interpolate and "color" not in options.augment


def test_the_stub_has_what_a_model_has():
    model = tiny()
    for name in vars(stub()):
        assert hasattr(model, name), name
