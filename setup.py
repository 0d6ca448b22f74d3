"""Where the packages lie, and the compiled kernels: one static library per instruction set.

Everything else about the distribution is in pyproject.toml. A machine without a C compiler still
gets a complete install: the commands below warn, leave the compiled backend out, and
``import convkit_cython`` then says so. What is compiled is kept in build/ and compiled again only
when its sources, headers, flags or compiler change.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent))  # a build front end leaves it out

from build_support.incremental import Step, build, parallel_jobs
from build_support.kernels import FOLDER, Tools, library_steps, link_step, module_steps

KERNELS = "backends/cython"
SOURCES = Path(KERNELS, "src")

# NaN and infinities must keep their meaning, so no -ffast-math; contraction to fused
# multiply-adds only drops a rounding.
BASE_FLAGS = ["-O3", "-std=gnu11", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-pthread"]
BASE_FLAGS += ["-fno-trapping-math", "-fno-tree-loop-distribute-patterns", "-Wall", "-Wno-psabi"]
BASE_FLAGS += ["-fvisibility=hidden"]
EXTRA_FLAGS = os.environ.get("CONVKIT_CFLAGS", "").split()  # e.g. for a sanitizer build
AVX2 = ["-mavx2", "-mfma", "-mtune=haswell"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mavx2"]
AVX512 += ["-mprefer-vector-width=512", "-mtune=skylake-avx512"]
X86 = platform.machine().lower() in ("x86_64", "amd64")
JOBS = parallel_jobs()


def wide_is_wanted() -> bool:
    """Whether CONVKIT_BUILD_WIDE asks for the kernels that only tests run."""
    asked = os.environ.get("CONVKIT_BUILD_WIDE", "").strip()
    if asked not in ("", "0", "1"):
        raise ValueError(f"CONVKIT_BUILD_WIDE (={asked!r}) must be 0 or 1; unset, it is 0")
    return asked == "1" and X86


# name -> (bytes per vector, flags)
ISAS: dict[str, tuple[int, list[str]]] = {"generic": (16, [])}
if X86:
    ISAS |= {"avx2": (32, AVX2), "avx512": (64, AVX512)}
if wide_is_wanted():
    # The 64-byte tiles on AVX2, to test their logic. Sixteen registers are too few for them, so
    # they take longer to compile than all other sets together: only who tests waits for them,
    # and -O1 will do.
    ISAS["wide"] = (64, [*AVX2, "-O1"])


# Compiled once per instruction set, where every global symbol carries the set's name; and once.
PER_ISA = sorted(map(str, SOURCES.glob("isa/*.c")))
ONCE = sorted(map(str, SOURCES.glob("runtime/*.c")))
# Started first, by measured time, so that no core waits for them at the end. Nothing else depends
# on this list.
SLOWEST = ["register_tiles.c", "depthwise_3x3.c", "conv_dw.c"]
SLOWEST += ["conv_dx_columns.c", "conv_dx.c", "conv_forward.c", "average_pool_overlap.c"]


def library(name: str, sources: list[str], macros: dict[str, str], flags: list[str]) -> Any:
    """Return the description that build_clib takes."""
    cflags = BASE_FLAGS + flags + EXTRA_FLAGS
    return f"convkit_{name}", {"sources": sources, "macros": list(macros.items()), "cflags": cflags}


def common_macros() -> dict[str, str]:
    """Return what the run-time choice among the instruction sets must know of the build."""
    if not X86:
        return {}
    return {"CK_X86": "1"} | ({"CK_WIDE": "1"} if "wide" in ISAS else {})


LIBRARIES = [
    # The common library refers to the others, so it comes first for the linker.
    library("common", ONCE, common_macros(), []),
    *(
        library(isa, PER_ISA, {"CK_ISA": isa, "CK_VECTOR_BYTES": str(width)}, flags)
        for isa, (width, flags) in ISAS.items()
    ),
]


def compile_kernels(command: Any, *, link: bool) -> Path:
    """Bring the objects and libraries up to date, and the module where asked. Return its file."""
    tools = Tools.of(command.compiler)
    # The module's own object belongs to build_ext, but compiles beside the kernels' meanwhile.
    steps: list[Step] = module_steps(extension, SOURCES, tools)
    for name, info in LIBRARIES:
        steps += library_steps(name, info, SOURCES, tools, SLOWEST)
    module = link_step(extension, tools)
    if link:
        steps.append(module)
    build(steps, FOLDER, Path(KERNELS), JOBS, force=bool(command.force))
    return module.output


class OptionalLibraries(build_clib):
    """Compiles in parallel, and only what changed; without a compiler it warns and gives up."""

    def build_libraries(self, libraries: Any) -> None:
        try:
            compile_kernels(self, link=False)
        except Exception as error:
            self.warn(f"the compiled backend is left out: {error}")


class OptionalExtension(build_ext):
    """Leaves the extension out, with a warning, where it could not be built."""

    def build_extension(self, ext: Any) -> None:
        target = Path(self.get_ext_fullpath(ext.name))
        target.unlink(missing_ok=True)  # an earlier build's is not to be taken for this one's
        try:
            module = compile_kernels(self, link=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(module, target)
        except Exception as error:
            self.warn(f"{ext.name} is left out: {error}")

    def copy_extensions_to_source(self) -> None:
        built = [e for e in self.extensions if Path(self.get_ext_fullpath_in_lib(e)).exists()]
        everything, self.extensions = self.extensions, built
        try:
            super().copy_extensions_to_source()
        finally:
            self.extensions = everything

    def get_ext_fullpath_in_lib(self, ext: Any) -> str:
        return str(Path(self.build_lib) / self.get_ext_filename(self.get_ext_fullname(ext.name)))


extension = Extension(
    "convkit_cython._kernels",
    [f"{KERNELS}/_kernels.pyx"],
    define_macros=[
        ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
        ("NPY_TARGET_VERSION", "NPY_1_22_API_VERSION"),  # memory handlers
    ],
    libraries=[name for name, _ in LIBRARIES],
    extra_compile_args=["-O2", "-pthread", *EXTRA_FLAGS],
    extra_link_args=["-pthread", *EXTRA_FLAGS],
    optional=True,
)

setup(
    packages=[
        *find_packages(include=["convkit", "convkit.*"]),
        "convkit_naive",
        "convkit_im2col_numpy",
        "convkit_cython",
    ],
    package_dir={
        "convkit_naive": "backends/naive",
        "convkit_im2col_numpy": "backends/im2col_numpy",
        "convkit_cython": KERNELS,
    },
    package_data={
        "convkit": ["py.typed"],
        "convkit.templates": ["*.tmpl"],
        "convkit.report": ["*.j2"],
        "convkit_cython": ["*.pyi", "py.typed"],
    },
    libraries=LIBRARIES,
    ext_modules=[extension],
    cmdclass={"build_clib": OptionalLibraries, "build_ext": OptionalExtension},
)
