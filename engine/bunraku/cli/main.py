"""`bunraku`: finds the commands, runs one, and turns errors into one line and exit code 2."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING, NoReturn

from bunraku import __version__
from bunraku import cli as commands
from bunraku.errors import BunrakuError, MissingDependencyError, UserInputError

if TYPE_CHECKING:
    import typer

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
NOT_COMMANDS = frozenset(
    {
        "demo",
        "live_view",
        "main",
        "output_files",
        "performance_view",
        "performing",
        "reporting",
        "signals",
        "terminal_view",
        "train_look",
    }
)


def command_modules() -> list[str]:
    """Names of the command files beside this one."""
    return sorted(
        m.name for m in pkgutil.iter_modules(commands.__path__) if m.name not in NOT_COMMANDS
    )


def build_app() -> typer.Typer:
    """The typer application with every command registered."""
    import typer

    app = typer.Typer(
        name="bunraku",
        help="Real-time neural effects: voice, face and time on one clock.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            typer.echo(f"bunraku {__version__}")
            raise typer.Exit

    for name in command_modules():
        importlib.import_module(f"bunraku.cli.{name}").register(app)
    return app


def run(arguments: list[str] | None = None) -> None:
    """Entry point of the `bunraku` script. Exits with 0, or 2 after a one-line error."""
    try:
        sys.exit(invoke(arguments))
    except BunrakuError as error:
        fail(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone: not our error
            sys.stderr.close()
            sys.exit(0)
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def invoke(arguments: list[str] | None) -> int:
    """Run one command line; returns the exit code. Usage errors become UserInputError."""
    try:
        app = build_app()
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "bunraku":
            raise
        raise MissingDependencyError(
            f"the command line needs the package '{error.name}': pip install 'bunraku[cli]'"
        ) from error
    import typer

    try:
        return int(app(args=arguments, standalone_mode=False) or 0)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except Exception as error:
        # Usage errors of the option parser; its base class has no public name in every release.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message())
            return EXIT_USER_ERROR
        raise UserInputError(f"{message()} Try 'bunraku --help'.") from error


def fail(message: str) -> NoReturn:
    """One line on standard error, exit code 2."""
    print(f"bunraku: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)


if __name__ == "__main__":
    run()
