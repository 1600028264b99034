"""Gallery and scoreboard, made from the ledger: `python docs/extensions/gallery.py` writes docs/generated.

Every model with published weights is drawn once, the first 64 images of seed 0 with none left out, and timed
while it draws. A model that is published later appears by itself; what was drawn is kept under the digest of
its weights.
"""

import json
import os
import re
import time
from pathlib import Path

import papers

os.environ.setdefault("OMP_NUM_THREADS", "1")

GENERATED = Path(__file__).resolve().parent.parent / "generated"
COUNT, SEED, COLUMNS = 64, 0, 16
SHOWN = 4  # columns of a thumbnail
DENSITY = (
    "A density of real-valued pixels can be any number, also below 0, and is not comparable with a "
    "probability of 8-bit pixels."
)
# in the names of pictures, where older ones show something else: the noise of pixels, or random colours
MEANS, DRAWN = "-means", "-drawn"
BOUNDS = ("elbo", "iwae")
HEADINGS = {
    "tractable": "Exact density: PixelRNN, PixelCNN",
    "approximate": "A bound on the density: VAE, IWAE",
    "implicit": "No density: GANs",
    "autoencoder": "No samples: autoencoders",
}
# What can be asked of a family; a classifier, which only measures others, has no place among them.
EXACT = {"tractable": "exact", "approximate": "bound", "implicit": "no density", "autoencoder": "no density"}


def build(app=None):
    """Write gallery.md, scoreboard.md and the pictures."""
    import genzoo
    from genzoo.zoo import row

    GENERATED.mkdir(exist_ok=True)
    published = [
        (card, row(card.name)) for card in genzoo.cards() if card.has_weights and card.family.value in EXACT
    ]
    drawn = {card.name: draw(card, facts) for card, facts in published}
    write("gallery.md", galleries(published, drawn))
    write("scoreboard.md", scoreboard(published, drawn))


def write(name, text):
    """Write a page; one that says the same already keeps its time, so that nothing is built anew for it."""
    path = GENERATED / name
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


# Pictures


def draw(card, facts):
    """Return {"picture", "alt", "rate", "latent"} of a model, its picture drawn unless these very weights
    were drawn before."""
    import genzoo

    stem = f"{card.name}-{facts.sha256[:12]}" + MEANS * (card.family.value == "approximate")
    stem += DRAWN * takes_pictures(card)
    noted = GENERATED / f"{stem}.json"
    if noted.exists() and (GENERATED / f"{stem}.png").exists():
        return json.loads(noted.read_text("utf-8"))
    print(f"gallery: drawing {card.name}", flush=True)
    model = genzoo.load(card.name)
    model.eval()
    images, rate, alt = samples(model, card) if hasattr(model, "sample") else reconstructions(model, card)
    columns = len(images) // 2 if takes_pictures(card) else COLUMNS
    genzoo.save_grid(images, GENERATED / f"{stem}.png", columns=columns)
    latent = (
        "encodes and decodes" if hasattr(model, "encode") else "decodes" if hasattr(model, "decode") else "–"
    )
    found = {"picture": f"{stem}.png", "alt": alt, "rate": rate, "latent": latent, "columns": columns}
    noted.write_text(json.dumps(found), "utf-8")
    return found


def samples(model, card):
    """Return images, how many are drawn in a second, and a description."""
    from genzoo.models.manner import pictured

    if takes_pictures(card):
        return translations(model, card)
    given = each(model)
    model.sample(1, seed=SEED, condition=given and given[:1])  # what is made ready once is not counted
    begun = time.perf_counter()
    manner = pictured(model)
    images = model.sample(COUNT, seed=SEED, condition=given, mean=manner.mean)
    rate = COUNT / (time.perf_counter() - begun)
    shown = f", {manner.words}" if manner.words else ""
    return images, rate, f"{COUNT} images drawn by {card.name}, seed {SEED}{shown}"


