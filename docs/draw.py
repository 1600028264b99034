"""Draw the pictures of docs/lecture.md and the plots of docs/few-labels.md: `python docs/draw.py` runs each
command whose picture the lecture page shows, draws the diagrams of that page, and the tables of the other.

A picture of a model without published weights waits for them: `<!-- picture NAME.png: what it shows -->` is
in its place on the page. When the weights are in the ledger, this command draws it and puts it there, and
removes the lines that say that they are missing.
"""

import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from genzoo.plots import Curve, Plot

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
LECTURE = IMAGES / "lecture"
COMMAND = re.compile(r"`(genzoo [^`]*-o ([\w.-]+)[^`]*)`")
WAITING = re.compile(r"<!-- picture (\S+): (.+?) -->")
MISSING = re.compile(r"^The weights of (\S+) are not published yet\.\n", re.MULTILINE)


def main(wanted):
    """Draw the pictures named in `wanted`, or all."""
    for page in pages():
        page.write_text(shown_now(page.read_text("utf-8"), page, published()), "utf-8")
    for name, draw in pictures():
        if not wanted or name in wanted:
            print(f"+ {name}", flush=True)
            draw()


def pictures():
    """Yield the name of each picture, and what draws it and puts it into its place."""
    from diagrams import DIAGRAMS

    text = (DOCS / "lecture.md").read_text("utf-8")
    shown = set(re.findall(r"\(images/lecture/([^)]+)\)", text))
    for line, name in dict.fromkeys(COMMAND.findall(text)):
        if name in shown:
            yield name, partial(run, line, name)
    for name, make in DIAGRAMS.items():
        yield name, lambda name=name, make=make: make().savefig(IMAGES / name, metadata={"Software": None})
    yield "facades.png", lambda: facades().save(IMAGES / "facades.png")
    for name, plot in plots((DOCS / "few-labels.md").read_text("utf-8")):
        yield name, partial(plot.save, IMAGES / name)


def run(line, name):
    """Run a command of the lecture page that writes the picture `name`."""
    print(f"  {line}", flush=True)
    LECTURE.mkdir(exist_ok=True)
    (LECTURE / name).unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd=LECTURE, check=True)


def pages():
    """Return the pages that may wait for pictures."""
    return [DOCS / "lecture.md", *sorted((DOCS / "tutorials").glob("*.md"))]


def published():
    """Return the names of the models whose weights are in the ledger."""
    import genzoo

    return {card.name for card in genzoo.cards() if card.has_weights}


def waiting(known):
    """Return the pictures that cannot be drawn: their commands name none of the models in `known`."""
    commands = COMMAND.findall((DOCS / "lecture.md").read_text("utf-8"))
    return {name for line, name in commands if not known.intersection(shlex.split(line))}


def shown_now(text, page, known):
    """Return the text of a page with the pictures that models in `known` draw, in place of what waited for
    them."""
    missing, depth = waiting(known), "../" * (len(page.relative_to(DOCS).parts) - 1)

    def picture(found):
        return found[0] if found[1] in missing else f"![{found[2]}]({depth}images/lecture/{found[1]})"

    return MISSING.sub(lambda found: "" if found[1] in known else found[0], WAITING.sub(picture, text))


def facades():
    """Return eight label maps that were drawn for this page, above what pix2pix makes of them. No picture of
    the data set is in this repository."""
    import torch

    import genzoo
    from genzoo.data import open_data

    drawn = open_data(str(DOCS / "images" / "maps"), image_shape=(3, 128, 128), val_split=0).float()
    photos = genzoo.load("pix2pix-facades").translate(drawn, seed=0)
    return genzoo.grid(torch.cat([drawn, photos]), columns=len(drawn))


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
