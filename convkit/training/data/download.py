"""Downloads, verified by size and SHA-256 and kept in the user's cache."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from convkit.errors import DataError
from convkit.optional import require

__all__ = ["download"]


def download(url: str, size: int, sha256: str) -> Path:
    """Return the path of a file of ``size`` bytes with this SHA-256, downloaded when missing.

    A file of another size or digest is not kept. Raises DataError for it, and where there is no
    connection or the cache cannot be written.
    """
    pooch: Any = require("pooch", "a download")
    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    cache = pooch.os_cache("convkit")

    def checked(source: str, output: Any, pup: Any) -> None:
        fetch(source, output, pup)
        found = os.path.getsize(output)
        if found != size:
            raise DataError(f"{source}: expected {size} bytes, found {found}")

    try:
        path: str = pooch.retrieve(url, f"sha256:{sha256}", path=cache, downloader=checked)
    except DataError:
        raise
    except ValueError as error:  # pooch raises it for another digest
        if "hash" not in str(error):
            raise
        raise DataError(f"{url}: expected a file with SHA-256 {sha256}, found another") from None
    except Exception as error:  # requests' errors have no base class that could be imported here
        if getattr(error, "filename", None) is not None:  # of the file system, not of the network
            raise DataError(
                f"{cache}: expected a folder to keep {url} in, found that it cannot be written "
                f"({error}); download it elsewhere and give its folder as data_dir"
            ) from None
        raise DataError(
            f"{url}: expected a download of {size} bytes, found no connection "
            f"({type(error).__name__}); download it elsewhere and give its folder as data_dir"
        ) from None
    return Path(path)
