"""Where the packages lie, and the compiled kernels: one static library per instruction set.

Everything else about the distribution stands in pyproject.toml. A machine without a C compiler
still gets a complete install: the commands below warn, leave the compiled backend out, and
``import convkit_cython`` then says so.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy
from setuptools import Extension, find_packages, setup
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

KERNELS = "backends/cython"
SOURCES = f"{KERNELS}/src"
HEADERS = sorted(str(path) for kind in ("*.h", "*.def") for path in Path(SOURCES).rglob(kind))
# Compiled once per instruction set; every global symbol carries the set's name.
PER_ISA = sorted(str(path) for path in Path(SOURCES).glob("isa/*.c"))
COMMON = sorted(str(path) for path in Path(SOURCES).glob("runtime/*.c"))

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

# name -> (bytes per vector, flags). "wide" runs the 64-byte tiles on AVX2, to test their logic.
ISAS: dict[str, tuple[int, list[str]]] = {"generic": (16, [])}
if X86:
    ISAS |= {"avx2": (32, AVX2), "avx512": (64, AVX512), "wide": (64, AVX2)}


def static_library(isa: str) -> tuple[str, dict[str, Any]]:
    """Return the build_clib description of one instruction set's kernels."""
    vector_bytes, flags = ISAS[isa]
    return (
        f"convkit_{isa}",
        {
            "sources": PER_ISA,
            "obj_deps": {"": HEADERS},
            "macros": [("CK_ISA", isa), ("CK_VECTOR_BYTES", str(vector_bytes))],
            "include_dirs": [SOURCES],
            "cflags": BASE_FLAGS + flags + EXTRA_FLAGS,
        },
    )


COMMON_LIBRARY = (
    "convkit_common",
    {
        "sources": COMMON,
        "obj_deps": {"": HEADERS},
        "macros": [("CK_X86", "1")] if X86 else [],
        "include_dirs": [SOURCES],
        "cflags": BASE_FLAGS + EXTRA_FLAGS,
    },
)


class OptionalLibraries(build_clib):
    """Builds each library in a folder of its own; without a compiler it warns and gives up."""

    def build_libraries(self, libraries: Any) -> None:
        top = self.build_temp
        try:
            for library in libraries:
                # The same sources are compiled several times: their objects must not meet.
                self.build_temp = str(Path(top) / library[0])
                super().build_libraries([library])
        except Exception as error:
            self.warn(f"the compiled backend is left out: {error}")
        finally:
            self.build_temp = top


class OptionalExtension(build_ext):
    """Leaves the extension out, with a warning, where its libraries could not be built."""

    def build_extension(self, ext: Any) -> None:
        try:
            super().build_extension(ext)
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
    include_dirs=[SOURCES, numpy.get_include()],
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    # The common library refers to the others, so it stands first for the linker.
    libraries=["convkit_common", *(f"convkit_{isa}" for isa in ISAS)],
    depends=[*HEADERS, *PER_ISA, *COMMON],
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
    libraries=[COMMON_LIBRARY, *(static_library(isa) for isa in ISAS)],
    ext_modules=[extension],
    cmdclass={"build_clib": OptionalLibraries, "build_ext": OptionalExtension},
)
