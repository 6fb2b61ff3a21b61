"""How a user reaches the server: from the ward's own address, and for one in five over a slow line."""

import random
import socket
import time
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import gevent
import gevent.socket
from geventhttpclient.useragent import HTTPClientPool  # pyright: ignore[reportMissingTypeStubs]

_CHUNK: Final = 16_384
_BIND_ADDRESS_NO_PORT: Final = 24
"""IP_BIND_ADDRESS_NO_PORT of Linux: the port is chosen at connect, so one address has room for each destination."""


class Pace:
    """A slow line: round-trip time and bytes a second; it knows how long it has held its user up."""

    def __init__(self, rtt_s: float, bytes_per_s: float) -> None:
        self.rtt_s, self.bytes_per_s, self.slept_s = rtt_s, bytes_per_s, 0.0

    def trip(self) -> None:
        self._rest(self.rtt_s)

    def carry(self, count: int) -> None:
        self._rest(count / self.bytes_per_s)

    def _rest(self, seconds: float) -> None:
        began = time.perf_counter()
        gevent.sleep(seconds)
        self.slept_s += time.perf_counter() - began


class PacedSocket(gevent.socket.socket):
    """A socket on a slow line."""

    pace: Pace

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        self.pace.carry(len(data))
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        view = memoryview(data)
        self.pace.trip()
        for first in range(0, len(view), _CHUNK):
            part = view[first : first + _CHUNK]
            super().sendall(part, flags)
            self.pace.carry(len(part))


class Line(HTTPClientPool):
    """The connections of one user."""

    def __init__(self, source: str | None, pace: Pace | None, **kw: Any) -> None:
        super().__init__(**kw)
        self._source, self._pace = source, pace
        self._open: WeakSet[Any] = WeakSet()

    def cut(self) -> None:
        """End every connection at this end; whoever reads one finds its end."""
        for one in list(self._open):
            hang_up(one)

    def get_client(self, url: Any) -> Any:
        client = super().get_client(url)
        client._connection_pool._create_tcp_socket = self._socket  # noqa: SLF001 - the library's own hook
        return client

    def _socket(self, family: int, kind: int, protocol: int) -> Any:
        one: Any = gevent.socket.socket(family, kind, protocol)
        if self._pace is not None:
            one.close()
            one = PacedSocket(family, kind, protocol)
            one.pace = self._pace
        if self._source is not None and family == socket.AF_INET:
            one.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            one.bind((self._source, 0))
        self._open.add(one)
        return one


def hang_up(one: Any) -> None:
    """Shut a connection down in both directions; one that is closed already stays so."""
    with suppress(OSError, AttributeError):
        one.shutdown(socket.SHUT_RDWR)


def slow_line(chance: random.Random, rtt_s: tuple[float, float], bytes_per_s: tuple[float, float]) -> Pace:
    """Draw a slow line."""
    return Pace(chance.uniform(*rtt_s), chance.uniform(*bytes_per_s))
