"""Another user of this machine, for tests that run as root: a forked child that has given up its rights."""

import os
import traceback
import warnings

NOBODY = 65534


def as_nobody(work):
    """Call `work()` as the user nobody and return what it returned, as text; an exception is an
    AssertionError here."""
    import grp  # noqa: F401  before the rights are gone: the interpreter may lie where nobody can read
    import pwd  # noqa: F401

    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # threads of other tests' servers may still be alive
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, str(work()).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - told in the parent
            os.write(writing, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as file:
        told = file.read()
    assert os.waitpid(child, 0)[1] == 0, told
    return told
