"""`genzoo completion`: the script that teaches a shell the commands, options and names of models."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

from genzoo.cli.options import command
from genzoo.cli.output import note, say
from genzoo.names import COMPLETE

# Shell -> the line that installs its script.
INSTALL = {
    "bash": 'add to ~/.bashrc:  eval "$(genzoo completion bash)"',
    "zsh": 'add to ~/.zshrc, after compinit:  eval "$(genzoo completion zsh)"',
    "fish": "run once:  genzoo completion fish > ~/.config/fish/completions/genzoo.fish",
}


@command("completion")
@click.argument("shell", type=click.Choice(list(INSTALL)), required=False)
def completion_command(shell: str | None) -> None:
    """Print the completion script for your shell."""
    from genzoo.cli.program import cli

    # SHELL names the login shell, which is the one that people install completions for.
    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    kind = get_completion_class(name) if name in INSTALL else None
    if kind is None:
        raise click.UsageError(
            f"cannot tell your shell; name one of {', '.join(INSTALL)}", click.get_current_context()
        )
    completer = kind(cli, {}, "genzoo", COMPLETE)
    # source() would first start bash to ask for its version
    say(completer.source_template % completer.source_vars())
    note(f"to install, {INSTALL[name]}")
