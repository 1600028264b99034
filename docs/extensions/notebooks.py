"""Tutorials as notebooks: below the title of each a link to the executed notebook, and one to its source."""

import re

FOLDER = "tutorials/"
TITLE = re.compile(r"^# [^\n]+\n", re.MULTILINE)


def linked(text, name):
    """Return the text of a tutorial with both links below its title."""
    links = f"{{nb-download}}`Download as a notebook <{name}.ipynb>` · "
    links += f"{{viewcode}}`View source <{source(name)}>`"
    return TITLE.sub(lambda found: f"{found[0]}\n{links}\n", text, count=1)


def source(name):
    """Return the address of a tutorial's source on the site, seen from its page."""
    return f"../_sources/{FOLDER}{name}.md.txt"


def read_source(app, docname, source):
    """Add the links to a page that is a notebook."""
    if docname.startswith(FOLDER) and docname != f"{FOLDER}index":
        source[0] = linked(source[0], docname.removeprefix(FOLDER))


def setup(app):
    """Join Sphinx."""
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