def takes_pictures(card):
    """Say whether a model translates pictures."""
    from genzoo import Picture

    return isinstance(card.condition, Picture)


def translations(model, card):
    """Return pictures above their translations, as `samples` does: those that were drawn for the
    documentation, such as docs/images/horses, or else some that are drawn by rule; no data set is at hand
    here."""
    import torch

    from genzoo.models.rows import rows_of

    sources, drawn = drawn_for_pages(model)
    if sources is None:
        sources = rows_of(model.condition, model.condition.examples(COLUMNS), COLUMNS)
    begun = time.perf_counter()
    made = model.translate(sources, seed=SEED)
    rate = len(sources) / (time.perf_counter() - begun)
    channels = max(sources.shape[1], made.shape[1])
    both = torch.cat([row.expand(-1, channels, -1, -1) for row in (sources, made)])
    return both, rate, f"{len(sources)} pictures drawn {drawn}, above what {card.name} makes of them"


def drawn_for_pages(model):
    """Return the pictures of the model's first domain that are in docs/images, or None, and how they were
    drawn."""
    from genzoo.data import open_data

    folder = Path(__file__).parents[1] / "images" / f"{model.picture.domains[0]}s"
    if not folder.is_dir():
        return None, "by rule"
    return open_data(str(folder), image_shape=model.picture.shape, val_split=0).float(), "for this page"


def each(model):
    """Return one condition for each image of the picture, or None for a model that takes none."""
    if model.condition is None:
        return None
    return model.condition.examples(COUNT)


def reconstructions(model, card):
    """Return images above what their codes are decoded to, for a model that cannot be sampled; the data set
    itself is not at hand here."""
    import numpy as np
    import torch
    from PIL import Image

    import genzoo
    from genzoo.data.decode import fit

    pixels = (
        genzoo.load("dcgan-bedrooms")
        .sample(COLUMNS, seed=SEED, dtype=torch.uint8)
        .permute(0, 2, 3, 1)
        .numpy()
    )
    made = np.stack([fit(Image.fromarray(image), model.image_shape) for image in pixels])
    x = torch.from_numpy(made) / 255
    alt = f"{COLUMNS} bedrooms drawn by dcgan-bedrooms, and what {card.name} rebuilds from their codes"
    return torch.cat([x, model.decode(model.encode(x))]), None, alt


def thumbnail(picture, columns=COLUMNS, **facts):
    """Write the first images of a picture of so many columns as a picture of its own, 4 columns wide, and
    return its name."""
    from PIL import Image

    path = GENERATED / picture.replace(".png", "-first.png")
    if not path.exists():
        with Image.open(GENERATED / picture) as whole:
            width = whole.width // columns * SHOWN
            whole.crop((0, 0, width, min(whole.height, width))).save(path)
    return path.name


# Pages


def galleries(published, drawn):
    """Return a section for each family: small pictures that lead to the models below them."""
    by_family = {}
    for card, facts in published:
        by_family.setdefault(card.family, []).append((card, facts))
    parts = []
    for family in sorted(by_family, key=lambda family: list(EXACT).index(family.value)):
        models = by_family[family]
        parts += [f"## {HEADINGS[family.value]}", thumbnails([card for card, _ in models], drawn)]
        parts += [entry(card, facts, drawn[card.name]) for card, facts in models]
    return "\n\n".join(parts)


def thumbnails(cards, drawn):
    """Return a grid of small pictures, each with the name of its model and a link to it."""
    lines = ["::::{grid} 2 3 4 4", ":gutter: 2", ":class-container: thumbnails", ""]
    for card in cards:
        lines += [
            f":::{{grid-item-card}} {card.name}",
            f":img-bottom: /generated/{thumbnail(**drawn[card.name])}",
            f":img-alt: {card.name}",
            f":link: {anchor(card.name)}",
            ":link-type: ref",
            ":::",
        ]
    return "\n".join([*lines, "::::"])


