"""What the site makes of links, docstrings and the ledger, without building it."""

import re
import sys
from pathlib import Path

import pytest

from genzoo import Card, Family
from genzoo.data import open_data
from genzoo.ledger import Row
from genzoo.record import Record
from genzoo.zoo import row

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS / "extensions"))

import commands  # noqa: E402
import docstrings  # noqa: E402
import gallery  # noqa: E402
import lesson  # noqa: E402
import notebooks  # noqa: E402
import papers  # noqa: E402
import repository  # noqa: E402
import streams  # noqa: E402

SECURITY = {DOCS.parent / "SECURITY.md": DOCS / "project" / "security.md"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](../SECURITY.md)", "[a](/project/security.md)"),
        ("[a](../SECURITY.md#the-rules)", "[a](/project/security.md#the-rules)"),
        ("[a](performance.md#start)", "[a](/performance.md#start)"),
        ("![a](images/bedrooms.png)", "![a](/images/bedrooms.png)"),
        ("[a](../LICENSE)", "[a](../LICENSE)"),
        ("[a](../tests)", "a"),
        ("[x](../genzoo/card.py)", "{viewcode}`x <_modules/genzoo/card.html>`"),
        ("[x](../plugins/genzoo-vae/genzoo_vae/vae.py)", "{viewcode}`x <_modules/genzoo_vae/vae.html>`"),
        ("[a](https://example.org/b)", "[a](https://example.org/b)"),
        ("[a](#here)", "[a](#here)"),
        ("`genzoo.images.grid`", "{py:obj}`genzoo.images.grid`"),
        ("`genzoo list`", "`genzoo list`"),
        ("```bash\n[a](../SECURITY.md)\n```", "```bash\n[a](../SECURITY.md)\n```"),
    ],
)
def test_links_of_the_repository_become_links_of_the_site(text, expected):
    assert repository.rewritten(text, DOCS / "x.md", DOCS / "x.md", SECURITY) == expected


def test_links_of_a_file_elsewhere_are_read_from_where_it_lies():
    readme = DOCS.parent / "plugins" / "genzoo-vae" / "README.md"
    assert (
        repository.rewritten("[a](../../SECURITY.md)", readme, DOCS / "plugins" / "v.md", SECURITY)
        == "[a](/project/security.md)"
    )


def test_a_page_that_nobody_named_is_found():
    assert "comparing-nothing" not in repository.further("lecture\n")
    assert (
        "lecture" not in repository.further("lecture\n").split()
        and "gallery" in repository.further("lecture\n").split()
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a * b and *args", r"a \* b and \*args"),
        ("`a * b` stays", "`a * b` stays"),
        ("* a point", "* a point"),
        ("x_ and _private and a_b", r"x\_ and _private and a_b"),
        ("log p(x|z)", r"log p(x\|z)"),
    ],
)
def test_signs_of_markup_in_a_docstring_are_words(line, expected):
    assert docstrings.plain(line) == expected


def test_a_colon_in_the_first_line_about_a_property_leaves_it_whole():
    from sphinx.ext.napoleon import Config, GoogleDocstring

    lines = ["The number of values that a dimension can take: 2 to 256."]
    docstrings.process(None, "property", "levels", None, None, lines)
    lines = GoogleDocstring(lines, Config(), what="property", name="levels").lines()
    docstrings.restore(None, "property", "levels", None, None, lines)
    assert "\n".join(lines).strip() == "The number of values that a dimension can take: 2 to 256."


def test_the_list_of_a_packages_files_keeps_its_lines():
    lines = [
        "The ledger.",
        "",
        "rows.py   one row",
        "books.py  all of them,",
        "          and who's first",
        "",
        "After *it*.",
    ]
    docstrings.process(None, "module", "genzoo.ledger", None, None, lines)
    block = ["    rows.py   one row", "    books.py  all of them,", "              and who's first"]
    assert lines == ["The ledger.", "", "::", "", *block, "", r"After \*it\*."]


