"""The command `genzoo rings`: a picture of the data set."""

from pathlib import Path

import click


@click.command("rings")
@click.option("-n", "n", type=click.IntRange(1, 500), default=16, show_default=True, help="How many images.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("rings.png"),
    show_default=True,
    help="The picture.",
)
def rings_command(n: int, output: Path) -> None:
    """Draw the first images of the data set."""
    import genzoo
    from genzoo.data import open_data

    images = open_data("rings", split="test")
    genzoo.save_grid(images.float(range(n)), output)
    click.echo(str(output))
