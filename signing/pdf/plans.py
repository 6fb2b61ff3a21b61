"""What this process still knows of large files that it has just verified: enough for their next signature.

A file is named by its SHA-256. A plan that is kept under that name was read from bytes that had it, and holds the
digest over them, open to be carried on: with it the seal behind a signature is prepared without reading and hashing
the whole file once more. What is then signed is that content and one increment, whatever has become of the file
meanwhile; `finish` reads all of it, and refuses another one.
"""

import threading
from contextlib import suppress
from typing import Any, Final

from signing.contract import Sha256
from signing.pdf import direct
from signing.pdf.classic import Data

_LEAST: Final = 1 << 20
"""From how many bytes on: a smaller file is read in less time than it takes to ask what is needed of it."""
_MOST: Final = 64

_kept: Final[dict[Sha256, direct.Plan]] = {}
_lock: Final = threading.Lock()


def keep(data: Data, digest: Any) -> None:
    """Keep what the next signature needs of a file; `digest` is the SHA-256 object that has read all of it."""
    if len(data) < _LEAST:
        return
    with suppress(direct.Unusual):
        known = direct.without_file(data, digest)
        with _lock:
            _kept[Sha256(digest.digest())] = known
            while len(_kept) > _MOST:
                del _kept[next(iter(_kept))]


def recall(sha256: Sha256) -> direct.Plan | None:
    """Return what is known of a file."""
    return _kept.get(sha256)