def test_what_a_cell_prints_in_pieces_is_not_broken_where_they_end(monkeypatch):
    render = pytest.importorskip("myst_nb.core.render")
    monkeypatch.setattr(render, "coalesce_streams", render.coalesce_streams)
    streams.setup(None)
    pieces = [
        ("stdout", "fid[g"),
        ("stderr", "1 of 2\r"),
        ("stdout", "ist]: 3\nki"),
        ("stdout", "d: 4\n\n"),
        ("stderr", "2 of 2\n"),
    ]
    outputs = [{"output_type": "stream", "name": name, "text": text} for name, text in pieces]
    image = {"output_type": "display_data", "data": {}}
    told = render.coalesce_streams([outputs[0], image, *outputs[1:]])
    assert {output["name"]: output["text"] for output in told if output is not image} == {
        "stdout": "fid[gist]: 3\nkid: 4\n",
        "stderr": "2 of 2\n",
    }
    assert told.index(image) == 1 and outputs[0]["text"] == "fid[g"


ROW = """### 4 · Title

Words of the slide.

- **Symbol** `genzoo.a`
- **File** [a](a.py)
- **Command** `genzoo list`, `genzoo info x -o a.png`
- **Picture** a caption
  of two lines:

![one](images/lecture/a.png) ![two](images/generator.png)

#### Aside

More.

### 5 · Next
"""


def test_a_section_of_the_lecture_has_its_picture_beside_it_and_its_code_folded():
    text = lesson.laid_out(ROW)
    words, pictures, fold = (text.index(part) for part in ("lesson-words", "lesson-pictures", "{dropdown}"))
    assert words < text.index("Words of the slide.") < text.index("a caption of two lines.\n") < pictures
    assert pictures < text.index("![one](images/lecture/a.png) ![two](images/generator.png)\n") < fold
    assert fold < text.index("```bash\ngenzoo list\ngenzoo info x -o a.png\n```") < text.index("#### Aside")
    assert text.index("`genzoo.a`") > fold and text.rstrip().endswith("### 5 · Next")


def test_the_whole_lecture_is_laid_out_and_nothing_of_it_is_lost():
    page = (DOCS / "lecture.md").read_text("utf-8")
    text = lesson.laid_out(page)
    assert text.count("{dropdown}") == len(lesson.SECTION.findall(page)) == 27
    for pattern in (r"!\[[^\]]+\]\([^)]+\)", r"^#+ .+$", r"`genzoo[^`]+`"):
        before, after = (sorted(set(re.findall(pattern, side, re.MULTILINE))) for side in (page, text))
        lost = [found for found in before if found not in after and found.strip("`") not in text]
        assert lost == []


def test_every_command_has_an_example_under_the_heading_of_the_help_page():
    from genzoo.cli.program import COMMANDS, SECTIONS

    heading, expected = "", []
    for name in COMMANDS:
        heading = SECTIONS.get(name, heading)
        expected.append((heading, name))
    found, heading = [], ""
    page = (DOCS / "commands.md").read_text("utf-8")
    for level, title in re.findall(r"^(##|###) (.+)$", page, re.MULTILINE):
        heading = title if level == "##" else heading
        found += [(heading, title)] if level == "###" else []
    assert found == expected
    for name, example in commands.ENTRY.findall(page):
        assert f"\ngenzoo {name}" in example, f"docs/commands.md has no example of {name}"


def test_a_command_without_a_place_on_the_page_is_added_at_its_end():
    text = commands.completed("## Use a model\n\n### list\n```bash\ngenzoo list --tree\n```\n")
    assert (
        text.index("List installed models")
        < text.index("genzoo list --tree")
        < text.index(":prog: genzoo list\n")
    )
    assert (
        text.index(":prog: genzoo list\n")
        < text.index("### new-plugin")
        < text.index(".. click:: genzoo.cli.new_plugin:new_plugin_command")
    )


