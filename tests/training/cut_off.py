"""A process of two, of which one works for a long time while the other waits for it; see test_nodes.py.

RANK=… cut_off.py FOLDER WAITING
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from genzoo.errors import GenzooError
from genzoo.training.parallel import enter, leave

if __name__ == "__main__":
    world = enter(torch.device("cpu"))
    Path(sys.argv[1], str(world.rank)).touch()
    if world.rank != int(sys.argv[2]):
        time.sleep(600)
    try:
        world.meet()
    except GenzooError as error:
        print(error, file=sys.stderr, flush=True)
        leave(3)
    leave(0)
