"""The drawn horses and zebras that the documentation translates: `python docs/draw_animals.py` writes
docs/images/horses and docs/images/zebras.

The photographs of horse2zebra may not be published, and a translation shows its photograph. So the pages show
what cyclegan-horse2zebra makes of these drawings: an animal from the side, in grass, 96×96 pixels. It has
seen photographs alone, and does better on them.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

IMAGES = Path(__file__).resolve().parent / "images"
SIDE, SCALE = 96, 5  # pixels, and how much larger pictures are drawn at first
COATS = ((128, 74, 38), (158, 100, 56), (86, 54, 36), (190, 150, 104))  # bay, chestnut, brown, dun
GRASS = ((96, 128, 54), (138, 136, 70), (74, 110, 50), (166, 146, 88))
SKY = ((188, 208, 226), (64, 88, 44))  # sky, and trees behind a meadow

# outlines in hundredths of a side, the head to the right
BODY = (
    (24, 44), (28, 39), (36, 38), (46, 41), (55, 41), (61, 37), (67, 29), (73, 21), (76, 18), (77, 13),
    (80, 18), (84, 22), (90, 31), (92, 35), (90, 38), (86, 38), (81, 33), (77, 35), (75, 42), (74, 50),
    (70, 58), (62, 61), (50, 62), (41, 60), (36, 62), (29, 62), (24, 55),
)  # fmt: skip
LEGS = (
    ((63, 57), (72, 55), (70, 68), (70, 74), (69, 86), (71, 91), (65, 91), (66, 75), (65, 68)),
    ((24, 52), (38, 58), (34, 67), (35, 74), (33, 86), (35, 91), (29, 91), (30, 76), (26, 68)),
)
MANE = ((76, 17), (72, 20), (66, 27), (60, 36), (57, 40), (62, 40), (67, 34), (72, 26), (76, 21))
TAIL = ((25, 42), (19, 46), (16, 56), (16, 70), (19, 75), (21, 66), (22, 56), (26, 49))


def animal(number, striped):
    """Return picture `number` of a horse, or of a zebra if it is `striped`, (SIDE, SIDE, 3) uint8."""
    noise = np.random.default_rng(number)
    whole = SIDE * SCALE
    size, left, low = noise.uniform(0.75, 0.98), noise.uniform(-4, 8), noise.uniform(-2, 6)
    mirror, sides = number % 2 == 1, (whole, whole)

    def area(*outlines, right=0.0):
        picture = Image.new("L", sides)
        for outline in outlines:
            points = [((x + right - 50) * size + 50 + left, (y - 92) * size + 92 + low) for x, y in outline]
            ImageDraw.Draw(picture).polygon([(x * whole / 100, y * whole / 100) for x, y in points], fill=255)
        soft = picture.filter(ImageFilter.GaussianBlur(2 * SCALE))  # rounds the corners of the outline
        edge = soft.point(lambda level: 255 * (level > 127)).filter(ImageFilter.GaussianBlur(SCALE / 2))
        return np.asarray(edge, np.float32)[..., None] / 255

    coat = striped_coat(whole) if striped else np.full((*sides, 3), COATS[number % len(COATS)], np.float32)
    far, near = area(*LEGS, right=5), area(BODY, *LEGS)
    hair = area(MANE, TAIL) * (0.8 if striped else 1.0)
    shade = np.linspace(1.15, 0.7, whole, dtype=np.float32)[:, None, None]  # the sun is above
    canvas = meadow(whole, number, noise)
    for where, colours in ((far, 0.6 * coat), (near, shade * coat), (hair, np.full_like(coat, 32))):
        canvas = canvas * (1 - where) + colours * where
    canvas += noise.normal(0, 5 * SCALE, canvas.shape)  # averaged below: ±5 per pixel
    found = canvas.reshape(SIDE, SCALE, SIDE, SCALE, 3).mean((1, 3))
    return np.clip(found[:, ::-1] if mirror else found, 0, 255).astype(np.uint8)


def striped_coat(whole):
    """Return white with black bands that lean as they go down, (whole, whole, 3)."""
    down, across = np.mgrid[:whole, :whole].astype(np.float32) * (100 / whole)
    bands = np.sin(1.25 * across + 0.25 * down + 1.2 * np.sin(down / 9)) * 4
    return np.repeat(np.clip(130 + 100 * bands, 26, 232)[..., None], 3, 2)


def meadow(whole, number, noise):
    """Return grass below sky or trees, with blades and patches, (whole, whole, 3)."""
    horizon = round(whole * noise.uniform(0.3, 0.5))
    canvas = np.empty((whole, whole, 3), np.float32)
    canvas[:horizon], canvas[horizon:] = SKY[number // 2 % 2], GRASS[number % len(GRASS)]
    for cells in (6, 24, 64):
        rough = Image.fromarray(noise.uniform(-1, 1, (cells, cells)).astype(np.float32))
        smooth = np.asarray(rough.resize((whole, whole), Image.Resampling.BICUBIC))[..., None]
        canvas += smooth * np.where(np.arange(whole) < horizon, 8, 22)[:, None, None]
    return canvas


def main():
    """Write eight pictures of each kind."""
    for kind in ("horses", "zebras"):
        (IMAGES / kind).mkdir(exist_ok=True)
        for number in range(8):
            picture = Image.fromarray(animal(number, kind == "zebras"))
            picture.save(IMAGES / kind / f"{number + 1}.png", optimize=True)


if __name__ == "__main__":
    main()
