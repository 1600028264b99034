"""Draw the pictures of docs/lecture.md and the plots of docs/few-labels.md: `python docs/draw.py` runs each
command whose picture the lecture page shows, and draws the tables of the other page."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from genzoo.plots import Curve, Plot

DOCS = Path(__file__).resolve().parent
LECTURE = DOCS / "images" / "lecture"


def main(wanted):
    """Draw the pictures named in `wanted`, or all."""
    text = (DOCS / "lecture.md").read_text("utf-8")
    shown = set(re.findall(r"\(images/lecture/([^)]+)\)", text))
    LECTURE.mkdir(exist_ok=True)
    for line in re.findall(r"`(genzoo [^`]*-o ([\w.-]+)[^`]*)`", text):
        if line[1] in shown and (not wanted or line[1] in wanted):
            print(f"+ {line[0]}", flush=True)
            (LECTURE / line[1]).unlink(missing_ok=True)
            subprocess.run([sys.executable, "-m", *shlex.split(line[0])], cwd=LECTURE, check=True)
    for name, plot in plots((DOCS / "few-labels.md").read_text("utf-8")):
        if not wanted or name in wanted:
            print(f"+ {name}", flush=True)
            plot.save(DOCS / "images" / name)


def plots(text):
    """Yield the name and the plot of each table of accuracies that follows a picture."""
    for name, table in re.findall(r"\(images/([\w.-]+)\)\n\n((?:\|.*\n)+)", text):
        header, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
        curves = []
        for column, label in enumerate(header[1:], 1):
            values = [[float(word) for word in row[column].split(" ± ")] for row in rows]
            curves.append(
                Curve(
                    label=label,
                    x=[int(row[0].replace(",", "")) for row in rows],
                    y=[value for value, _ in values],
                    error=[error for _, error in values],
                    dashed=label == "linear probe",
                    colour=-1 if label == "random weights" else 0,
                )
            )
        yield name, Plot(panels={"accuracy, %": curves}, x_label="labelled images", log_x=True)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
