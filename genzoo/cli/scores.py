"""The scores of one model as `genzoo info` shows them: a table, each value beside the floor of real images,
and below it how they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from genzoo.cli.output import say, say_table, say_wrapped
from genzoo.errors import safe_text
from genzoo.record import FLOOR, Record, beside_floor

_DRAWS = "K = "  # how the protocol of a tighter bound begins


def say_scores(scores: Sequence[Record]) -> None:
    """Print the scores of one model as a table, and below it what else decides each number."""
    pairs = beside_floor(scores)
    model = next((score.subject for score in scores if score.subject != FLOOR), FLOOR)
    floors = any(floor for _, floor in pairs)
    header = ["METRIC", "MODEL", *(["REAL IMAGES"] if floors else []), "SPLIT", "N"]
    say("\nScores")
    say_table(header, [_cells(*pair, floors, model) for pair in pairs], indent="  ", spare=["SPLIT"])
    say("")
    for words in _how(scores, model):
        say_wrapped(safe_text(words, 2000), "  ")


def _cells(record: Record, floor: Record | None, floors: bool, model: str) -> list[str]:
    unit = "" if record.unit == "1" else f" ({'× ' * record.unit[:1].isdigit()}{record.unit})"
    value = "" if record is floor else f"{record.sign}{record.amount}"
    real = [f"{floor.sign}{floor.amount}" if floor else ""] if floors else []
    return [_title(record, model) + unit, value, *real, record.split, f"{record.n:,}" if record.n else ""]


def _title(score: Record, model: str) -> str:
    """Return the metric, of a bound its kind, what was given, and the subject if it is not the model: "nll
    IWAE K = 50 given test labels", "l1 given test sources of mean target".
    """
    of = f" of {score.subject}" if score.subject not in (model, FLOOR) else ""
    bound = {"elbo": " ELBO", "iwae": " IWAE"}.get(score.kind, "")
    measure = score.short_label.removesuffix(score.given) + bound
    return measure + (f" {_draws(score)}" if _draws(score) else "") + score.given + of


def _draws(score: Record) -> str:
    first = score.protocol.split(", ")[0]
    return first if score.kind == "iwae" and first.startswith(_DRAWS) else ""


def _how(scores: Sequence[Record], model: str) -> Iterator[str]:
    """Yield how the scores were measured: what all share, then what some have of their own."""
    # Records of models first: their clauses are the ones that people look for.
    clauses = {score: _clauses(score) for score in sorted(scores, key=lambda score: score.subject == FLOOR)}
    # In the order of the first score; a set would shuffle the words from run to run.
    shared = [clause for clause in clauses[scores[0]] if all(clause in own for own in clauses.values())]
    if shared:
        yield f"all: {'; '.join(shared)}"
    own: dict[str, list[str]] = {}
    for score, said in clauses.items():
        titles = own.setdefault("; ".join(clause for clause in said if clause not in shared), [])
        if (title := _title(score, model)) not in titles:
            titles.append(f"{title} of real images" if score.subject == FLOOR else title)
    yield from (f"{', '.join(dict.fromkeys(titles))}: {words}" for words, titles in own.items() if words)


def _clauses(score: Record) -> list[str]:
    """Return what one must know of a score beside the columns of the table."""
    protocol = score.protocol.removeprefix(_draws(score)).removeprefix(", ")
    return [
        *([f"measured on {score.data} {score.split}, {score.transform}"] if score.data else []),
        *([f"n in {score.blocks:,} blocks"] if score.blocks else []),
        *([f"features {score.features}"] if "@" in score.features else []),
        *filter(None, protocol.split("; ")),
        *filter(None, [score.note]),
    ]
