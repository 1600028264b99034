"""Every published figure that the documentation repeats, as text with places for what zoo.toml says.

`{NAME MEASURE FORMAT}` is a value of a model, `{NAME MEASURE FORMAT ±}` with its standard error. MEASURE is
`elbo`, `exact` or `K=50` (nats), `bits` (exact bits/dim), `elbo-bits`, or a metric, `floor:METRIC` that of
real images, `METRIC@DATA` that on one of two data sets or given one of two conditions, `untranslated:METRIC`
that of pictures as they were; or `MB` and `minutes`, the size of the weights and the time that training took.
"""

from __future__ import annotations

import re

PLACE = re.compile(r"\{(\S+) (\S+) (,?\.\d[f%])( ±)?\}")

CLAIMS = {
    "plugins/genzoo-began/README.md": [
        "**weights**: KID[gist] {began-faces kid .3f ±}, smooth and blurry",
        ("| KID[gist] | {began-faces kid .3f ±} | {dcgan-faces kid .3f ±} | {began-faces floor:kid .3f ±} |"),
        "| recall | {began-faces recall .3f} | {dcgan-faces recall .2f} | {began-faces floor:recall .2f} |",
        (
            "| MS-SSIM of pairs of samples | {began-faces ms-ssim .3f} | {dcgan-faces ms-ssim .3f} | "
            "{began-faces floor:ms-ssim .3f} |"
        ),
        "- {began-faces copying .0%} of samples are nearer",
    ],
    "plugins/genzoo-progressive/README.md": [
        "which are {progressive-faces MB .1f} MB of float16 weights.",
        "**weights**: KID[gist] {progressive-faces kid .3f ±}",
        "**weights**: KID[gist] {progressive-bedrooms kid .3f ±}",
        (
            "| 368,128 | {progressive-bedrooms kid .3f ±} | {progressive-bedrooms recall .2f} | "
            "{progressive-bedrooms ms-ssim .3f} | {progressive-bedrooms checkerboard .2f} |"
        ),
        (
            "| 224,000 | {progressive-faces kid .3f ±} | {progressive-faces recall .2f} | {progressive-faces "
            "ms-ssim .3f} | {progressive-faces checkerboard .2f} |"
        ),
        (
            "| 5,024,000 | {dcgan-faces kid .3f ±} | {dcgan-faces recall .2f} | {dcgan-faces ms-ssim .3f} | "
            "{dcgan-faces checkerboard .2f} |"
        ),
        (
            "| training faces | | | {progressive-faces floor:kid .3f ±} | {progressive-faces floor:recall "
            ".2f} | {progressive-faces floor:ms-ssim .3f} | {progressive-faces floor:checkerboard .2f} |"
        ),
    ],
    "plugins/genzoo-pixel/README.md": [
        (
            "| `pixelcnn-mnist` | all within 21 rows but a blind spot | 193 k | 704,000 in two runs | "
            "1 h 54 min | = {pixelcnn-mnist exact .2f ±} |"
        ),
        (
            "| `pixelrnn-row-mnist` | a triangle | 202 k | 576,000 in three runs | 2 h 01 min | "
            "= {pixelrnn-row-mnist exact .2f ±} |"
        ),
        "| = {conditional-pixelcnn-mnist exact .2f ±} |",
        "{conditional-pixelcnn-mnist accuracy .1%} of 1,000 test images correctly",
        "413 k | 464,000 in two runs | 2 h 19 min, shared | = {gated-pixelcnn-mnist exact .2f ±} | 80.10 |",
        (
            "| `pixelrnn-diagonal-mnist` | all | 112 k | 480,000 in two runs | 1 h 56 min | "
            "= {pixelrnn-diagonal-mnist exact .2f ±} |"
        ),
        "has **{gated-pixelcnn-cifar10 bits .2f ±} bits/dim** on the 1,000",
    ],
    "README.md": ["may print `= {pixelrnn-diagonal-mnist exact .2f ±} nats` only after"],
    "docs/lecture.md": [
        "its bound is {vae-cifar10 elbo-bits .2f ±} bits/dim",
        "a net of {gated-pixelcnn-cifar10 bits .2f ±} bits/dim",
        "| `pixelrnn-diagonal-mnist` | exact | = {pixelrnn-diagonal-mnist exact .2f ±} | "
        "{pixelrnn-diagonal-mnist kid@binarized-mnist .4f ±} |",
        "| `vae-mnist` | a bound | ≤ {vae-mnist K=5000 .2f ±} | {vae-mnist kid@binarized-mnist .4f ±} |",
        "| `gan-mnist` | none | none | {gan-mnist kid@binarized-mnist .4f ±} |",
        "| real digits | | | {gan-mnist floor:kid@binarized-mnist .4f ±} |",
    ],
    "docs/experiments.md": [
        "the better likelihood, {gated-pixelcnn-mnist exact .2f} against {pixelcnn-mnist exact .2f} nats"
    ],
    "docs/few-labels.md": ["{autoencoder-cifar10 mse .4f}) does not separate the classes"],
    "docs/comparing.md": ["on real training images reach {gan-mnist floor:parzen-2014 .1f ±} (the floor"],
    "plugins/genzoo-vae/README.md": [
        "**weights**: ≤ {vae-cifar10 elbo-bits .3f ±} bits/dim of 8-bit colours on the first 1,000",
        "mean squared error {autoencoder-cifar10 mse .4f} on test images",
        "-ELBO {vae-mnist elbo .2f} nats, {vae-mnist K=5000 .2f} by IWAE-5000",
        "**weights**: {iwae-mnist K=5000 .2f} nats by IWAE-5000",
        "-ELBO {cvae-mnist elbo .2f} nats, {cvae-mnist K=500 .2f} by IWAE-500, given the label",
        "| ≤ {cvae-mnist elbo .2f ±} | ≤ {cvae-mnist K=50 .2f ±} | ≤ {cvae-mnist K=500 .2f ±} |",
        "{cvae-mnist accuracy .1%} of 1,000 test images correctly",
        "**weights**: {vae2d-mnist elbo .1f} nats, {vae2d-mnist K=500 .1f} by IWAE-500",
        (
            "| ≤ {vae-mnist elbo .2f ±} | ≤ {vae-mnist K=50 .2f ±} | ≤ {vae-mnist K=500 .2f ±} | ≤ "
            "{vae-mnist K=5000 .2f ±} |"
        ),
        (
            "| ≤ {iwae-mnist elbo .2f ±} | ≤ {iwae-mnist K=50 .2f ±} | ≤ {iwae-mnist K=500 .2f ±} | ≤ "
            "{iwae-mnist K=5000 .2f ±} |"
        ),
    ],
    "plugins/genzoo-gan/README.md": [
        "**published** | {gan-mnist fid .2f} | {gan-mnist parzen-2014 .1f ±} |",
        "(training images: {gan-mnist floor:fid .2f})",
        "windows on training images: {gan-mnist floor:parzen-2014 .1f ±})",
        "(recall {gan-mnist recall .2f}, coverage {gan-mnist coverage .2f}; training images {gan-mnist "
        "floor:recall .2f} and "
        "{gan-mnist floor:coverage .2f})",
        "(`copying` {gan-mnist copying .2f} where training images have {gan-mnist floor:copying .2f})",
        (
            "separates them from real digits with {gan-mnist two-sample .0%} accuracy (training images "
            "{gan-mnist floor:two-sample .0%})"
        ),
        "reads as their label | {cgan-mnist agreement .3f ±} | {cgan-mnist floor:agreement .3f ±} |",
        "number of 2014, nats | {cgan-mnist parzen-2014 .1f ±} | {cgan-mnist floor:parzen-2014 .1f ±} |",
        "| FID in `features-mnist` | {cgan-mnist fid .2f} | {cgan-mnist floor:fid .2f} |",
        "| recall | {cgan-mnist recall .2f} | {cgan-mnist floor:recall .2f} |",
        "separates them from real digits | {cgan-mnist two-sample .0%} | {cgan-mnist floor:two-sample .0%} |",
    ],
    "plugins/genzoo-dcgan/README.md": [
        "its KID is {dcgan-mnist kid@mnist .4f ±} on test images, that of `gan-mnist` "
        "{gan-mnist kid@mnist .4f ±}.",
        "| **published** | {dcgan-bedrooms kid .3f ±} | {dcgan-bedrooms recall .2f} | "
        "{dcgan-bedrooms two-sample .2f ±} | {dcgan-bedrooms swd .1f ±} | {dcgan-bedrooms ms-ssim .3f ±} | "
        "{dcgan-bedrooms checkerboard .1f ±} |",
        "the floor | | {dcgan-bedrooms floor:kid .3f ±} | {dcgan-bedrooms floor:swd .1f ±} | "
        "{dcgan-bedrooms floor:ms-ssim .3f ±} | "
        "{dcgan-bedrooms floor:recall .2f} |",
        (
            "**published** | {dcgan-faces kid .3f ±} | {dcgan-faces swd .1f ±} | {dcgan-faces ms-ssim .3f ±} "
            "| {dcgan-faces recall .2f} | {dcgan-faces checkerboard .2f ±} |"
        ),
        "the floor | {dcgan-faces floor:kid .3f ±} | {dcgan-faces floor:swd .1f ±} | {dcgan-faces "
        "floor:ms-ssim .3f ±} | "
        "{dcgan-faces floor:recall .2f} | {dcgan-faces floor:checkerboard .2f ±} |",
        "`copying` is {dcgan-faces copying .2f} where training faces have {dcgan-faces floor:copying .2f}",
        "| all | {dcgan-rooms agreement .3f ±} | {dcgan-rooms floor:agreement .3f ±} |",
        "| recall in `features-rooms` | {dcgan-rooms recall .2f} | {dcgan-rooms floor:recall .2f} |",
        "| checkerboard | {dcgan-rooms checkerboard .2f ±} | {dcgan-rooms floor:checkerboard .2f ±} |",
    ],
    "plugins/genzoo-features/README.md": [
        "**weights**: {features-horses accuracy .1%} of the 260 test images classified correctly"
    ],
    "plugins/genzoo-text/README.md": [
        "- {text2image-flowers MB .1f} MB of float16 weights.",
        "256,000 images, takes {text2image-flowers minutes .0f} minutes.",
        *(
            f"| colour, {words} | {{text2image-flowers colour@{kind} .3f ±}} | "
            f"{{text2image-flowers floor:colour@{kind} .3f ±}} | "
            f"{{text2image-flowers floor:colour-by-chance@{kind} .3f ±}} |"
            for words, kind in (
                ("texts of training images", "train"),
                ("the 15 unseen combinations", "unseen"),
            )
        ),
        "| {text2image-flowers variety .3f ±} | {text2image-flowers floor:variety .3f ±} |",
        "| {text2image-flowers kid .3f ±} | {text2image-flowers floor:kid .3f ±} |",
        "| recall | {text2image-flowers recall .2f} | {text2image-flowers floor:recall .2f} |",
    ],
    "plugins/genzoo-translate/README.md": [
        "the weights take {pix2pix-facades MB .1f} and {cyclegan-horse2zebra MB .1f} MB.",
        "| 96×96 | 10,000 | balanced | {cyclegan-horse2zebra minutes .0f} min |",
        "| mean absolute error | {pix2pix-facades l1 .3f ±} |",
        "| SSIM | {pix2pix-facades ssim .3f ±} |",
        "| KID in `gist` | {pix2pix-facades kid .3f ±} | {pix2pix-facades floor:kid .3f ±} |",
        "| recall | {pix2pix-facades recall .2f} | {pix2pix-facades floor:recall .2f} |",
        *(
            f"| {words} | {{cyclegan-horse2zebra {metric}@{side} {form} ±}} | "
            f"{{cyclegan-horse2zebra untranslated:{metric}@{side} {form} ±}} | "
            f"{{cyclegan-horse2zebra floor:{metric}@{side} {form} ±}} |"
            for words, metric, side, form in (
                ("horses: read as zebras", "agreement", "horse", ".3f"),
                ("horses: KID in `gist` to zebras", "kid", "horse", ".3f"),
                ("zebras: read as horses", "agreement", "zebra", ".3f"),
                ("zebras: KID in `gist` to horses", "kid", "zebra", ".3f"),
            )
        ),
        "{cyclegan-horse2zebra cycle-l1@horse .3f ±} for horses and "
        "{cyclegan-horse2zebra cycle-l1@zebra .3f ±} for zebras",
    ],
    "plugins/genzoo-wgan/README.md": [
        *(
            f"| `{name}`{run} | {{{name} kid .3f ±}} | {{{name} swd .1f ±}} | "
            f"{{{name} ms-ssim .3f ±}} | {{{name} precision .2f}} | "
            f"{{{name} recall .2f}} |"
            for name, run in (
                ("dcgan-bedrooms", ", four runs, one on all rooms | 47,500 | 3,040,000"),
                ("wgan-gp-bedrooms", ", four runs | 44,500 | 2,848,000"),
                ("wgan-bedrooms", ", two runs | 20,500 | 6,560,000"),
            )
        ),
        "the floor | | | {wgan-bedrooms floor:kid .3f ±} | {wgan-bedrooms floor:swd .1f ±} | "
        "{wgan-bedrooms floor:ms-ssim .3f ±} | "
        "{wgan-bedrooms floor:precision .2f} | {wgan-bedrooms floor:recall .2f} |",
        "separates its samples from photographs with {wgan-gp-bedrooms two-sample .0%} accuracy, the DCGAN's "
        "with {dcgan-bedrooms two-sample .0%} and clipping's with {wgan-bedrooms two-sample .0%}.",
        "({wgan-bedrooms swd-64 .0f} against {wgan-bedrooms floor:swd-64 .0f} of",
        "{wgan-bedrooms checkerboard .2f ±} on test images",
    ],
}


