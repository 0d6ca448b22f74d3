"""Build the compiled backend for one instruction set, in a copy of the working tree.

    tools/kernel_copy.py FOLDER [CFLAGS]

The kernels of the copy are AVX2's alone (the compiler's default elsewhere), under the name
``generic``: one library, half a minute to compile. `environment` says how programs import it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SOURCES = Path("backends/cython/src")
PACKAGES = ("naive", "im2col_numpy", "cython")
#: setup.py in the copy: the only set is called generic, and is not chosen at run time.
REPLACED = {
    'X86 = platform.machine().lower() in ("x86_64", "amd64")\n': "X86 = False\n",
    '{"generic": (16, [])}': '{"generic": (32, AVX2)}',
}


def copy_tree(folder: Path) -> None:
    """Copy what git tracks to a new folder, and ask for one instruction set there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (TOP / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, folder / name)
    if platform.machine().lower() in ("x86_64", "amd64"):
        setup = (folder / "setup.py").read_text()
        for old, new in REPLACED.items():
            if setup.count(old) != 1:
                raise SystemExit(f"setup.py (={old!r}) must stand there once; adapt {__file__}")
            setup = setup.replace(old, new)
        (folder / "setup.py").write_text(setup)
    (folder / "site").mkdir()
    for package in PACKAGES:
        (folder / "site" / f"convkit_{package}").symlink_to(folder / "backends" / package)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment in which Python imports the copy."""
    paths = f"{folder / 'site'}{os.pathsep}{folder}"
    return {**os.environ, "PYTHONPATH": paths, "CONVKIT_ISA": "generic", **more}


def build(folder: Path, cflags: str = "") -> None:
    """Compile the copy's kernels; SystemExit where that fails."""
    command = [sys.executable, "setup.py", "--quiet", "build_clib", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "CONVKIT_CFLAGS": cflags})
    check = "import sys, convkit_cython._kernels as k; print(k.__file__); k.isas()"
    found = subprocess.run(
        [sys.executable, "-c", check], env=environment(folder), capture_output=True, text=True
    )
    if found.returncode or not found.stdout.startswith(str(folder)):
        raise SystemExit(f"the copy was not built or is not imported: {found.stdout}{found.stderr}")


def main() -> int:
    """Make the copy that the command line names."""
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    copy_tree(folder)
    build(folder, " ".join(sys.argv[2:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
