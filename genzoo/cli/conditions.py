"""--condition: what was typed is checked against the card before torch is loaded; the model decides in the
end, as its weights may state other labels than the card.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from genzoo.card import Card
from genzoo.catalogue import Entry
from genzoo.cli.options import F
from genzoo.condition import Condition, Labels, Picture, Text
from genzoo.errors import ArgumentError, DataError, GenzooError, UnknownNameError, safe_text

T = TypeVar("T")
ALL = "all"
ONE = "Label of a conditional model, by name or number: kitchen, or 7. Of a model that takes texts, a text."
OF_IMAGES = "Label of all images, by name or number. Default: the labels that the data give them."
SHOWN = 12  # labels that a line names
DRAWN = 8  # pictures drawn by rule that can be named
_PICTURE = re.compile(r".+\.(png|jpe?g|gif|bmp|webp|tiff?)", re.IGNORECASE | re.DOTALL)


def condition_option(text: str = ONE, *, several: bool = False) -> Callable[[F], F]:
    """Add --condition, with `text` on the help page; with `several` it completes to `all` as well."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        # click leaves what it has not read yet, behind an option without a value, in `args`
        name = context.params.get("name") or next(iter(context.args), "")
        return _complete(name, incomplete, several)

    shape = "LABEL[,LABEL]...|all" if several else "LABEL"
    return click.option("--condition", metavar=shape, shell_complete=complete, help=text)


def _complete(name: object, incomplete: str, several: bool) -> list[CompletionItem]:
    """Return what `incomplete` may become: labels of the model `name`, as its card states them."""
    from genzoo.registry import installed

    try:
        card = installed().cards.get(str(name))
    except GenzooError:
        return []
    known = getattr(card and card.condition, "names", ()) or getattr(card and card.condition, "sentences", ())
    words = [*known, *([ALL] if several and known else [])]
    before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
    starts = {"": incomplete} | ({before + comma: last} if comma else {})
    return [
        CompletionItem(kept + word)
        for kept, start in starts.items()
        for word in words
        if word.casefold().startswith(start.casefold())
    ]


def check_one(entry: Entry, text: str | None, *, needed: bool = True) -> str | None:
    """Return the one condition that was typed, ready for `condition=`; None for a model without one, or where
    none was typed and none is `needed`.

    Raises:
        ArgumentError: a condition for an ordinary model, or none for a conditional one; an empty one, several
            at once, or a number out of range.
        UnknownNameError: a label that does not exist; the message gives the nearest.
    """
    return _settled(entry, text, read_one, needed)


def check_rows(entry: Entry, text: str | None) -> tuple[str, ...]:
    """Return the labels that were typed, by name: one, several with commas between them, or those of `all`;
    none for a model without a condition.

    Raises:
        ArgumentError, UnknownNameError: as `check_one`.
    """
    return _settled(entry, text, read_rows, True) or ()


def _settled(entry: Entry, text: str | None, read: Callable[[Condition, str], T], needed: bool) -> T | None:
    card = entry.card
    if card.condition is None:
        if text is not None:
            raise _superfluous(card)
        return None
    if text is None:
        if needed:
            raise _missing(card, stated(entry) or card.condition)
        return None
    try:
        return read(card.condition, text)
    except GenzooError:
        own = stated(entry)
        if own is None or own == card.condition:
            raise
        return read(own, text)


def stated(entry: Entry, *, offline: bool | None = None) -> Condition | None:
    """Return the condition that the weights of `entry` state, or that of its card where there are none to be
    had; torch is not loaded. With `offline` nothing is downloaded for it.
    """
    from genzoo import hub

    card, row = entry
    if card.condition is None or row is None:
        return card.condition
    try:
        return hub.as_stated(card, hub.pull_bytes(row, offline=offline)).condition
    except GenzooError:  # which loading the model will tell
        return card.condition


def read_one(condition: Condition, text: str) -> str:
    """Return the one value of `condition` that `text` is, or raise as `check_one`."""
    if isinstance(condition, Text):
        _check_text(condition, text)
        return text
    if not isinstance(condition, Labels):
        return _drawn(condition, text)
    _check_form(condition, text)
    try:
        return condition.names[condition.number(text)]
    except UnknownNameError:
        known = {name.casefold() for name in condition.names}
        parts = condition.names if text.strip().casefold() == ALL else _parts(condition, text)
        if len(parts) > 1 and all(part.casefold() in known for part in parts):
            raise ArgumentError(
                f"--condition takes one label here, not {len(parts):,}", _example(parts[0])
            ) from None
        raise


def _check_text(condition: Text, text: str) -> None:
    """Raise as `Text.encode`, with the example as an option."""
    try:
        condition.encode(text)
    except GenzooError as error:
        hint = error.hint.replace(repr(condition.typed), _example(condition.typed))
        raise type(error)(error.message, hint) from error


