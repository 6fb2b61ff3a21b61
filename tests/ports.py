"""Free ports on loopback; each process of a parallel run takes them from a range of its own, so none is taken twice."""

import itertools
import os
import random
import socket
from typing import Final

_FIRST: Final = 12_000
_EACH: Final = 4_000
"""Below 32,768, where the kernel takes the ports of outgoing connections from."""

_worker: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5
_turns: Final = itertools.count(random.randrange(_EACH))


def free_port() -> int:
    """A port that nobody listens on now, and that this process gives to nobody else for a long while."""
    while True:
        port = _FIRST + _worker * _EACH + next(_turns) % _EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
