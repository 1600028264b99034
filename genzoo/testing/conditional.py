"""Laws of a model that takes a condition: what it refuses, and what a condition may and must change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genzoo.condition import Condition, Text
from genzoo.errors import ArgumentError, GenzooError, UnknownNameError
from genzoo.models import AdversarialModel, GenerativeModel, Model, golden
from genzoo.models.conditions import examples_of
from genzoo.rng import Rng
from genzoo.testing.generative import check_pixels, near, untouched
from genzoo.testing.law import LawError, hold
from genzoo.testing.questions import ROWS, Question, questions
from genzoo.testing.stirring import STRENGTHS, stirred
from genzoo.testing.wrong import check_alike, wrong_values

LISTENS = 0.01  # standard deviations of the answers, which another condition must change at least
MIXED = 0.1  # of what another condition changes, which the others in a batch may
VALUES = 3  # conditions that answers are compared for


def check_conditional(model: Model) -> None:
    """Hold a conditional model to the laws of its condition.

    A missing, unknown or ill-shaped condition is an error of one line that names what there is. An image has
    the condition of its own row, and z that of none. Another condition gives another answer; this is measured
    on copies with noise in every weight, so that a part that starts at zero is heard.

    Raises:
        LawError: the first law that is broken.
    """
    name, condition = type(model).__name__, model.condition
    if condition is None:
        raise LawError("check_conditional is for a model that takes a condition", name, "condition_type")
    _check_examples(model, condition, name)
    if isinstance(condition, Text):
        check_alike(condition, f"encode of {type(condition).__name__}")
    asked = questions(model)
    with untouched(model, name):
        for question in asked:
            _check_refusals(model, condition, question, f"{name}.{question.method}")
        values = examples_of(condition, VALUES)
        if isinstance(model, GenerativeModel):
            _check_raw(model, condition, f"{name}._sample")
            _check_streams(model, values, f"{name}._sample")
        for question in asked:
            _check_answers(model, condition, question, f"{name}.{question.method}")


def _check_examples(model: Model, condition: Condition, name: str) -> None:
    where = f"examples and describe of {type(condition).__name__}"
    found = condition.examples(ROWS)
    law = "the examples of a condition are values that it takes, and that JSON can hold"
    try:
        model.check_condition(json.loads(json.dumps(found)), ROWS)
        words = [condition.describe(value) for value in found]
    except (GenzooError, TypeError, ValueError) as error:
        raise LawError(law, f"{type(error).__name__}: {error}", where) from error
    hold(len(found) == ROWS and all(isinstance(each, str) for each in words), law, repr(found), where)
    outputs = golden.record(model)
    law = "golden outputs state their condition"
    hold(outputs.get("condition") == condition.examples(golden.IMAGES), law, list(outputs), name)
    golden.compare(model, json.loads(json.dumps(outputs)), name)


def _check_refusals(model: Model, condition: Condition, question: Question, where: str) -> None:
    law = "a wrong condition is an error of one line that names what the model takes"
    for what, (value, named) in wrong_values(condition, ROWS).items():
        try:
            question.ask(model, value)
        except (ArgumentError, UnknownNameError) as error:
            words = str(error)
            missing = named and condition.words not in words
            hold(words.isprintable() and not missing, law, f"{what}: {words!r}", where)
        except Exception as error:
            seen = f"{what} raises {type(error).__name__}: {error}"
            raise LawError(law, seen, where) from error
        else:
            raise LawError(law, f"{what} is accepted", where)


def _check_raw(model: GenerativeModel, condition: Condition, where: str) -> None:
    """What the author's method returns for different conditions, before `sample` clamps it."""
    given = model.check_condition(condition.examples(ROWS), ROWS)
    with torch.no_grad(), model.evaluating():
        images = model._sample(Rng(0, 0, ROWS, model.device), *given)
    law = f"{where} returns images in [0, 1] under every condition"
    check_pixels(images, (ROWS, *model.image_shape), law, where)