def test_the_public_names_of_a_module_are_summed_up_above_it():
    lines = docstrings.summary("genzoo.losses.elbo")
    assert "   ~genzoo.losses.elbo.reparametrise" in lines and lines[0] == ".. autosummary::"
    assert not any("Tensor" in line or "._" in line for line in lines)  # imported, or private
    assert docstrings.summary("genzoo.losses") == []


def test_a_tutorial_links_to_its_notebook_and_its_source_once():
    text = notebooks.linked("---\nx: y\n---\n\n# 1 · Title\n\nWords.\n\n# Another\n", "01-a")
    assert text.count("<01-a.ipynb>") == text.count("<../_sources/tutorials/01-a.md.txt>") == 1
    assert text.index("# 1 · Title") < text.index("<01-a.ipynb>") < text.index("Words.")


def test_every_module_of_a_package_is_documented_and_no_private_one():
    found = docstrings.modules("genzoo.losses.*")
    assert {"genzoo.losses", "genzoo.losses.elbo", "genzoo.losses.minimax"} <= set(found)
    assert not any("._" in name for name in docstrings.modules("genzoo.cli.*"))


def published(name, family, *scores):
    facts = Row(name=name, sha256="0" * 64, bytes=1, sources=("folder:x.safetensors",), scores=scores)
    return Card(name=name, family=family, model="a.b:C"), facts


def test_a_model_that_is_published_stands_on_the_scoreboard_by_itself():
    about = {"data": "moons", "transform": "8-bit", "n": 10, "stderr": 0.1, "metric": "nll", "unit": "nats"}
    exact = published("new", Family.TRACTABLE, Record(value=80.0, kind="exact", **about))
    bounds = [
        Record(value=value, kind="iwae", protocol=f"K = {k}", **about) for value, k in ((91.0, 1), (90.0, 50))
    ]
    bound = published("other", Family.APPROXIMATE, Record(value=92.0, kind="elbo", **about), *bounds)
    drawn = {name: {"rate": 12.3, "latent": "–"} for name in ("new", "other")}
    text = gallery.scoreboard([exact, bound], drawn)
    assert text.startswith("## moons, 8-bit\n")
    assert "| [new](/gallery.md#new) | = 80 ± 0.1 nats | 12 | – | – |" in text
    assert "| [other](/gallery.md#other) | ≤ 90 ± 0.1 nats (IWAE-50) | 12 | – | – |" in text


def test_kid_names_its_features_and_the_floor_stands_below():
    about = {"data": "moons", "transform": "8-bit", "n": 10, "metric": "kid", "features": "gist-v1@0123"}
    gan = published(
        "gan",
        Family.IMPLICIT,
        Record(value=0.5, subject="gan", **about),
        Record(value=0.1, subject="train", **about),
    )
    text = gallery.scoreboard([gan], {"gan": {"rate": None, "latent": "decodes"}})
    assert "| no density | none | decodes | 0.5 (gist-v1) |" in text
    assert "| real images, the floor | | | | 0.1 (gist-v1) |" in text


def test_a_model_that_was_measured_on_two_data_sets_is_in_both_tables_with_the_scores_of_each():
    about = {"n": 10, "metric": "kid", "features": "net@0123", "subject": "gan"}
    greys = "each pixel black or white, its level as the probability of white"
    gan = published(
        "gan",
        Family.IMPLICIT,
        Record(value=0.5, data="moons", transform="8-bit", **about),
        Record(value=0.2, data="cut-moons", transform="static-binarised", drawn=greys, **about),
    )
    text = gallery.scoreboard([gan], {"gan": {"rate": None, "latent": "decodes"}})
    cut, grey = text.split("## moons, 8-bit")
    assert cut.startswith("## cut-moons, static-binarised\n")
    assert "| decodes | 0.2 (net, greys made black and white) |" in cut and "0.5" not in cut
    assert "| decodes | 0.5 (net) |" in grey and "0.2" not in grey


