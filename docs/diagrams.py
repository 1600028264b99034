"""The diagrams of docs/lecture.md, drawn by `python docs/draw.py` with what genzoo itself says: its cards,
its weights, and two small nets that are trained on the digits of the package.

They are dark on white. On the site they swap light and dark in the dark scheme, so pictures of digits are ink
on paper. `DIAGRAMS` names their files in docs/images.
"""

import math
import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

import genzoo
from genzoo import Family

BLUE, EDGE, ORANGE, PALE, INK = "#9ecae1", "#2b5c86", "#e6862e", "#eef3f8", "#222222"
DPI, DIGITS = 160, {"image_size": "8x8", "channels": 1}


def canvas(width, height, *shape, **ratios):
    """Return a figure of this size in inches, and its axes."""
    figure = Figure((width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplots(*shape, **ratios)


def ink(axes, image):
    """Show an image (1, H, W) in [0, 1], white strokes on black, as ink on paper with a thin frame."""
    axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#bbbbbb", linewidth=0.6)


def trained(name, steps, folder, **settings):
    """Return a model trained on the digits of the package in `folder`, quickly."""
    outcome = genzoo.train(
        name, data="digits", steps=steps, settings={**DIGITS, **settings}, out=folder, quiet=True
    )
    return genzoo.load(str(outcome.folder))


# 1 · From training data to samples


def learned():
    """Return training digits beside samples of a VAE that was trained on such digits."""
    from genzoo.data import open_data

    data = open_data("digits", image_shape=(1, 8, 8), split="train").float(range(24))
    with tempfile.TemporaryDirectory() as folder:
        model = trained("vae", 3000, Path(folder) / "run", likelihood="logistic", width=256)
    samples = model.sample(24, seed=0, mean=True)
    figure = Figure((7.5, 2.9), dpi=DPI, layout="constrained")
    left, right = figure.subfigures(1, 2, wspace=0.12)
    for part, title, images in (
        (left, "training images, from an unknown p(x)", data),
        (right, "means of p(x|z), z from the prior", samples),
    ):
        part.suptitle(title, fontsize=11, color=INK)
        for axes, image in zip(part.subplots(4, 6).flat, images, strict=True):
            ink(axes, image)
    return figure


# 2 · The taxonomy

TREE = {  # box → (column, row, words); rows count from the top
    "": (1.25, 0, "generative models"),
    "explicit": (0.5, 1, "explicit density:\np(x) has a formula"),
    "tractable": (0, 2, "tractable:\np(x) exactly"),
    "approximate": (1, 2, "approximate:\na bound on p(x)"),
    "implicit": (2, 2, "implicit density:\nsamples only"),
}
BRANCHES = (("", "explicit"), ("", "implicit"), ("explicit", "tractable"), ("explicit", "approximate"))
SIZE = (0.86, 0.56)  # of a box


def architectures(family):
    """Return the names of the architectures of a family, by the cards: those that are trained on one data set
    are named without it, each name once."""
    found = []
    for card in sorted(genzoo.cards(), key=lambda card: card.name):
        stem, _, data = card.name.rpartition("-")
        of_data = bool(stem) and card.recipe is not None and data in card.recipe.data
        if card.family is family:
            found.append(stem if of_data else card.name)
    return list(dict.fromkeys(found))


def taxonomy():
    """Return the tree of the lecture, with the architectures of each family as the installed cards name
    them."""
    figure, axes = canvas(6.2, 3.7)
    for above, below in BRANCHES:
        (left, top, _), (right, bottom, _) = TREE[above], TREE[below]
        middle = -top - SIZE[1] / 2 - 0.2
        axes.plot(
            [left, left, right, right], [-top, middle, middle, -bottom], color=EDGE, linewidth=1, zorder=0
        )
    for name, (x, row, words) in TREE.items():
        leaf = name in {family.value for family in Family}
        axes.add_patch(
            FancyBboxPatch(
                (x - SIZE[0] / 2, -row - SIZE[1] / 2),
                *SIZE,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=BLUE if leaf else PALE,
                edgecolor=EDGE,
            )
        )
        axes.text(x, -row, words, ha="center", va="center", fontsize=10, color=INK)
        if leaf:
            axes.text(x, -row - 0.4, listed(name), ha="center", va="top", fontsize=9, color=INK)
    axes.set(xlim=(-0.5, 2.5), ylim=(-3.3, 0.32))
    axes.axis("off")
    return figure


def listed(family, wide=22):
    """Return the architectures of a family in lines of at most `wide` characters."""
    lines = [""]
    for name in architectures(Family(family)):
        if lines[-1] and len(lines[-1]) + len(name) > wide:
            lines.append("")
        lines[-1] += f"{name}, "
    return "\n".join(lines).rstrip(", ")


# 3 · The chain rule


def chain_rule(side=4, shown=(1, 2, 6, 16)):
    """Return an image of side × side pixels at some factors of the chain rule: the pixel of the factor, and
    those that it depends on."""
    figure, axes = canvas(7.5, 2.1, 1, len(shown))
    for place, factor, before in zip(axes, shown, (None, *shown), strict=False):
        for number in range(1, side * side + 1):
            x, y = (number - 1) % side, (number - 1) // side
            shade = ORANGE if number == factor else BLUE if number < factor else "white"
            corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)]
            place.add_patch(Polygon(corners, facecolor=shade, edgecolor=EDGE, linewidth=0.8))
            grey = INK if number <= factor else "#aaaaaa"
            place.text(x + 0.5, y + 0.52, f"{number}", ha="center", va="center", fontsize=9, color=grey)
        earlier = {1: "", 2: r" \mid x_1"}.get(factor, rf" \mid x_1, \ldots, x_{{{factor - 1}}}")
        place.set_title(rf"$p(x_{{{factor}}}{earlier})$", fontsize=12, color=INK)
        place.set(xlim=(-0.05, side + 0.05), ylim=(side + 0.05, -0.05), aspect="equal")
        place.axis("off")
        if before is not None:
            words = "×" if factor == before + 1 else "× ··· ×"
            place.text(-0.06, 0.5, words, transform=place.transAxes, ha="right", va="center", fontsize=11)
    return figure


