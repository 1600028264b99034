"""The lecture page as a lesson: on the site the picture of each section is next to its text, and the code
behind it is folded away.

`docs/lecture.md` is written as a plain page, which GitHub shows and tests/test_lecture.py reads: a section is
its text, a list of four lines (Symbol, File, Command, Picture), pictures, and whatever follows them.
"""

import re

PAGE = "lecture"
SECTION = re.compile(r"(^### \d+ · [^\n]+\n)(.*?)(?=^#{2,3} |\Z)", re.MULTILINE | re.DOTALL)
PART = re.compile(r"^- \*\*(\w+)\*\* (.*?)(?=^- \*\*|^\s*$|\Z)", re.MULTILINE | re.DOTALL)
PICTURES = re.compile(r"\s*((?:!\[[^\]]*\]\([^)]*\)\s*)+)")


def laid_out(text):
    """Return the text of the page with each section laid out."""
    return SECTION.sub(lambda found: found[1] + section(found[2]), text)


def section(body):
    """Return a section with text and caption, the pictures next to them, its code folded, and the rest."""
    parts = list(PART.finditer(body))
    if not parts:
        return body
    named = {part[1]: " ".join(part[2].split()) for part in parts}
    words, rest = body[: parts[0].start()].strip(), body[parts[-1].end() :]
    shown = PICTURES.match(rest)
    pictures = shown[1] if shown else ""
    rest = rest[shown.end() :] if shown else rest
    pictures = pictures.strip().replace("\n", "\n\n")  # those of one line are shown in one row
    return "\n".join(
        [
            f"\n:::::{{div}} lesson{' lesson-pictured' if pictures else ''}",
            "::::{div} lesson-words",
            words,
            "",
            f"**{'Shown' if pictures else 'To see'}:** {named['Picture'].rstrip(':.')}.",
            "::::",
            *(["::::{div} lesson-pictures", pictures, "::::"] if pictures else []),
            ":::::",
            "",
            *folded(named),
            "",
            rest.lstrip("\n"),
        ]
    )


def folded(named):
    """Return the lines of the fold: commands to copy, symbols and files."""
    commands = re.findall(r"`([^`]+)`", named["Command"])
    return [
        "::::{dropdown} Command, symbol, file",
        "```bash",
        *commands,
        "```",
        "",
        f"**Symbol** {named['Symbol']}",
        "",
        f"**File** {named['File']}",
        "::::",
    ]


def read_source(app, docname, source):
    """Lay the page out before it is parsed."""
    if docname == PAGE:
        source[0] = laid_out(source[0])


def setup(app):
    """Join Sphinx, before links are rewritten."""
    app.connect("source-read", read_source, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
