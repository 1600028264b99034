"""The API reference: every module of a room, and docstrings, which are written as plain text, made safe for
reStructuredText."""

import importlib
import importlib.util
import inspect
import pkgutil
import re
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
MODULES = re.compile(r"^```\{modules\}\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+[^`]+`+)")
SIGN = re.compile(r"[*|\\]|_(?=\W|$)")
FILE = re.compile(r"[\w*]+\.(py|toml) +\S")  # a line of the list of files that a package begins with
COLON = "\ue000"  # stands for a colon: of a private area of Unicode, so no docstring has it
SECTION = re.compile(r"^\s*(Args|Returns|Raises|Yields|Attributes|Note|Example)s?:\s*$")


def submodules(name):
    """Return `name` and, of a package, the modules in it and in its packages, without the private ones."""
    places = getattr(importlib.import_module(name), "__path__", ())
    inner = sorted(found.name for found in pkgutil.iter_modules(places) if not found.name.startswith("_"))
    return [name, *(module for inside in inner for module in submodules(f"{name}.{inside}"))]


def modules(line):
    """Return the modules that a line stands for: `plugins` all of the official plugins that are installed,
    `package.*` all of a package."""
    if line == "plugins":
        packages = [path.parent.name.replace("-", "_") for path in sorted(PLUGINS.glob("*/pyproject.toml"))]
        return [
            module
            for package in packages
            if importlib.util.find_spec(package)
            for module in submodules(package)
        ]
    return submodules(line.removesuffix(".*")) if line.endswith(".*") else [line]


def listed(names):
    """Return the directives that document every module in `names`, one name on each line."""
    blocks = []
    for module in [module for line in names.split() for module in modules(line)]:
        # Of a package's own file the words count; what it imports is documented where it is written.
        package = hasattr(importlib.import_module(module), "__path__")
        members = [] if package else ["   :members:", "   :show-inheritance:"]
        body = ["```{eval-rst}", f".. automodule:: {module}", *members, "```"]
        names = summary(module)
        if names:  # a browser unfolds what a link leads to
            body = ["```{eval-rst}", *names, "```", "", "::::{dropdown} In detail", *body, "::::"]
        blocks.append("\n".join([f"## {module}", "", first_line(module), "", *body]))
    return "\n\n".join(blocks)


def first_line(module):
    """Return the first sentence of a module's docstring, if its details are folded, as Markdown."""
    words = (importlib.import_module(module).__doc__ or "").strip().partition("\n\n")[0]
    return plain(" ".join(words.split())) if summary(module) else ""


def summary(module):
    """Return the directive that lists the public names of a module, two or more, with a line on each."""
    found = vars(importlib.import_module(module))
    names = [
        name
        for name, value in found.items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and getattr(value, "__module__", None) == module
        and value.__doc__
    ]
    if len(names) < 2:
        return []
    listed = [f"   ~{module}.{name}" for name in names]
    return [".. autosummary::", "   :nosignatures:", "", *listed, ""]


def read_source(app, docname, source):
    """Put the directives of each module where a page says ```{modules}."""
    source[0] = MODULES.sub(lambda found: listed(found[1]), source[0])


def plain(line):
    """Return a line of a docstring with the signs that reStructuredText would take for markup escaped, code
    left alone."""
    bullet = re.match(r"\s*\* |", line)[0]
    parts = CODE.split(line[len(bullet) :])
    return bullet + "".join(
        part if number % 2 else SIGN.sub(r"\\\g<0>", part) for number, part in enumerate(parts)
    )


def process(app, what, name, obj, options, lines):
    """Escape a docstring; an indented block after a blank line is a literal one, and so is a package's list
    of its files."""
    done, literal = [], False
    lines[:] = files_indented(lines)
    for line in lines:
        indent = len(line) - len(line.lstrip())
        blank = not done or not done[-1].strip()
        if literal and line.strip() and indent == 0:
            literal = False
        if (
            not literal
            and indent
            and blank
            and not any(SECTION.match(other) for other in done[-3:])
            and not in_section(done)
        ):
            done += ["::", ""]
            literal = True
        done.append(line if literal else plain(line))
    if what in ("property", "attribute", "data") and done:
        done[0] = done[0].replace(":", COLON)  # napoleon takes what stands before a colon there for a type
    lines[:] = done


def restore(app, what, name, obj, options, lines):
    """Put back the colons that napoleon was not shown."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def files_indented(lines):
    """Return `lines` with a paragraph that begins with a file and what is in it indented."""
    done, inside = [], False
    for line in lines:
        inside = bool(line.strip()) and (inside or bool(FILE.match(line)))
        done.append(f"    {line}" if inside else line)
    return done


def skip(app, what, name, obj, skipped, options):
    """Leave out the fields of a NamedTuple, which its docstring explains."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def in_section(lines):
    """Return whether the last line that is not indented opens a section such as `Args:`."""
    outer = [line for line in lines if line.strip() and not line.startswith(" ")]
    return bool(outer) and (bool(SECTION.match(outer[-1])) or outer[-1].startswith(("- ", "* ")))


def setup(app):
    """Join Sphinx, before napoleon reads the sections and after."""
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-process-docstring", restore, priority=900)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
