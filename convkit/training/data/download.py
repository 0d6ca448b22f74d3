"""A file from the network, kept in the user's cache once it is the one that was published."""

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

    What has another size or sum is not kept.
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
    except ValueError as error:  # pooch's word for another sum
        if "hash" not in str(error):
            raise
        raise DataError(f"{url}: expected a file with SHA-256 {sha256}, found another") from None
    except Exception as error:  # requests' errors share no base with anything we could import
        if getattr(error, "filename", None) is not None:  # of this machine, not of the network
            raise DataError(
                f"{cache}: expected a folder to keep {url} in, found that it cannot be written "
                f"({error}); download it elsewhere and give its folder as data_dir"
            ) from None
        raise DataError(
            f"{url}: expected a download of {size} bytes, found no connection "
            f"({type(error).__name__}); download it elsewhere and give its folder as data_dir"
        ) from None
    return Path(path)
