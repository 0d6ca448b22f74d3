"""The command line's frame: what an error looks like, and that nothing loads before it is used."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Callable

import click
import numpy as np
import pytest

import convkit
from convkit import cli, registry
from convkit.errors import DataError, ParameterError
from convkit.training.data import DataWarning


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Add a command ``fail`` that raises a given exception."""

    def add(error: BaseException) -> None:
        @click.command()
        def fail() -> None:
            raise error

        module = importlib.import_module("convkit.commands")
        monkeypatch.setattr(module, "fail", fail, raising=False)
        monkeypatch.setitem(cli.COMMANDS, "fail", ("convkit.commands:fail", "Fails."))

    return add


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ParameterError("pad (=-1) must be\nat least 0"), 1, "pad (=-1) must be at least 0"),
        (DataError("x.bin is empty"), 1, "x.bin is empty"),
        (
            PermissionError(13, "Permission denied", "runs"),
            1,
            "[Errno 13] Permission denied: 'runs'",
        ),
        (click.ClickException("no"), 1, "no"),
        (click.UsageError("--a needs --b."), 2, "--a needs --b (see 'convkit fail --help')"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            ModuleNotFoundError("No module named 'tqdm'", name="tqdm"),
            1,
            "this command needs the package 'tqdm', which is not installed; install it with: "
            "pip install 'convkit-layers[train]'",
        ),
    ],
)
def test_an_error_is_one_line_and_a_status(
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    line: str,
) -> None:
    if isinstance(error, click.UsageError):
        error.ctx = click.Context(click.Command("fail"), info_name="convkit fail")
    failing(error)
    assert cli.run(["fail"]) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [text for text in printed.err.splitlines() if text] == [f"convkit: error: {line}"]


def test_a_warning_of_convkit_is_one_line_each_time_and_others_are_as_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def warn() -> None:
        warnings.warn("pictures:\nskipped README.txt", DataWarning, stacklevel=1)
        warnings.warn("of another library", UserWarning, stacklevel=1)

    monkeypatch.setattr(importlib.import_module("convkit.commands"), "warn", warn, raising=False)
    monkeypatch.setitem(cli.COMMANDS, "warn", ("convkit.commands:warn", "Warns."))
    shown = warnings.showwarning
    for _ in range(2):
        with pytest.warns(UserWarning, match="of another library"):
            assert cli.run(["warn"]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert lines == ["convkit: pictures: skipped README.txt"]
    assert warnings.showwarning is shown


def test_a_bug_keeps_its_traceback(failing: Callable[[BaseException], None]) -> None:
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.run(["fail"])


def test_a_missing_module_of_convkit_itself_is_a_bug(
    failing: Callable[[BaseException], None],
) -> None:
    failing(ModuleNotFoundError("No module named 'convkit.x'", name="convkit.x"))
    with pytest.raises(ModuleNotFoundError):
        cli.run(["fail"])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["trian"], "no command 'trian'; the commands are " + ", ".join(cli.COMMANDS)),
        (["--nonsense"], "No such option '--nonsense'"),
        (["backends", "--nonsense"], "No such option '--nonsense'"),
        (["backends", "extra"], "Got unexpected extra argument (extra)"),
        (["compare", "--rounds", "0"], "Invalid value for '--rounds': 0 is not in the range x>=1"),
    ],
)
def test_wrong_options_exit_2_with_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], line: str
) -> None:
    assert cli.run(argv) == 2
    printed = capsys.readouterr()
    command = "convkit" if argv[0] not in cli.COMMANDS else f"convkit {argv[0]}"
    assert printed.err == f"convkit: error: {line} (see '{command} --help')\n"
    assert printed.out == ""


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"convkit {convkit.__version__}\n"
    assert cli.run([]) == 0
    assert cli.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert listed.count(f"  {name} ") == 2, name
        assert listed.count(line) == 2, name


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_of_the_table_exists_and_has_help(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert cli.run([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: convkit {name}")


def test_help_imports_no_command_and_no_heavy_package() -> None:
    code = (
        "import sys; from convkit.cli import run; run(['--help']); "
        "print([m for m in sys.modules if m.startswith('convkit.commands') "
        "or m.split('.')[0] in ('matplotlib', 'sklearn', 'jinja2', 'tqdm')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_m_convkit_is_the_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convkit", "nonsense"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("convkit: error: no command 'nonsense'")


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "convkit", "--help"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


SPEC = "conv(x (1, 1, 3, 3), w (1, 1, 1, 1), kernel=(1, 1), stride=(1, 1), pad=((0, 0), (0, 0)), "
SPEC += "no bias, float64)"


@pytest.mark.parametrize(
    ("chosen", "status", "said"),
    [
        (
            "navie",
            2,
            "backend (='navie') must be one of NAMES, or module:object; did you mean 'naive'?",
        ),
        (
            "nowhere:x",
            1,
            "backend 'nowhere:x' cannot be loaded: ModuleNotFoundError: No module named 'nowhere'; "
            "run 'convkit doctor', or name another",
        ),
        (
            "naive",
            1,
            f"backend 'naive' does not support {SPEC}: it is tired; name another one, or a comma "
            "list to allow a fallback",
        ),
        (
            "naive,nowhere:x",
            1,
            f"no backend of the list computes {SPEC} (naive: it is tired; nowhere:x: "
            "ModuleNotFoundError: No module named 'nowhere'); name another one",
        ),
    ],
)
def test_why_a_backend_cannot_be_had_is_one_line(
    failing: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chosen: str,
    status: int,
    said: str,
) -> None:
    convkit.reload()
    naive = type(registry.load("naive").backend)
    monkeypatch.setattr(naive, "supports", lambda self, spec: "it is tired")
    with pytest.raises(convkit.SelectionError) as caught:
        convkit.conv(np.ones((1, 1, 3, 3)), np.ones((1, 1, 1, 1)), backend=chosen)
    failing(caught.value)
    assert cli.run(["fail"]) == status
    names = {record.name for record in convkit.backends() if ":" not in record.name}
    said = said.replace("NAMES", ", ".join(sorted(names)))
    assert capsys.readouterr().err == f"convkit: error: {said}\n"
    convkit.reload()