# 9 · The autoencoder


def codes(shown=8, size=8):
    """Return held-out digits, the codes that a small autoencoder finds for them, and what it decodes."""
    from genzoo.data import open_data

    x = open_data("digits", image_shape=(1, 8, 8), split="test").float(range(shown))
    with tempfile.TemporaryDirectory() as folder:
        model = trained("autoencoder", 2000, Path(folder) / "run", code_channels=size)
    z = model.encode(x)
    rebuilt, top = model.decode(z), float(z.abs().max())
    figure, axes = canvas(7.5, 3.0, 3, shown, height_ratios=(1, 0.6, 1))
    for column in range(shown):
        ink(axes[0, column], x[column])
        axes[1, column].bar(range(size), z[column], color=EDGE)
        axes[1, column].axhline(0, color="#999999", linewidth=0.6)
        axes[1, column].set(xticks=[], yticks=[], ylim=(-1.05 * top, 1.05 * top))
        axes[1, column].spines[:].set_visible(False)
        ink(axes[2, column], rebuilt[column])
    names = ("x\n64 numbers", f"z = encoder(x)\n{size} numbers", "decoder(z)\n64 numbers")
    for row, words in zip(axes[:, 0], names, strict=True):
        row.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=10, color=INK)
    return figure


# 11 and 12 · The integral of a VAE, and its bound

REACH, POINTS = 4.0, 321  # the plane of z: from -4 to 4 in steps of a fortieth
PRIOR_DRAWS = 1000


def plane(centre=(0.0, 0.0), reach=None):
    """Return the z of a fine grid, (POINTS², 2), as far as `reach` from its centre, by default REACH."""
    reach = (REACH, REACH) if reach is None else reach
    lines = [torch.linspace(float(c - r), float(c + r), POINTS) for c, r in zip(centre, reach, strict=True)]
    return torch.cartesian_prod(*lines)


