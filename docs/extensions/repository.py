"""Pages of the repository as pages of the site: README, SECURITY and the like are included, and links between
files go on working.

In the repository a link names a file, `[the trust line](../SECURITY.md)`. On the site that file may be
another page, the view of a module's source, or a download; whatever it is, no page has to be written twice. A
name such as `genzoo.images.grid` leads to the reference.
"""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent
ROOT = DOCS.parent

# Made from what no file of theirs tells: the program's commands, and the pages that there are.
ALWAYS = ("commands", "index")

INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
NAME = re.compile(r"(?<![`}])`(genzoo(?:_\w+)?(?:\.\w+)+)`(?!`)")
FENCE = re.compile(r"(^ *(`{3,}|~{3,}).*?^ *\2 *$)", re.MULTILINE | re.DOTALL)


def pages():
    """Return {file of the repository: page of the site} for each file that a page includes whole, and the
    README."""
    found = {ROOT / "README.md": DOCS / "index.md"}  # says the same in other words
    for page in DOCS.rglob("*.md"):
        for name in INCLUDE.findall(page.read_text("utf-8")):
            file = (page.parent / name).resolve()
            if ROOT in file.parents and "generated" not in file.parts:
                found[file] = page
    return found


def stub_pages(app):
    """Make a page for the README of each plugin; a plugin that is added has its page without an edit."""
    for readme in sorted((ROOT / "plugins").glob("*/README.md")):
        page = DOCS / "plugins" / f"{readme.parent.name}.md"
        page.parent.mkdir(exist_ok=True)
        text = f"```{{include}} ../../plugins/{readme.parent.name}/README.md\n```\n"
        if not page.exists() or page.read_text("utf-8") != text:
            page.write_text(text, "utf-8")


def further(text):
    """Return the pages at the top of docs/ that `text`, the front page, does not name."""
    named = {"index", *re.findall(r"^[\w-]+$", text, re.MULTILINE)}
    return "\n".join(sorted({page.stem for page in DOCS.glob("*.md")} - named))


def module_of(file):
    """Return the dotted name of a module of genzoo or of a plugin, or None."""
    for top in (ROOT, *(ROOT / "plugins").iterdir()):
        inside = file.relative_to(top).with_suffix("").parts if top in file.parents else ()
        if file.suffix == ".py" and inside and inside[0].startswith("genzoo") and "-" not in inside[0]:
            return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)
    return None


def rewritten(text, origin, page, known):
    """Return `text` of the file `origin` with its links made good for `page`, a file of docs/."""

    def link(found):
        image, words, target, anchor = found[1], found[2], found[3], found[4] or ""
        file = (origin.parent / target).resolve()
        file = known.get(file, file)
        if target.startswith("/") or not file.exists():
            return found[0]
        if DOCS in file.parents:
            return f"{image}[{words}](/{file.relative_to(DOCS).as_posix()}{anchor})"
        module = module_of(file)
        if module:
            up = "../" * len(page.relative_to(DOCS).parent.parts)
            return f"{{viewcode}}`{words.strip('`')} <{up}_modules/{module.replace('.', '/')}.html>`"
        if file.is_dir():
            return words
        return f"{image}[{words}]({os.path.relpath(file, page.parent)})"

    def good(part):
        return NAME.sub(r"{py:obj}`\1`", LINK.sub(link, part))

    parts = FENCE.split(text)  # text, fence, its ticks, text, ...
    return "".join(
        good(part) if number % 3 == 0 else part for number, part in enumerate(parts) if number % 3 != 2
    )


def read_source(app, docname, source):
    """Take in what a page includes, and turn links to files of the repository into links of the site."""
    page = Path(app.env.doc2path(docname))
    if docname in ALWAYS:
        app.env.note_reread()
    known = pages()
    source[0] = source[0].replace("%further-pages", further(source[0]))
    text = rewritten(source[0], page, page, known)

    def include(found):
        file = (page.parent / found[1]).resolve()
        app.env.note_dependency(str(file))
        return rewritten(file.read_text("utf-8"), file, page, known)

    source[0] = INCLUDE.sub(include, text)


def viewcode(name, rawtext, text, lineno, inliner, options=None, content=None):
    """The role that leads to the view of a module's source, which Sphinx writes after all pages are read."""
    from docutils import nodes

    words, _, target = text.rpartition(" <")
    reference = nodes.reference(rawtext, "", refuri=target.rstrip(">"), internal=True)
    reference += nodes.literal(words, words)
    return [reference], []


def setup(app):
    """Join Sphinx."""
    app.add_role("viewcode", viewcode)
    app.connect("builder-inited", stub_pages)
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