def minutes(row):
    """Return how long a row says that its training took."""
    hours, rest = re.search(r"(?:(\d+) h )?(\d+) min on ", row.trained).groups()
    return 60 * int(hours or 0) + int(rest)


FACTS = {"MB": lambda row: row.bytes / 1e6, "minutes": minutes}


def filled(claim, rows):
    """Return the text of a claim as it reads by the scores of `rows`."""
    return PLACE.sub(lambda place: _figure(rows[place[1]], *place.groups()[1:]), claim)


def _figure(row, measure, form, spread):
    if measure in FACTS:
        return format(FACTS[measure](row), form)
    score = found(row, measure)
    value = format(score.value, form).replace("%", " %")
    return value + (f" ± {format(score.stderr, form)}" if spread else "")


def found(row, measure):
    """Return the score of a row that MEASURE names."""
    prefix, _, measure = measure.rpartition(":")
    subject = {"": row.name, "floor": "train"}.get(prefix, prefix)
    measure, _, data = measure.partition("@")
    for score in row.scores:
        if data not in ("", score.data, *score.condition.split()):
            continue
        kind = {"bits": "exact", "elbo-bits": "elbo"}.get(measure, measure)
        unit = "nats" if kind == measure else "bits/dim"
        likelihood = score.metric == "nll" and score.unit == unit
        draws = score.kind == "iwae" and score.protocol.partition(",")[0] == measure.replace("=", " = ")
        named = likelihood and (draws or score.kind == kind)
        if score.subject == subject and (named or score.metric == measure):
            return score
    raise LookupError(f"{row.name} has no {measure} of {subject}")