def anchor(name):
    """Return the label that a page uses to refer to a model."""
    return f"model-{name}"


def explained(card, drawn):
    """Return what the picture of a model shows."""
    if not drawn["rate"]:
        return (
            "An autoencoder has no p(z) to draw from, so it has no samples. Above: images that it was never "
            "trained on (bedrooms drawn by `dcgan-bedrooms`, made smaller); below: what it rebuilds from "
            "their codes."
        )
    if takes_pictures(card):
        return (
            "Above: pictures that were drawn, since no data set is part of this site; below: their "
            f"translations. Held-out pictures: `genzoo translate {card.name} -n {COLUMNS}`."
        )
    first = f"The first {COUNT} images of seed {SEED}, none left out"
    if card.condition is not None:
        return f"{first}, each given one of the conditions in turn."
    means = " They are means of p(x|z), without the noise of single pixels." * ("p(x|z)" in drawn["alt"])
    return f"{first}: `genzoo sample {card.name} -n {COUNT} --seed {SEED}`.{means}"


def entry(card, facts, drawn):
    """Return the section of one model, its table of facts and its scores folded away."""
    from genzoo.cli.output import human_size

    shown = explained(card, drawn)
    about = [
        ("family", f"{card.family.value}: {card.family.words}"),
        ("paper", card.paper),
        ("data", facts.data),
        ("terms", facts.terms),
        ("trained", facts.trained),
        (
            "weights",
            (
                f"{human_size(facts.bytes)}, sha256 `{facts.sha256[:16]}…`, "
                f"{facts.licence or 'no licence stated'}"
            ),
        ),
        ("plugin", f"`{facts.plugin or card.plugin}`"),
    ]
    lines = [f"({anchor(card.name)})=", "", f"### {card.name}", "", f"{card.summary}.", ""]
    lines += [f"![{drawn['alt']}](/generated/{drawn['picture']})", "", shown, ""]
    lines += ["::::{dropdown} Data, weights and scores", "| | |", "|---|---|"]
    lines += [*(f"| {key} | {cell(value)} |" for key, value in about if value), ""]
    if facts.scores:
        lines += ["| score | value | n | on | protocol |", "|---|---|---|---|---|"]
        lines += [score_line(score, card.name) for score in facts.scores]
    return "\n".join([*lines, "::::"])


def score_line(score, name):
    """Return one measurement as a row; the floor that real images reach is said to be one."""
    metric = re.sub(r"@[0-9a-f]+(?=\])", "", score.label) + (
        "" if score.subject in (name, "") else f" of {score.subject} images"
    )
    where = ", ".join(part for part in (score.data, score.split, score.transform) if part)
    return f"| {cell(metric)} | {amount(score)} | {score.n:,} | {cell(where)} | {cell(score.protocol)} |"


def amount(score):
    """Return a value with its error and unit: `=` where it is exact, `≤` where it is a bound."""
    sign = {"exact": "= ", "elbo": "≤ ", "iwae": "≤ "}.get(score.kind, "")
    spread = "" if score.stderr is None else f" ± {score.stderr:.2g}"
    unit = "" if score.unit == "1" else f" × {score.unit}" if score.unit[:1].isdigit() else f" {score.unit}"
    return f"{sign}{score.value:.4g}{spread}{unit}".rstrip()


def cell(text):
    """Return `text` as the cell of a table."""
    return str(text).replace("|", "\\|").replace("[", "\\[").replace("*", "\\*")


def scoreboard(published, drawn):
    """Return one table for each data set: only there is one row to be compared with another. A model that was
    measured on two is in two tables, each with the scores on its data set."""
    by_data = {}
    for card, facts in published:
        parts = {}
        for score in facts.scores:
            parts.setdefault(f"{score.data}, {score.transform}", []).append(score)
        for key, scores in (parts or {"not measured": []}).items():
            by_data.setdefault(key, []).append((card, facts.replace(scores=tuple(scores))))
    return "\n\n".join(table(data, rows, drawn) for data, rows in sorted(by_data.items()))


