"""The command `genzoo explore`."""

from __future__ import annotations

import os
import secrets

import click

from genzoo.errors import ArgumentError

PORT = 8312


@click.command("explore")
@click.argument("target", metavar="[NAME|PLACE]", required=False, default="")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen at; 0 takes a free one. Default: {PORT}, or a free one if it is taken.",
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at. Others can then use your models; the printed address contains a token that "
    "they need. The connection is not encrypted.",
)
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def explore_command(target: str, port: int | None, host: str, no_browser: bool) -> None:
    """Explore models in the browser.

    Without NAME the page lists every installed model. PLACE is the folder of a run, which is shown while it
    trains, a file of weights, or hf:OWNER/REPO. The address of the page is printed. Ctrl-C ends the server.

    Example: genzoo explore dcgan-bedrooms
    """
    # imported here, so that the help page comes at once
    from genzoo_explorer.app import Explorer, bind, server
    from genzoo_explorer.guard import is_loopback

    try:
        listening = bind(host, PORT if port is None else port, exact=port is not None)
    except OSError as error:
        raise ArgumentError(
            f"cannot listen at {host}, port {port or PORT}: {os.strerror(error.errno or 0)}",
            "leave --port out, or choose another address",
        ) from error
    with listening:
        at = listening.getsockname()[1]
        token = "" if is_loopback(host) else secrets.token_urlsafe(24)
        explorer = Explorer(target, host=host, port=at, token=token)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{at}/" + (f"?token={token}" if token else "")
        click.echo(address)
        explorer.warm()
        if not no_browser:
            _open(address)
        try:
            server(explorer.app).run(sockets=[listening])
        finally:
            explorer.worker.close(0.5)  # it may be loading torch, and nothing of it is kept


def _open(address: str) -> None:
    """Open a browser; where there is none, the printed address remains."""
    import contextlib
    import threading
    import webbrowser

    def work() -> None:
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(address)

    threading.Thread(target=work, daemon=True).start()
