"""Several processes that compute one batch, each its own rows, as one process would compute all of them.

While a turn is played (`taking`), what is drawn at random is drawn for the whole batch, and a process
keeps its own rows: torch's random functions and dropout need no change in a loss or a net, whatever is drawn
has the rows of the batch along its first axis. `drawn` is for numbers with their rows along another axis.

A loss is a mean over rows, and the gradients of all processes are averaged. So only what compares rows with
each other needs those of the others: `whole` returns the rows of all processes, `mean` the mean of a
statistic, and `on_whole` computes something from all rows. All of them do nothing in a run of one process.
Every process must call them equally often. `twice` is for what is computed again in the backward pass.
"""

from genzoo.shares.draws import drawn
from genzoo.shares.share import Share, mean, on_whole, whole
from genzoo.shares.turns import taking, twice

__all__ = ["Share", "drawn", "mean", "on_whole", "taking", "twice", "whole"]
