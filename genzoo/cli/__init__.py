"""The command line. `main` is the program; `genzoo.cli.program.cli` is the same as a click command, for tests
and documents.

program.py   the group: commands are imported when they are used, errors become one line
options.py   what several commands share: names, counts, seeds, --json, --debug
output.py    data on stdout, everything else on stderr, every text made safe
one module for each command or kin of commands
"""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from genzoo.show import filter_streams, tell, write_messages

__all__ = ["main"]


def main() -> NoReturn:
    """Run `genzoo` with the arguments of the process and end the process with its exit code."""
    # Importing torch makes a million objects and no garbage; collecting on the way takes a third of the time
    # to the first image. Commands that go on for long switch it on again when they have loaded what they
    # need: `options.collect_garbage`.
    gc.disable()
    try:
        _open_closed_streams()
        # Before anything can print: text from outside must not reach the terminal unfiltered.
        filter_streams()
        write_messages()
        # Raises if the folder is gone.
        os.getcwd()
        # Imported inside the try, so that Ctrl-C during the import gives one line as well.
        from genzoo.cli.program import cli, leave

        code = cli.run(sys.argv[1:])
    except KeyboardInterrupt:  # while the program was loading, or reporting another error
        tell("genzoo: interrupted")
        os._exit(130)
    except FileNotFoundError:  # said by getcwd; libraries in C end the process there
        tell("genzoo: the current folder has been deleted — change to another one: cd")
        os._exit(1)
    leave(code)


def _open_closed_streams() -> None:
    """Give closed standard streams (`2>&-`) to the null device.

    The next file that is opened would have the number of the closed one, and what C code says on stderr would
    be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free: this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
