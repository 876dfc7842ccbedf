"""The command line: `selfrag ask | search | index | train | doctor | version`.

One file per group of commands. They parse options, call the library and print; nothing here is
needed to use the library. Heavy packages are imported inside the commands, so that `selfrag
--help` is quick.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line with the process's arguments and exit with its code."""
    try:
        from selfrag.cli.application import application

        application(prog_name="selfrag")
    except KeyboardInterrupt:  # before or after the command itself
        raise SystemExit(130) from None