def table(data, rows, drawn):
    """Return the table of one data set, the floor of its KID if there is one, and what papers report."""
    lines = [f"## {data}", "", "::::{div} scores", "| model | -log p(x) | images/s | z | KID |"]
    lines += ["|---|---|---|---|---|"]
    for card, facts in rows:
        rate = drawn[card.name]["rate"]
        speed = "none" if rate is None else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
        known = [likelihood(facts.scores, unit) for unit in ("nats", "bits/dim")]
        found = "<br>".join(value for value in known if value) or EXACT[card.family.value]
        latent = drawn[card.name]["latent"]
        lines.append(
            f"| {linked(card.name)} | {found} | {speed} | {latent} | "
            f"{'<br>'.join(kids(facts.scores, card.name)) or '–'} |"
        )
    floors = {kid for _, facts in rows for kid in kids(facts.scores, "train")}
    lines += [f"| real images, the floor | | | | {floor} |" for floor in sorted(floors)]
    lines += ["::::"]
    if any("real-valued" in score.protocol for _, facts in rows for score in facts.scores):
        lines += ["", DENSITY]
    return "\n".join([*lines, *reported(data, {card.name: facts for card, facts in rows})])


def linked(name):
    """Return a link to a model in the gallery."""
    return f"[{name}](/gallery.md#{re.sub(r'[^a-z0-9-]', '', name.lower())})"


def reported(data, rows):
    """Return the lines of a table of what papers report on a data set, each with the model here that has the
    same net, measured by the same quantity."""
    lines = ["", "::::{div} papers", "| in papers | reported | here |", "|---|---|---|"]
    for line in papers.PAPERS.get(data, ()):
        here = "–"
        if line.model in rows:
            here = f"{amount(measured(rows[line.model], line.measure))}, {linked(line.model)}"
        lines.append(f"| {line.net} ([{line.source}]({line.url})) | {line.value} | {here} |")
    return [*lines, "::::"] if data in papers.PAPERS else []


def measured(facts, measure):
    """Return the score that a line of PAPERS names: a metric, or a kind and a unit of likelihood."""
    kind, _, unit = measure.partition(" ")
    for score in facts.scores:
        of_model = score.subject in (facts.name, "")
        if of_model and (score.metric == measure or (score.kind, score.unit) == (kind, unit)):
            return score
    raise LookupError(f"{facts.name} has no {measure!r}")


def likelihood(scores, unit):
    """Return the sharpest statement about log p(x) in `unit`: the exact one, or the tightest bound, and how
    it was made; an empty text if there is none."""
    found = [score for score in scores if score.metric == "nll" and score.unit == unit]
    exact = [score for score in found if score.kind == "exact"]
    if exact:
        return amount(exact[0])
    bounds = sorted((score for score in found if score.kind in BOUNDS), key=lambda score: score.value)
    if not bounds:
        return ""
    k = re.search(r"K = (\d+)", bounds[0].protocol)
    return f"{amount(bounds[0])} ({f'IWAE-{k[1]}' if k else 'ELBO'})"


def kids(scores, subject):
    """Return the kernel distances of `subject`, each with what it depends on."""
    found = (score for score in scores if score.metric == "kid" and score.subject == subject)
    return [f"{amount(score)} ({', '.join(how(score))})" for score in found]


def how(score):
    """Yield what a kernel distance depends on beside the images of its table."""
    yield score.features.partition("@")[0]
    if score.condition:
        yield f"given {score.condition}"
    if "black or white" in score.drawn and score.subject != "train":
        yield "greys made black and white"


def setup(app):
    """Join Sphinx: the pages are made before any is read."""
    app.connect("builder-inited", build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    build()
