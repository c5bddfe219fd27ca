"""The command line. `main` is the entry point: it turns errors into one clear message and an exit code.

Exit codes: 0 ok, 1 failure, 2 usage, 130 interrupted. Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import os
import sys

_DEBUG = "--debug"


def main() -> None:
    """Run the command line and exit."""
    # Spinning threads starve each other on a busy machine; let them sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:]
    debug = _DEBUG in arguments
    arguments = [argument for argument in arguments if argument != _DEBUG]
    from ostinato.cli.app import app
    from ostinato.cli.console import fail
    from ostinato.errors import OstinatoError, RunError

    try:
        app(args=arguments, prog_name="ostinato")
    except OstinatoError as error:
        if debug:
            raise
        from typer.main import get_command

        from ostinato.cli.typed import Typed

        fail(error, Typed.of(arguments, get_command(app)).hint(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (`head`, say) has closed the pipe: no error, but nothing more to print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:  # of a path that was given: too long, in circles, not to be read
        if debug or error.filename is None:
            raise
        fail(RunError(f"can't use `{error.filename}`: {error.strerror}."), None)
