"""The figures of SECURITY.md: what was tried, how many cases, and how many ended as they must.

    python tests/figures.py [--chains N] [--write] [WORD ...]

runs everything (or the lines whose name holds one of the words) and prints the table; `--write` puts it into
SECURITY.md. It takes a while on one core: the chains are fifty for each family unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import corpora
import faults
from fault_scenarios import SCENARIOS

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "SECURITY.md"
BEGIN, END = "<!-- figures: python tests/figures.py --write -->", "<!-- end of figures -->"
HEAD = "| tried | cases | right |\n|---|--:|--:|\n"
CHAINS = 50
FAMILIES = ("tractable", "approximate", "implicit", "autoencoder", "classifier")


@dataclass(frozen=True)
class Figure:
    """One line of the table, and what went wrong in it."""

    name: str
    cases: int
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"| {self.name} | {self.cases:,} | {self.cases - len(self.wrong):,} |"


def of_scenario(scenario: faults.Scenario) -> Figure:
    """Interrupt one scenario at every operation by every fault."""
    with tempfile.TemporaryDirectory() as folder:
        cases = list(faults.play(scenario, Path(folder) / "faults"))
    wrong = tuple(
        f"{case.kind} at {case.number}, {case.operation}: {case.verdict}" for case in cases if not case.right
    )
    return Figure(scenario_name(scenario), len(cases), wrong)


def of_corpus(name: str) -> Figure:
    """Try one corpus of hostile files or plugins."""
    with tempfile.TemporaryDirectory() as folder:
        count, wrong = corpora.play(corpora.CORPORA[name], Path(folder))
    return Figure(corpus_name(name), count, tuple(wrong))


def of_chains(family: str, count: int) -> Figure:
    """Run chains of killed trainings, in a process that has computed nothing before."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    done = subprocess.run(
        [sys.executable, str(HERE / "chains.py"), str(count), family], env=env, capture_output=True, text=True
    )
    try:
        told = json.loads(done.stdout.splitlines()[-1])[family]
    except (ValueError, LookupError):
        return Figure(chain_name(family), count, (f"no answer: {done.stderr[-1000:]}",) * count)
    print(
        f"{family}: {told['killed']} of {told['chains']} × 3 processes killed before their end",
        file=sys.stderr,
        flush=True,
    )
    return Figure(chain_name(family), told["chains"], tuple(told["wrong"]))


def scenario_name(scenario: faults.Scenario) -> str:
    """Return what the table calls a scenario."""
    return f"faults of the disk: {scenario.name}"


def corpus_name(name: str) -> str:
    """Return what the table calls a corpus."""
    return f"hostile {name}"


def chain_name(family: str) -> str:
    """Return what the table calls the chains of a family."""
    return f"chains of SIGKILLs: {family}"


def everything(chains: int) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Yield the name of each line and what computes it, in the table's order."""
    for scenario in SCENARIOS:
        yield scenario_name(scenario), partial(of_scenario, scenario)
    for corpus in corpora.CORPORA:
        yield corpus_name(corpus), partial(of_corpus, corpus)
    for family in FAMILIES:
        yield chain_name(family), partial(of_chains, family, chains)


def written(text: str) -> dict[str, tuple[int, int]]:
    """Return the table that stands in `text`: name -> cases and right ones."""
    inside = text.partition(BEGIN)[2].partition(END)[0]
    rows = re.findall(r"^\| ([^|]+) \| ([0-9,]+) \| ([0-9,]+) \|$", inside, re.MULTILINE)
    return {name: (int(cases.replace(",", "")), int(right.replace(",", ""))) for name, cases, right in rows}


def replaced(text: str, figures: dict[str, str]) -> str:
    """Return `text` with the lines of `figures` in its table; lines that were not computed stay."""
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    old = {
        line.split(" | ")[0].removeprefix("| "): line for line in inside.splitlines() if line.startswith("| ")
    }
    lines = [figures.get(name, old.get(name)) for name, _ in everything(0)]
    return f"{before}{BEGIN}\n{HEAD}" + "\n".join(line for line in lines if line) + f"\n{END}{after}"


def main(words: list[str]) -> int:
    """Compute the figures, print and perhaps write them; return how many cases went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=CHAINS)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args(words)
    os.environ.pop("GENZOO_PLUGINS", None)
    figures: dict[str, str] = {}
    wrong: list[str] = []
    print(HEAD, end="", flush=True)
    for name, compute in everything(asked.chains):
        if asked.words and not any(word in name for word in asked.words):
            continue
        figure = compute()
        figures[name] = str(figure)
        wrong += [f"{name}: {told}" for told in figure.wrong]
        print(figure, flush=True)
        print(
            *(f"  {told}" for told in figure.wrong),
            sep="\n",
            file=sys.stderr,
            end="\n" if figure.wrong else "",
            flush=True,
        )
        if asked.write:
            PAGE.write_text(replaced(PAGE.read_text("utf-8"), figures), "utf-8")
    return min(len(wrong), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
