"""Draw the pictures of docs/lecture.md and the plots of docs/few-labels.md and docs/own-models.md:
`python docs/draw.py` runs each command whose picture the lecture page shows, draws the diagrams of that page,
and the tables of the other pages.

A picture of a model without published weights waits for them: `<!-- picture NAME.png: what it shows -->` is
in its place on the page. When the weights are in the ledger, this command draws it and puts it there, and
removes the lines that say that they are missing.
"""

import json
import re
import shlex
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from genzoo.plots import Curve, Plot
from genzoo.runs import LogReader

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
LECTURE = IMAGES / "lecture"
COMMAND = re.compile(r"`(genzoo [^`]*-o ([\w.-]+)[^`]*)`")
WAITING = re.compile(r"<!-- picture (\S+): (.+?) -->")
# pictures of this repository that a model translates: its name, and what they show; no data set is published
TRANSLATED = {
    "facades.png": ("pix2pix-facades", "map"),
    "zebras.png": ("cyclegan-horse2zebra", "horse"),
    "horses.png": ("cyclegan-horse2zebra", "zebra"),
}
# curves of the log of a run, which is in no repository: `.ci/publish.py` draws them when it publishes the run
CURVES = {"began-m.png": ("began-faces", "M")}
# the first samples of a model, at twice their size: the first picture of the README
FRONT, FIRST = "bedrooms.png", "dcgan-bedrooms"
# what the nets of a finished `genzoo experiment facades` make of the drawn maps; its own picture shows
# photographs of the data set
ABLATION, CELLS = "experiment-facades.png", DOCS.parent / "runs" / "facades"
POINTS = 100  # of a curve, each the mean over as many rounds
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
    yield FRONT, front
    known = published()
    for name, (model, kind) in TRANSLATED.items():
        if model in known:
            yield name, partial(translate, name, model, kind)
    if CELLS.is_dir():
        yield ABLATION, lambda: ablation(CELLS).save(IMAGES / ABLATION)
    pages_of_plots = (DOCS / name for name in ("few-labels.md", "own-models.md"))
    for name, plot in plots("".join(page.read_text("utf-8") for page in pages_of_plots)):
        yield name, partial(save, plot, IMAGES / name)


def run(line, name):
    """Run a command of the lecture page that writes the picture `name`."""
    print(f"  {line}", flush=True)
    LECTURE.mkdir(exist_ok=True)
    (LECTURE / name).unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", *shlex.split(line)], cwd=LECTURE, check=True)


def save(plot, path):
    """Write a plot to `path`; KID of both starts of a fine-tuning needs a logarithmic axis."""
    figure = plot.figure()
    if "KID" in plot.panels:
        figure.axes[0].set_yscale("log")
    figure.savefig(path, metadata={"Software": None})


def front():
    """Write the first picture of the README: the first 32 samples of seed 0."""
    import genzoo

    genzoo.save_grid(genzoo.load(FIRST).sample(32, seed=0), IMAGES / FRONT, columns=8, upscale=2)


def translate(picture, name, kind):
    """Write the picture of the `translations` of a model."""
    translations(name, kind).save(IMAGES / picture)


def pages():
    """Return the pages that may wait for pictures."""
    return [DOCS / "lecture.md", *sorted((DOCS / "tutorials").glob("*.md"))]


def published():
    """Return the names of the models whose weights are in the ledger."""
    import genzoo

    return {card.name for card in genzoo.cards() if card.has_weights}


def waiting(known):
    """Return the pictures that cannot be drawn: they need none of the models in `known`."""
    commands = COMMAND.findall((DOCS / "lecture.md").read_text("utf-8"))
    missing = {name for name, (model, _) in {**TRANSLATED, **CURVES}.items() if model not in known}
    return missing | {name for line, name in commands if not known.intersection(shlex.split(line))}


def shown_now(text, page, known):
    """Return the text of a page with the pictures that models in `known` draw, in place of what waited for
    them."""
    missing, depth = waiting(known), "../" * (len(page.relative_to(DOCS).parts) - 1)

    def picture(found):
        folder = "images" if found[1] in {**TRANSLATED, **CURVES} else "images/lecture"
        return found[0] if found[1] in missing else f"![{found[2]}]({depth}{folder}/{found[1]})"

    return MISSING.sub(lambda found: "" if found[1] in known else found[0], WAITING.sub(picture, text))


def curve(run, key):
    """Return a plot of the curve `key` in the log of a run's folder."""
    reader, rounds = LogReader(run), []
    while news := reader.read().rounds:
        rounds += [(step, values[key]) for step, values in news if key in values]
    each = max(1, len(rounds) // POINTS)
    parts = [rounds[i : i + each] for i in range(0, len(rounds) - each + 1, each)]
    x, y = ([statistics.fmean(row[column] for row in part) for part in parts] for column in (0, 1))
    return Plot(panels={key: [Curve(label=key, x=x, y=y)]}, x_label=f"round (means over {each})")


def ablation(folder):
    """Return the drawn maps, and below them a row for each cell of a finished experiment of translators."""
    import torch
    from PIL import Image, ImageDraw, ImageFont

    import genzoo
    from genzoo.data import open_data

    cells = {json.loads(path.read_text("utf-8"))["row"]: path.parent for path in folder.glob("*/cell.json")}
    table = json.loads((folder / "table.json").read_text("utf-8"))["cells"]
    names = list(dict.fromkeys(cell["row"] for cell in table))
    models = [genzoo.load(cells[name]) for name in names]
    shape = models[0].picture.shape
    drawn = open_data(str(DOCS / "images" / "maps"), image_shape=shape, val_split=0).float()
    rows = [drawn, *(model.translate(drawn, seed=0) for model in models)]
    picture, font = genzoo.grid(torch.cat(rows), columns=len(drawn)), ImageFont.load_default(14)
    left = 16 + max(round(font.getlength(name)) for name in names)
    canvas = Image.new("RGB", (left + picture.width, picture.height), "white")
    canvas.paste(picture, (left, 0))
    for i, name in enumerate(names, 1):
        height = picture.height / len(rows)
        ImageDraw.Draw(canvas).text((8, round((i + 0.5) * height)), name, "black", font, "lm")
    return canvas


def translations(name, kind):
    """Return the pictures of a kind that were drawn for the documentation ("horse": docs/images/horses) above
    what a model makes of them, and, if it knows the way, above that on the way back."""
    import torch

    import genzoo
    from genzoo.data import open_data

    model = genzoo.load(name)
    first, second = model.picture.domains
    to = first if kind == second else second
    folder = str(IMAGES / f"{kind}s")
    rows = [open_data(folder, image_shape=model.shape_of(kind), val_split=0).float()]
    for target in (to, kind)[: 1 + model.picture.both_ways]:
        rows.append(model.translate(rows[-1], target, seed=0))
    return genzoo.grid(torch.cat(rows), columns=len(rows[0]))


def plots(text):
    """Yield the name and the plot of each table of a mean and its spread that follows a picture."""
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
        labels = header[0] == "labels"
        y_label, x_label = ("accuracy, %", "labelled images") if labels else ("KID", header[0])
        yield name, Plot(panels={y_label: curves}, x_label=x_label, log_x=labels)


if __name__ == "__main__":
    main(set(sys.argv[1:]))
