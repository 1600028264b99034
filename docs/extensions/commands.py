"""The page of commands: below the title of each command its one line, and behind its example all options.

`docs/commands.md` has the headings and the examples, in the order of the program's own help page. A command
that the program has and the page lacks is added at the end, so none is ever missing.
"""

import re

PAGE = "commands"
ENTRY = re.compile(r"^### ([\w-]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def completed(text):
    """Return the text of the page with the line and the options of every command."""
    from genzoo.cli.program import COMMANDS

    named = {name for name, _ in ENTRY.findall(text)}
    text = ENTRY.sub(lambda found: entry(found[1], found[2].strip()), text)
    return "\n".join([text, *(entry(name, "") for name in COMMANDS if name not in named)])


def entry(name, example):
    """Return the section of a command."""
    from genzoo.cli.program import COMMANDS, cli

    words = cli.get_command(None, name).get_short_help_str(200)
    title = f"### {name}\n\n{words}\n\n{example}\n"
    attribute = f"genzoo.cli.{COMMANDS[name]}:{name.replace('-', '_')}_command"
    return f"""{title}
::::{{dropdown}} All options
```{{eval-rst}}
.. click:: {attribute}
   :prog: genzoo {name}
   :nested: full
```
::::

"""


def read_source(app, docname, source):
    """Complete the page before it is parsed."""
    if docname == PAGE:
        source[0] = completed(source[0])


def setup(app):
    """Join Sphinx."""
    app.connect("source-read", read_source)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
