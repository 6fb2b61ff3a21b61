"""The web server around the app: it holds the listening socket and its workers, and loads nothing else itself.

Each worker builds the app anew from the same environment (`api.app.from_environment`), so this process stays small and
starts at once. Where whoever starts it holds the listening socket open and passes it (systemd's socket activation),
callers who come while one process stops and the next starts wait in its queue; else the kernel closes them unanswered.
"""

import asyncio
import multiprocessing
import os
import resource
import shutil
import socket
import tempfile
from typing import Any, Final

import structlog
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from api import logs
from api.db.faults import as_kind
from api.db.pools import open_pools
from api.errors import Invalid
from api.settings import Address, Settings

_log = structlog.get_logger("api.http")
CONNECTIONS: Final = 16_384
"""Connections a worker may hold: granian counts idle keep-alive ones, and number 1,025 got no answer by default."""
IDLE_S: Final = 120
"""How long a connection stays without a request, in seconds: as long as people think between two, so that they find
theirs open. The server knows one limit only, so a request's head may take as long; the proxy before it is stricter."""
SILENT_S: Final = 15
"""How long a new connection on a passed socket may send nothing before it is taken, in seconds."""
HEAD_BYTES: Final = 64 << 10
"""How much a connection may send ahead of being read: the head with all its fields has to fit."""
_MEMORY: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "_RJEM_MALLOC_CONF": "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0",
}
"""What workers tell the allocators of Python (glibc) and of the server (jemalloc), read once at their start: what was
freed goes back soon. Each thread's own arena kept the 19 MB of the last password it had hashed, and more."""
_OWN_DESCRIPTORS: Final = 256
"""What a worker needs besides its callers: pools, files of the store, libraries."""


def connection_budget(descriptors: int) -> int:
    """Return how many connections a worker holds of those it would like, given how many files it may open."""
    return max(64, min(CONNECTIONS, descriptors - _OWN_DESCRIPTORS))


def raise_descriptors() -> int:
    """Raise the limit of open files to its ceiling, which needs no right; workers inherit it. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return CONNECTIONS + _OWN_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def main(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are finished first. Returns the exit status.

    Each worker is a process that reads the same environment; `settings` says where to listen and how many there are.

    Raises:
        Invalid: the address is taken, or the database cannot be reached with these settings.
    """
    logs.set_up("api")
    connections = connection_budget(raise_descriptors())
    if connections < CONNECTIONS:
        _log.warning("few_descriptors", connections=connections, wanted=CONNECTIONS)
    listener = _passed_listener()
    if listener is None:
        _refuse_taken(settings.listen)
    asyncio.run(_refuse_unreachable(settings))
    multiprocessing.set_start_method("spawn", force=True)  # a forked worker would inherit counters made for one process
    counted = tempfile.mkdtemp(prefix="motcua-metrics-") if settings.api_workers > 1 else None
    if counted is not None:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counted
    for name, value in _MEMORY.items():
        os.environ.setdefault(name, value)
    try:
        _Server(
            listener,
            "api.app:from_environment",
            factory=True,
            address=settings.listen.host,
            port=settings.listen.port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            loop=Loops.uvloop,
            websockets=False,
            workers=settings.api_workers,
            backlog=max(connections, 128),
            backpressure=connections,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_S * 1000, max_buffer_size=HEAD_BYTES),
            respawn_failed_workers=True,
            workers_kill_timeout=30,
            log_level=LogLevels.warning,
            log_dictconfig=_SERVER_LOGS,
        ).serve()
    finally:
        if counted is not None:
            shutil.rmtree(counted, ignore_errors=True)
    return 0


class _Server(MPServer):
    """Granian, its workers on sockets of their own, or all on one that somebody keeps open beyond this process."""

    def __init__(self, listener: socket.socket | None, target: str, **options: Any) -> None:
        super().__init__(target, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        if self._listener is None:
            super()._init_shared_socket()
        else:
            is_a_path = False
            holder = SocketHolder(self._listener.fileno(), is_a_path, self.backlog)  # pyright: ignore[reportCallIssue]
            self._ssp, self._shd, self._sso = None, holder, self._listener


_FIRST_PASSED: Final = 3
"""sd_listen_fds(3): the number of the first socket that is passed."""


def _passed_listener() -> socket.socket | None:
    """Return the listening socket that was passed to this process (`LISTEN_FDS`), or None where there is none."""
    count, meant = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", str(os.getpid()))
    if count != "1" or meant != str(os.getpid()):
        return None
    listener = socket.socket(fileno=_FIRST_PASSED)
    # Only who has sent something is taken: a stopping server closes at once what it has taken and read nothing from.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, SILENT_S)
    return listener


_SERVER_LOGS: Final[dict[str, Any]] = {
    "handlers": {"forward": {"class": "api.logs.Forward"}},
    "loggers": {"_granian": {"handlers": ["forward"], "propagate": False}},
}
"""The server's own messages go the way of all others."""

_DATABASE_PATIENCE_S: Final = 15.0


def _refuse_taken(listen: Address) -> None:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            raise Invalid(
                f"Không mở được {listen.host}:{listen.port}: {error.strerror}.",
                f"Cannot listen on {listen.host}:{listen.port}: {error.strerror}.",
                code="cannot-listen",
                next_step=(
                    "Dừng tiến trình đang giữ cổng này, hoặc đổi MOTCUA_LISTEN.",
                    "Stop whatever holds this port, or change MOTCUA_LISTEN.",
                ),
            ) from None


async def _refuse_unreachable(settings: Settings) -> None:
    until = asyncio.get_running_loop().time() + _DATABASE_PATIENCE_S
    while True:
        try:
            pools = await open_pools(settings.database_url, read_size=1, write_size=1)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in words and the start is refused
            if as_kind(error) is None or asyncio.get_running_loop().time() > until:
                raise Invalid(
                    f"Không kết nối được cơ sở dữ liệu ({type(error).__name__}: {error}).",
                    f"Cannot reach the database ({type(error).__name__}: {error}).",
                    code="database-unreachable",
                    next_step=("Kiểm tra DATABASE_URL_APP.", "Check DATABASE_URL_APP."),
                ) from None
            await asyncio.sleep(0.5)
        else:
            await pools.close()
            return
