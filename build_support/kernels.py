"""The steps that make the compiled module: objects, one static library per instruction set, a link.

Objects are kept in a folder below build/, so that they outlive the temporary folders in which pip
builds. Nothing here says what is compiled with which flags; setup.py does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from build_support.incremental import BuildError, Step

#: Of one Python and platform; other ones have folders of their own.
FOLDER = Path(
    "build", f"kernels-{sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag}"
)


@dataclass(frozen=True)
class Tools:
    """The commands that the environment and Python's own configuration ask for."""

    compile: tuple[str, ...]
    archive: tuple[str, ...]
    link: tuple[str, ...]
    version: str

    @classmethod
    def of(cls, compiler: Any) -> Tools:
        """Read them from a customised compiler of setuptools; BuildError for one unlike gcc's."""
        if compiler.compiler_type != "unix":
            raise BuildError(f"the compiler (={compiler.compiler_type!r}) must be gcc or clang")
        command = list(compiler.compiler_so)
        if "-g" not in os.environ.get("CFLAGS", "").split():
            # Python's own flags ask for debug information: a third of the time to compile.
            command = [argument for argument in command if argument != "-g"]
        return cls(
            tuple(command),
            tuple(compiler.archiver),
            tuple(compiler.linker_so),
            version_of(list(compiler.compiler)),
        )


def version_of(compiler: list[str]) -> str:
    """Return the first line that ``--version`` prints; nothing where it cannot be asked."""
    program = [argument for argument in compiler if not argument.startswith("-")]
    try:
        asked = subprocess.run([*program, "--version"], capture_output=True, text=True)
    except OSError:
        return ""
    return asked.stdout.partition("\n")[0]


def compile_step(
    label: str, source: Path, output: Path, arguments: list[str], tools: Tools, **more: Any
) -> Step:
    """Return the step that compiles one C file and lists the headers that it reads."""
    depfile = output.with_suffix(".d")
    command = [*tools.compile, *arguments, "-MMD", "-MF", str(depfile), "-c", str(source)]
    return Step(
        label, (*command, "-o", str(output)), output, (source,), depfile,
        **{"versions": tools.version} | more,
    )  # fmt: skip


def library_steps(
    name: str, info: dict[str, Any], top: Path, tools: Tools, slowest: Sequence[str] = ()
) -> list[Step]:
    """Return the steps of one static library, described as for build_clib, the archive last.

    Objects lie in ``FOLDER/name`` as their sources do below ``top``. ``slowest`` names the sources
    to start before the others, the slowest first.
    """
    arguments = [f"-I{top}", *(f"-D{macro}={value}" for macro, value in info["macros"])]
    arguments += info["cflags"]
    steps = []
    for source in map(Path, info["sources"]):
        inside = source.relative_to(top)
        late = slowest.index(inside.name) if inside.name in slowest else len(slowest)
        steps.append(
            compile_step(
                f"{name.removeprefix('convkit_')}/{inside.name}",
                source,
                FOLDER / name / inside.with_suffix(".o"),
                arguments,
                tools,
                weight=len(slowest) - late,
            )
        )
    objects = tuple(step.output for step in steps)
    archive = archive_of(name)
    command = (*tools.archive, str(archive), *map(str, objects))
    return [*steps, Step(archive.name, command, archive, objects)]


def archive_of(name: str) -> Path:
    """Return where the static library is kept."""
    return FOLDER / f"lib{name}.a"


def module_steps(ext: Any, top: Path, tools: Tools) -> list[Step]:
    """Return the steps from the extension's Cython source to its object, the object's last."""
    import numpy

    (source,) = map(Path, ext.sources)
    generated = FOLDER / f"{source.stem}.c"
    cython = (
        sys.executable, "-m", "cython", "-3", "--depfile", "--module-name", ext.name,
        "-X", "warn.multiple_declarators=False", str(source), "-o", str(generated),
    )  # fmt: skip
    translate = Step(
        source.name,
        cython,
        generated,
        (source,),
        generated.with_name(f"{generated.name}.dep"),
        versions=f"Cython {version('cython')}, NumPy {version('numpy')}",
        unstable=frozenset({sys.executable}),
        weight=sys.maxsize,  # short, but what follows it is not
    )
    numpy_headers = f"-I{numpy.get_include()}"
    arguments = [f"-I{top}", numpy_headers, f"-I{sysconfig.get_paths()['include']}"]
    arguments += [f"-D{macro}={value}" for macro, value in ext.define_macros]
    compiled = compile_step(
        generated.name,
        generated,
        generated.with_suffix(".o"),
        [*arguments, *ext.extra_compile_args],
        tools,
        versions=f"{tools.version}, Python {sys.version}, NumPy {version('numpy')}",
        unstable=frozenset({numpy_headers}),
        weight=sys.maxsize,
    )
    return [translate, compiled]


def link_step(ext: Any, tools: Tools) -> Step:
    """Return the step that links the extension's object with its libraries."""
    module = FOLDER / (ext.name.rpartition(".")[2] + sysconfig.get_config_var("EXT_SUFFIX"))
    inputs = (
        FOLDER / f"{Path(ext.sources[0]).stem}.o",
        *(archive_of(name) for name in ext.libraries),
    )
    command = (*tools.link, *map(str, inputs), *ext.extra_link_args, "-o", str(module))
    return Step(module.name, command, module, inputs, versions=tools.version)