def log_likelihoods(model, x, z):
    """Return log p(x|z) of one black-and-white image x (1, 1, H, W) for each z, (N,) float64."""
    found = []
    for part in z.split(4096):
        means = model.decode(part).double().clamp(1e-7, 1 - 1e-7)
        found.append(torch.where(x > 0.5, means, 1 - means).log().flatten(1).sum(1))
    return torch.cat(found)


def effective(log_weights):
    """Return the effective number of weighted draws, (Σ w)² / Σ w²."""
    return math.exp(2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0))


class Plane:
    """A VAE with two latents, the likeliest image of one of its own z as x, and all densities over the plane
    of z."""

    def __init__(self, name="vae2d-mnist", seed=2):
        from genzoo.losses import elbo

        self.model = genzoo.load(name)
        self.x = (self.model.sample(1, seed=seed, mean=True) > 0.5).float()
        self.q = self.model.encode(self.x)
        self.z, area = plane(), (2 * REACH / (POINTS - 1)) ** 2
        self.conditional = log_likelihoods(self.model, self.x, self.z)
        self.joint = self.conditional + elbo.log_prior(self.z) + math.log(area)
        self.log_p = self.joint.logsumexp(0)  # the integral, as a sum over the grid
        self.log_q = elbo.log_normal(self.z, *self.q).double() + math.log(area)
        self.kl_prior = float(elbo.kl(*self.q))

    @property
    def posterior(self):
        """p(z|x) over the grid."""
        return (self.joint - self.log_p).exp()

    @property
    def terms(self):
        """The mean of log p(x|z) under q, the ELBO, the divergence of q from the posterior, and log p(x)."""
        q = self.log_q.exp()
        mean = float((q * self.conditional).sum())
        gap = float((q * (self.log_q - (self.joint - self.log_p))).sum())
        return mean, mean - self.kl_prior, gap, float(self.log_p)


def integral():
    """Return where p(z|x) is over the plane of z, beside draws from the prior, and near."""
    from genzoo.losses import elbo

    found = Plane()
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(PRIOR_DRAWS, 2, generator=rng)
    near = elbo.reparametrise(*found.q, noise)
    log_near = log_likelihoods(found.model, found.x, near) + elbo.log_prior(near)
    weights = {
        "p(z)": effective(log_likelihoods(found.model, found.x, noise)),
        "q(z|x)": effective(log_near - elbo.log_normal(near, *found.q)),
    }
    figure, (digit, far, close) = canvas(7.5, 3.0, 1, 3, width_ratios=(0.62, 1, 1))
    ink(digit, found.x[0])
    digit.set_title("x", fontsize=11, color=INK)
    centre, reach = found.q.mean[0], 6 * (0.5 * found.q.log_var[0]).exp()
    local = plane(centre, reach)
    there = (log_likelihoods(found.model, found.x, local) + elbo.log_prior(local)).softmax(0)
    ring = Circle(centre.tolist(), 0.3, facecolor="none", edgecolor=EDGE, linewidth=1.2)
    far.add_patch(ring)
    far.annotate(
        "p(z|x)",
        centre.tolist(),
        (1.6, -3.3),
        fontsize=10,
        color=EDGE,
        arrowprops={"arrowstyle": "-", "color": EDGE, "shrinkB": 9},
    )
    for axes, middle, half, shade, points, name in (
        (far, torch.zeros(2), torch.tensor([REACH, REACH]), found.posterior, noise[:300], "p(z)"),
        (close, centre, reach, there, near[:150], "q(z|x)"),
    ):
        sides = [(float(m - h), float(m + h)) for m, h in zip(middle, half, strict=True)]
        image = shade.view(POINTS, POINTS).T
        axes.imshow(image, cmap="Blues", origin="lower", extent=(*sides[0], *sides[1]), aspect="auto")
        axes.plot(*points.T, ".", color=ORANGE, markersize=2.5)
        axes.set(xlim=sides[0], ylim=sides[1])
        axes.set_title(f"draws of {name}", fontsize=11, color=INK)
        count = f"{weights[name]:.0f}" if weights[name] >= 10 else f"{weights[name]:.1f}"
        axes.set_xlabel(
            f"{count} effective draws of {PRIOR_DRAWS:,}\n({len(points)} shown)", fontsize=10, color=INK
        )
        axes.tick_params(labelsize=7)
    return figure