def test_what_papers_report_is_compared_with_the_same_quantity_of_a_published_model():
    """Every model of the table is in the ledger, has that quantity, and belongs to that data set."""
    for data, lines in papers.PAPERS.items():
        for line in lines:
            if line.model:
                score = gallery.measured(row(line.model), line.measure)
                assert f"{score.data}, {score.transform}" in (data, "mnist, 8-bit")
                assert line.value.endswith(f" {score.unit}")
                assert line.value.startswith("≤") == (score.kind in gallery.BOUNDS)
    with pytest.raises(LookupError, match="has no 'elbo nats'"):
        gallery.measured(row("pixelcnn-mnist"), "elbo nats")


def test_the_numbers_of_papers_are_next_to_ours():
    ours = row("gated-pixelcnn-cifar10")
    lines = gallery.reported("cifar10, 8-bit", {"gated-pixelcnn-cifar10": ours})
    (line,) = [line for line in lines if line.startswith("| Gated PixelCNN")]
    assert "(https://arxiv.org/abs/1606.05328)" in line
    (score,) = [score for score in ours.scores if score.unit == "bits/dim"]
    told = f"= {score.value:.3f} ± {score.stderr:.3f} bits/dim"
    assert f"| 3.03 bits/dim | {told}, [gated-pixelcnn-cifar10](" in line
    assert gallery.reported("moons, 8-bit", {}) == []


def test_a_translator_is_shown_by_pictures_that_were_drawn_above_their_translations():
    import genzoo

    card = genzoo.info("pix2pix-facades")
    small = {"width": 2, "image_shape": (3, 16, 16), "source_shape": (3, 16, 16)}
    model = genzoo.create("pix2pix-facades", **small)
    images, rate, alt = gallery.samples(model, card)  # of docs/images/maps
    assert images.shape == (16, 3, 16, 16) and rate > 0 and alt.startswith("8 pictures drawn for this page")
    maps = open_data(str(DOCS / "images" / "maps"), image_shape=(3, 16, 16), val_split=0).float()
    assert images[:8].equal(maps) and images[8:].equal(model.translate(maps, seed=0))
    model = genzoo.create("pix2pix-facades", domains=("edge", "shoe"), **small)
    images, rate, alt = gallery.samples(model, card)
    given = model.condition.examples(gallery.COLUMNS)
    assert images[gallery.COLUMNS :].equal(model.sample(gallery.COLUMNS, seed=0, condition=given))
    assert images[0].flatten().unique().numel() > 1 and "drawn by rule" in alt
    assert "`genzoo translate pix2pix-facades -n 16`" in gallery.explained(card, {"rate": rate, "alt": alt})
    # `genzoo sample NAME -n 64` is no command of a model that takes a text
    told = gallery.explained(genzoo.info("text2image-flowers"), {"rate": 1.0, "alt": ""})
    assert "each given one of the conditions" in told and "genzoo sample" not in told


def test_the_gallery_is_sorted_by_family_and_a_small_picture_leads_to_each_model(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(gallery, "GENERATED", tmp_path)
    drawn = {}
    for name in ("gan-a", "exact-b"):
        picture = Image.new("L", (16 * 10 + 2, 4 * 10 + 2))
        picture.putpixel((39, 39), 255)
        picture.save(tmp_path / f"{name}.png")
        drawn[name] = {"picture": f"{name}.png", "alt": "64 images", "rate": 1.0, "latent": "–"}
    pairs = [published("gan-a", Family.IMPLICIT), published("exact-b", Family.TRACTABLE)]
    text = gallery.galleries(pairs, drawn)
    places = [text.index(part) for part in ("## Exact", "### exact-b", "## No density", "### gan-a")]
    assert places == sorted(places)
    assert text.index(":link: model-exact-b") < text.index("(model-exact-b)=") < places[1]
    with Image.open(tmp_path / "gan-a-first.png") as small:
        assert small.size == (40, 40) and small.getpixel((39, 39)) == 255
