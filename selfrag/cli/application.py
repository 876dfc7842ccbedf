"""The application: its commands, its exit codes, and how an error reaches the user."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from selfrag.cli import ask, doctor, index_push, search, train
from selfrag.cli.failures import report_failure

EXIT_CODES = """Exit codes: 0 done; 1 a check failed, or an internal error; 2 wrong usage, bad input
or configuration; 3 index or storage; 4 model, checkpoint or tokenizer; 5 retrieval;
130 interrupted."""


class Commands(TyperGroup):
    """Turns whatever a command raises into a message and an exit code, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, Exception) as error:
            code = report_failure(error, debug=bool(ctx.params.get("debug")))
            if code is None:
                raise
            raise typer.Exit(code) from error


application = typer.Typer(
    cls=Commands,
    name="selfrag",
    help="Ask questions and get critiqued, cited answers.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@application.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="SELFRAG_DEBUG", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Ask questions and get critiqued, cited answers."""


application.command("ask", epilog=EXIT_CODES)(ask.ask)
application.command("search", epilog=EXIT_CODES)(search.search)
application.add_typer(index_push.application, name="index")
application.add_typer(train.application, name="train")
application.command("doctor", epilog=EXIT_CODES)(doctor.doctor)


@application.command("version")
def version() -> None:
    """Print the version."""
    from selfrag import __version__

    typer.echo(__version__)
