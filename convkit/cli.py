"""``convkit …`` and ``python -m convkit …``: the table of commands, and how errors are reported.

This module is thin so that every command starts fast and fails in the same form. It must never
import a command, a backend, matplotlib or scikit-learn before that command is requested: the module
of a command is imported by its name in `COMMANDS` when it runs (``convkit --help`` imports none).

Exit status: 0 success; 1 the command failed (one line on stderr says why); 2 wrong options, an
unknown backend among them (one line); 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from convkit.errors import BackendNotFoundError, ConvkitError, SelectionError
from convkit.exit_status import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from convkit.version import __version__

#: name -> (the command as ``module:attribute``; its line in ``convkit --help``)
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("convkit.commands.train:train", "Train a network and write a report of it."),
    "sweep": ("convkit.commands.sweep:sweep", "Train once per value of a hyper-parameter."),
    "predict": ("convkit.commands.predict:predict", "Say what is in images."),
    "evaluate": ("convkit.commands.evaluate:evaluate", "Test a trained network on a data set."),
    "export": ("convkit.commands.export:export", "Write a trained network for other programs."),
    "summary": ("convkit.commands.summary:summary", "Print what is in a network's file."),
    "report": ("convkit.commands.report:report", "Render the report of a finished run again."),
    "compare": ("convkit.commands.compare:compare", "Time backends against the naive one."),
    "conformance": (
        "convkit.commands.conformance:command",
        "Hold a backend to the conformance suite.",
    ),
    "bench": ("convkit.commands.bench:bench", "Time backends on the layers of known networks."),
    "backends": ("convkit.commands.backends:backends", "List the backends and their state."),
    "explain": ("convkit.commands.explain:command", "Say who computes a problem, and why."),
    "doctor": ("convkit.commands.doctor:command", "Check plug-ins, environment and machine."),
    "new-backend": ("convkit.commands.new_backend:command", "Write the package of a new backend."),
}


class LazyGroup(click.Group):
    """A click group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module_name, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module_name), attribute)
        assert isinstance(command, click.Command), COMMANDS[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            known = ", ".join(COMMANDS)
            raise click.UsageError(f"no command {args[0]!r}; the commands are {known}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"convkit {__version__}")
        ctx.exit()


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def convkit_group(ctx: click.Context) -> None:
    """Convolution and pooling layers for NumPy arrays, on the backend of your choice."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _first_line(error: Exception) -> str:
    """The error itself; its other lines explain how a backend is chosen."""
    return str(error).splitlines()[0]


def _fail(message: str, status: int) -> int:
    click.echo(f"convkit: error: {_one_line(message)}", err=True)
    return status


def _usage_message(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "convkit"
    message = error.format_message().rstrip(".")
    return f"{message} (see '{where} --help')"


def _missing_module_message(error: ModuleNotFoundError) -> str:
    return (
        f"this command needs the package {error.name!r}, which is not installed; "
        "install it with: pip install 'convkit-layers[train]'"
    )


def _quiet_broken_pipe() -> int:
    """Exit without a message where the reader has closed the pipe (``convkit … | head``).

    Standard output becomes the null device, so that Python's own flush at exit is silent too.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_FAILED


@contextmanager
def _warnings_on_a_line() -> Iterator[None]:
    """Warnings of convkit are a line each, as its errors are, without the place in its code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def say(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if category.__module__.startswith("convkit."):
                click.echo(f"convkit: {_one_line(str(message))}", err=True)
            else:
                show(message, category, *place)

        warnings.showwarning = say  # type: ignore[assignment]
        yield


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; errors are printed, never raised.

    Programming errors are the exception: a traceback is what a bug report needs.
    """
    try:
        with _warnings_on_a_line():
            result = convkit_group.main(
                args=list(sys.argv[1:] if argv is None else argv),
                prog_name="convkit",
                standalone_mode=False,
            )
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        return _fail(_usage_message(error), EXIT_USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BackendNotFoundError as error:
        return _fail(_first_line(error), EXIT_USAGE)
    except SelectionError as error:
        return _fail(_first_line(error), EXIT_FAILED)
    except ConvkitError as error:
        return _fail(str(error), EXIT_FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("convkit"):
            raise
        return _fail(_missing_module_message(error), EXIT_FAILED)
    except BrokenPipeError:
        return _quiet_broken_pipe()
    except OSError as error:
        return _fail(str(error), EXIT_FAILED)


def main() -> NoReturn:
    """The ``convkit`` script."""
    sys.exit(run())
