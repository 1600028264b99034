"""Measure published records anew and set them beside what zoo.toml says.

    GENZOO_DATA=/path/to/data python tests/records.py               # all, hours of a core: IWAE with 5,000
    draws of 10,000 images GENZOO_DATA=/path/to/data python tests/records.py vae-frey dcgan-bedrooms
    GENZOO_DATA=/path/to/data python tests/records.py pixelcnn-mnist -n 500    # a part of the images
    GENZOO_DATA=/path/to/data python tests/records.py dcgan-faces --write      # put what is measured now into
    zoo.toml GENZOO_DATA=/path/to/data python tests/records.py gan-mnist --metrics swd,ms-ssim

Exit code 1: a record differs. All images: by more than a tenth of its standard error (other machines draw
other grey levels here and there), or a thousandth where it has none. A part of them: by more than four
standard errors of both; what depends on n is left out.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import genzoo
from genzoo import zoo
from genzoo.ledger import Row, add_row, read_rows
from genzoo.record import Record
from genzoo.request import ALL

LEDGER = Path(__file__).resolve().parents[1] / "zoo.toml"
# their values depend on n
BIASED = ("fid", "precision", "recall", "density", "coverage", "swd", "parzen-2014", "two-sample")
TIGHT, BARE, ERRORS = 0.1, 1e-3, 4.0  # of a standard error; of a value without one; standard errors of a part


@dataclass(frozen=True)
class Pair:
    """A published score and what was measured now; None where there is no such record any more."""

    published: Record
    measured: Record | None
    whole: bool

    @property
    def agrees(self) -> bool:
        """Say whether the two are one number, within what this machine and this part of the images may
        change."""
        if self.measured is None:
            return False
        apart = abs(self.published.value - self.measured.value)
        if self.whole:
            near = apart <= (
                TIGHT * self.published.stderr if self.published.stderr else BARE * abs(self.published.value)
            )
            spreads = abs((self.published.stderr or 0.0) - (self.measured.stderr or 0.0)) <= TIGHT * (
                self.published.stderr or 0.0
            )
            return (
                near
                and spreads
                and (self.published.n, self.published.blocks) == (self.measured.n, self.measured.blocks)
            )
        return apart <= ERRORS * math.hypot(self.published.stderr or 0.0, self.measured.stderr or 0.0)


def measured(
    row: Row, n: int | None = None, ks: list[int] | None = None, metrics: list[str] | None = None
) -> list[Record]:
    """Return the scores of a published model as they are measured now, of all images or of `n` (of samples on
    a second data set, or of a model with a likelihood, at most as many as were published)."""
    known = [int(found[1]) for found in (re.match(r"K = (\d+)", one.protocol) for one in row.scores) if found]
    draws = {"draws": ks or sorted(set(known))} if known else {}
    each = any(one.condition.startswith("label ") for one in row.scores)
    asked = {"n": n, "split": row.scores[0].split, "metrics": metrics, "condition": ALL if each else None}
    found = zoo.evaluate(row.name, **asked, **draws)
    for about, names in further(row).items():
        wanted = [name for name in names if metrics is None or name in metrics]
        if wanted:
            found += zoo.evaluate(row.name, **{**asked, **about._asdict(), "n": n or about.n}, metrics=wanted)
    return [record.legible() for record in found]


class About(NamedTuple):
    """What samples were measured on, in which features, how many, and how they became black and white."""

    data: str
    features: str
    n: int
    binarise: str | None


def further(row: Row) -> dict[About, list[str]]:
    """Return the metrics of samples that a plain `genzoo eval` of the model does not measure: those of a
    model with a likelihood, and those on a second data set."""
    found: dict[About, list[str]] = {}
    first = row.scores[0]
    for score in row.scores:
        if score.kind == "sample" and (first.kind != "sample" or score.data != first.data):
            space = score.features.partition("@")[0].removesuffix("-v1")
            about = About(score.data, space, score.n, "draw" if "black or white" in score.drawn else None)
            names = found.setdefault(about, [])
            names += [score.metric] * (score.metric not in names)
    return found


def pairs(row: Row, found: list[Record], whole: bool) -> Iterator[Pair]:
    """Yield every published score beside the one of the same metric, unit, kind and subject (and K)."""
    by_key = {key(one): one for one in found}
    for published in row.scores:
        if whole or (key(published) in by_key and not published.metric.startswith(BIASED)):
            yield Pair(published, by_key.get(key(published)), whole)


def key(score: Record) -> tuple[str, ...]:
    """Return what tells the scores of one model apart."""
    draws = re.match(r"K = \d+", score.protocol)
    return score.label, score.unit, score.kind, score.subject, draws[0] if draws else ""


def told(pair: Pair) -> str:
    """Return a line of the table."""
    one, now = pair.published, pair.measured
    label = " ".join(
        filter(
            None,
            (
                one.label,
                "" if one.unit == "1" else one.unit,
                one.kind,
                *re.findall(r"K = \d+", one.protocol),
                f"of {one.subject}",
            ),
        )
    )
    return (
        f"  {label:<62} {_amount(one):>22} {_amount(now) if now else 'no such record':>22}  "
        f"{'' if pair.agrees else 'DIFFERS'}"
    ).rstrip()


def _amount(score: Record) -> str:
    return f"{score.value:.6g}" + ("" if score.stderr is None else f" ± {score.stderr:.2g}")


def main() -> int:
    """Print the table; return 1 where a record differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="published models; by default all")
    parser.add_argument("-n", type=int, help="how many images, by default all")
    parser.add_argument("--metrics", help="of samples, some alone: swd,ms-ssim")
    parser.add_argument(
        "--write", action="store_true", help="put the scores that are measured now into zoo.toml"
    )
    asked = parser.parse_args()
    if asked.write and asked.n:
        parser.error("records are of all images: leave -n out")
    rows, differ = read_rows(LEDGER), 0
    for name in asked.names or rows:
        print(f"{genzoo.info(name).name}{'published':>72} {'measured':>22}"[:200], flush=True)
        found = measured(rows[name], asked.n, metrics=asked.metrics.split(",") if asked.metrics else None)
        again = {key(one): one for one in found}
        for pair in pairs(rows[name], found, asked.n is None):
            if pair.measured is not None or not asked.metrics:
                differ += not pair.agrees
                print(told(pair), flush=True)
        if asked.write:
            kept = [again.get(key(one), one) for one in rows[name].scores] if asked.metrics else found
            add_row(LEDGER, rows[name].replace(scores=tuple(kept)))
    print(f"{differ} differ" if differ else "all agree")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