def _check_streams(model: GenerativeModel, values: list[Any], where: str) -> None:
    """Hold that the same numbers are drawn for an image under any condition, so that a seed has one z."""
    law = "what is drawn for an image depends on its seed and number, not on its condition"
    asked, found = [*values, [values[i % len(values)] for i in range(ROWS)]], []
    for value in asked:
        (rows,) = model.check_condition(value, ROWS)  # pictures may be drawn for it
        with recorded() as calls:
            model.sample(ROWS, seed=0, condition=rows)
        found.append(calls)
    odd = next((calls for calls in found if calls != found[0]), None)
    seen = f"(seed, first image, images, place, numbers) {found[0][:3]} and {(odd or [])[:3]}"
    hold(odd is None, law, seen, f"{where}: draw first, then use the condition")
    if isinstance(model, AdversarialModel):
        z = model.sample_latents(ROWS, seed=0)
        for value in values:
            images, decoded = model.sample(ROWS, seed=0, condition=value), model.decode(z, value)
            law = "an image of a seed is that of the seed's z under its condition"
            near(images, decoded, decoded, law, f"{where}: the condition belongs in _decode")


@contextmanager
def recorded() -> Iterator[list[tuple[int, ...]]]:
    """Yield a list that gets (seed, first image, number of images, place in the streams, how many numbers) of
    all that is drawn from any `Rng` in the block.
    """
    calls: list[tuple[int, ...]] = []
    honest = Rng._raw

    def raw(rng: Rng, size: int) -> Any:
        calls.append((rng.seed, rng._first, rng.n, rng._drawn, size))
        return honest(rng, size)

    setattr(Rng, "_raw", raw)  # noqa: B010 - a method, for the length of the block
    try:
        yield calls
    finally:
        setattr(Rng, "_raw", honest)  # noqa: B010


def _check_answers(model: Model, condition: Condition, question: Question, where: str) -> None:
    values = examples_of(condition, VALUES)
    loud, answers = _heard(model, condition, question, where)
    order = [i % len(values) for i in range(ROWS)]
    mixed, alone = question.ask(loud, [values[i] for i in order]), answers[order, range(ROWS)]
    rounding = 1e-4 * float(alone.abs().max())
    most = max(float((answers - answers[0]).abs().max()) * MIXED, rounding)
    off = float((mixed - alone).abs().max())
    law = f"the {question.what} of an image has the condition of its own row, whatever the others have"
    seen = f"{off:.3g} off among images of other conditions"
    hold(off <= most, law, seen, f"{where}: one row for each image")


def _heard(model: Model, condition: Condition, question: Question, where: str) -> tuple[Model, Tensor]:
    """Return a copy that answers a question for another condition in another way, and its answers for a few
    conditions, (V, N, …); hold that there is one.
    """
    values = examples_of(condition, VALUES)
    deaf = 0
    for strength in STRENGTHS:
        loud = stirred(model, strength)
        answers = torch.stack([question.ask(loud, value) for value in values])
        heard = _hears(answers, question)
        if all(heard) or not question.listens:
            return loud, answers
        deaf = heard.index(False)
    one, other = (condition.describe(value) for value in values[deaf : deaf + 2])
    law = f"another condition gives another {question.what}"
    seen = f"the same for {one} and {other}"
    raise LawError(law, seen, f"{where}: what becomes of its condition")


def _hears(answers: Tensor, question: Question) -> list[bool]:
    """Say of the answers (V, N, …) to each condition whether they differ from the next one's by more than
    rounding.
    """
    apart = answers[1:] - answers[:-1]
    if question.centred:
        # what a condition adds to all images alike tells nothing about whether an image fits it
        apart = apart - apart.mean(1, keepdim=True)
    least = LISTENS * max(float(answers[0].std()), 1e-3 * float(answers.abs().max()), 1e-6)
    return [bool(each.abs().max() > least) for each in apart]
