"""What a cell prints arrives in pieces that may end anywhere; myst-nb puts a line break behind each. Here
they are joined first."""

from myst_nb.core import render


def joined(outputs):
    """Return `outputs` of a cell with all pieces of a stream in its first one, as they were printed."""
    found, first = [], {}
    for output in outputs:
        if output["output_type"] != "stream":
            found.append(output)
        elif output["name"] in first:
            first[output["name"]]["text"] += output["text"]
        else:
            first[output["name"]] = output.copy()
            found.append(first[output["name"]])
    return found


def setup(app):
    """Join Sphinx: give myst-nb, which tidies the streams up when it renders them, whole ones."""
    tidied = render.coalesce_streams
    render.coalesce_streams = lambda outputs: tidied(joined(outputs))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