def _drawn(condition: Condition, text: str) -> str:
    """Return `text` if it names a picture that is drawn by rule."""
    if text in condition.examples(DRAWN):
        return text
    own = text if _is_file(text) else condition.typed
    raise ArgumentError(
        f"--condition takes no file here, but a picture that is drawn by rule: "
        f"{', '.join(condition.examples(2))}, …",
        f"genzoo translate {_typed_name()} {shlex.quote(own)} translates your own",
    )


def _typed_name() -> str:
    """Return the model that the command line names, NAME where it names several or none."""
    context = click.get_current_context(silent=True)
    name = context.params.get("name") if context else None
    return shlex.quote(name) if isinstance(name, str) else "NAME"


def _typed(condition: Condition) -> str:
    return condition.examples(1)[0] if isinstance(condition, Picture) else condition.typed


def read_rows(condition: Condition, text: str) -> tuple[str, ...]:
    """Return the values of `condition` that `text` names, each once, or raise as `check_rows`. A label called
    "all" is meant before all labels are.
    """
    if isinstance(condition, Text):
        return condition.sentences if text.strip().casefold() == ALL else (read_one(condition, text),)
    if not isinstance(condition, Labels):
        return tuple(condition.examples(DRAWN)) if text == ALL else (read_one(condition, text),)
    _check_form(condition, text)
    if text.strip().casefold() == ALL and ALL not in map(str.casefold, condition.names):
        return condition.names
    numbers = [condition.number(part) for part in _parts(condition, text)]
    return tuple(condition.names[number] for number in dict.fromkeys(numbers))


def _parts(labels: Labels, text: str) -> list[str]:
    """Return what stands between the commas of `text`; a comma within a label is a part of it."""
    known = {name.casefold() for name in labels.names}
    most = 1 + max(name.count(",") for name in labels.names)
    words, parts = text.split(","), list[str]()
    start = 0
    while start < len(words):
        ends = range(min(start + most, len(words)), start, -1)
        end = next((end for end in ends if _joined(words[start:end]).casefold() in known), start + 1)
        parts.append(_joined(words[start:end]))
        start = end
    return parts


def _joined(words: Sequence[str]) -> str:
    return ",".join(words).strip()


def _check_form(labels: Labels, text: str) -> None:
    """Raise ArgumentError for what is no label at all: nothing, or a picture."""
    if not all(part.strip() for part in text.split(",")):
        what = "is empty" if not text.strip() else "names an empty label"
        raise ArgumentError(f"--condition {what}", f"this model takes {labels.words}")
    if _is_file(text) and text.casefold() not in map(str.casefold, labels.names):
        raise ArgumentError(
            f"--condition must be a label, not the file {safe_text(text, 100)}",
            f"this model takes {labels.words}",
        )


def _is_file(text: str) -> bool:
    return _PICTURE.fullmatch(text) is not None or os.path.exists(text)


def _superfluous(card: Card) -> ArgumentError:
    from genzoo import zoo

    names = [other.name for other in zoo.cards() if other.condition is not None]
    found = f"these do: {', '.join(names[:SHOWN])}" if names else "no installed model does"
    return ArgumentError(f"{card.name} takes no condition", f"leave --condition out; {found}")


def _missing(card: Card, condition: Condition) -> ArgumentError:
    way = _example(_typed(condition))
    if isinstance(condition, Picture):
        typed = str(click.get_current_context().params.get("name", card.name))
        way = f"genzoo translate {shlex.quote(typed)} picture.png; here: {way}"
    return ArgumentError(f"{card.name} needs a condition: it takes {condition.words}", way)


def option_of(condition: Condition) -> str:
    """Return the option with one value of `condition`, as it is typed: `--condition 'living room'`."""
    return f"--condition {shlex.quote(_typed(condition))}"


def _example(value: str) -> str:
    context = click.get_current_context(silent=True)
    several = context is not None and any("|all" in str(p.metavar) for p in context.command.params)
    return f"--condition {shlex.quote(value)}" + ", or --condition all" * several


def named(labels: Sequence[str]) -> str:
    """Return the first of `labels` as one text, and how many more there are."""
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f", … ({more:,} more)" if more > 0 else "")


def in_words(model: Any, condition: str | None) -> str:
    """Return ", label kitchen" for the line that says what was drawn, "" without a condition."""
    if condition is None or model.condition is None:
        return ""
    return f", {model.condition.describe(condition)}"


def given(model: Any, condition: str | None) -> tuple[Any, str]:
    """Return `model` with its condition fixed, and which in words: ", label kitchen".

    Without a condition, return the model and "".
    """
    return model if condition is None else model.given(condition), in_words(model, condition)


def of_images(model: Any, images: Any, condition: str | None) -> Any:
    """Return what `condition=` takes for `images`, a set: what was typed, else the labels of the set as rows
    (N,) of the model's; None for a model without a condition.

    Raises:
        DataError: a conditional model and data without labels.
        ArgumentError, UnknownNameError: data with labels that the model does not have.
    """
    if model.condition is None or condition is not None:
        return condition
    from genzoo.data.conditions import conditions_of

    try:
        return conditions_of(model.condition, images)
    except DataError as error:
        raise DataError(error.message, f"{option_of(model.condition)} gives all images one") from error