def bound():
    """Return the terms of the ELBO of one image as bars, each starting where the last one ends."""
    mean, elbo, _, log_p = Plane().terms
    bars = (
        ("mean of log p(x|z), z from q", mean, 0.0, BLUE),
        ("− KL(q(z|x) ‖ p(z))", elbo, mean, "#f2b98a"),
        ("= the ELBO", elbo, 0.0, BLUE),
        ("+ KL(q(z|x) ‖ p(z|x))", log_p, elbo, "#a8d5ba"),
        ("= log p(x)", log_p, 0.0, BLUE),
    )
    low = 1.04 * min(mean, elbo)
    figure, axes = canvas(7.5, 2.5)
    for row, (_, end, start, shade) in enumerate(bars):
        start = start or low
        axes.barh(-row, end - start, left=start, color=shade, edgecolor=EDGE, linewidth=0.8)
        value = end if start == low else end - start
        axes.text(max(start, end) + 0.3, -row, f"{value:+.1f}".replace("-", "−"), va="center", fontsize=10)
    axes.set_yticks([-row for row in range(len(bars))], [words for words, *_ in bars], fontsize=10)
    axes.set_xlim(low, max(mean, log_p) + 4)
    axes.set_xlabel("nats of one image")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


# 20 · The generator of a DCGAN


def maps(name):
    """Return the shape of z and of what each convolution of a generator computes, in order."""
    model, shapes = genzoo.load(name), []
    x = model.sample_latents(1, seed=0)[:, :, None, None]
    shapes.append(tuple(x.shape[1:]))
    with torch.no_grad():
        for layer in model.generator:
            x = layer(x)
            if isinstance(layer, torch.nn.ConvTranspose2d | torch.nn.Conv2d):
                shapes.append(tuple(x.shape[1:]))
    return shapes


def layers(name="dcgan-bedrooms"):
    """Return a figure like the paper's figure 1: each map as a box, as high as the map and as long as its
    number of channels."""
    figure, axes = canvas(7.5, 3.2)
    left, tilt = 0.0, 0.4  # tilt: how far the depth of a box leads right and up
    for number, (channels, side, _) in enumerate(maps(name)):
        long, high = 4 + channels / 14, 2 + side / 2
        back = tilt * high
        faces = (
            [(0, 0), (long, 0), (long, high), (0, high)],
            [(0, high), (long, high), (long + back, high + back), (back, high + back)],
            [(long, 0), (long + back, back), (long + back, high + back), (long, high)],
        )
        for face, shade in zip(faces, (BLUE, "#c6dbef", "#6baed6"), strict=True):
            corners = [(left + x, y - high / 2 - back / 2) for x, y in face]
            axes.add_patch(Polygon(corners, facecolor=shade, edgecolor=EDGE, linewidth=0.8))
        words = f"z: {channels}" if number == 0 else f"{channels}×{side}×{side}"
        axes.text(left + long / 2, -27, words, ha="center", fontsize=11)
        left += long + back + 7
    axes.set(xlim=(-3, left - 3), ylim=(-31, 25), aspect="equal")
    axes.axis("off")
    return figure


DIAGRAMS = {
    "diagram-learned.png": learned,
    "diagram-taxonomy.png": taxonomy,
    "diagram-chain-rule.png": chain_rule,
    "diagram-codes.png": codes,
    "diagram-integral.png": integral,
    "diagram-bound.png": bound,
    "generator.png": layers,
}
