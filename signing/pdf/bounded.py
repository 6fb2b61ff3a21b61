"""A pool of processes for PDF work that a hostile file can neither hang nor exhaust nor take down.

Each worker has one pipe and one task at a time. A task that runs over its time, or whose process dies, costs that
process and nobody else's work; a new one is started in its place. The standard library's pool is not used because
one killed worker breaks all of its tasks. Workers are spawned, never forked, and die with their parent.
"""

import asyncio
import ctypes
import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec

from signing import turns
from signing.errors import Crashed, SigningError, TimedOut

_R = TypeVar("_R")
_SET_DEATH_SIGNAL: Final = 1
_GIB: Final = 1024**3
_JOIN_S: Final = 5.0
_START_S: Final = 60.0


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker may use: bytes of address space, processor seconds per task, and tasks before it is renewed."""

    memory_bytes: int = 2 * _GIB
    cpu_s_per_task: int = 60
    tasks: int = 20_000


def _confine(bounds: Bounds, parent: int) -> None:
    """Die with the parent, ignore Ctrl-C (the parent decides), let pass who wakes, take no more memory than allowed."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turns.stand_back(niceness=turns.BEHIND)
    resource.setrlimit(resource.RLIMIT_AS, (bounds.memory_bytes, bounds.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_cpu(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _serve(channel: multiprocessing.connection.Connection, bounds: Bounds, parent: int) -> None:
    """Answer tasks until the pipe closes; what takes long to import is there before the first one."""
    _confine(bounds, parent)
    importlib.import_module("signing").load()
    gc.freeze()  # what stands since the start is not looked through again and again: a quarter of a verification
    with suppress(EOFError, OSError):
        channel.send((True, None))
        while True:
            work, args, kwargs = channel.recv()
            _allow_cpu(bounds.cpu_s_per_task)
            channel.send(_attempt(work, args, kwargs))


def _attempt(work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    try:
        return True, work(*args, **kwargs)
    except SigningError as error:
        return False, error
    except MemoryError:
        return False, Crashed("Tệp cần quá nhiều bộ nhớ để xử lý", "The file takes more memory than it may")
    except Exception as error:  # noqa: BLE001  what cannot be pickled must not kill the worker
        return False, Crashed("Lỗi khi xử lý tệp", f"The work failed: {type(error).__name__}: {error}"[:300])


class _Worker:
    """One process with its end of the pipe; used by one task at a time."""

    def __init__(self, bounds: Bounds) -> None:
        context = multiprocessing.get_context("spawn")
        self.channel, theirs = context.Pipe()
        self.done = 0
        self.process = context.Process(
            target=_serve, args=(theirs, bounds, os.getpid()), daemon=True, name="signing-worker"
        )
        self.process.start()
        theirs.close()
        self.ready = False

    def end(self) -> None:
        """Kill the process and collect it, so that no zombie stays."""
        self.process.kill()
        self.process.join(_JOIN_S)
        self.process.close()
        self.channel.close()


class BoundedPool:
    """Runs picklable functions in `size` processes; `run` is awaited from one event loop.

    Use `async with BoundedPool(2) as pool: await pool.run(signing.verify, path, trust, at=at, timeout_s=30)`.
    Tasks beyond `size` wait their turn in order; waiting does not count against `timeout_s`.
    """

    def __init__(self, size: int, *, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._size = size
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        self._all: set[_Worker] = set()
        self._closed = False
        self._lost = 0
        for _ in range(size):
            self._idle.put_nowait(None)

    async def __aenter__(self) -> "BoundedPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def size(self) -> int:
        """How many tasks run at once."""
        return self._size

    @property
    def busy(self) -> int:
        """How many tasks run now."""
        return self._size - self._idle.qsize()

    @property
    def lost(self) -> int:
        """How many processes died or were ended in mid-task since the start."""
        return self._lost

    async def run(self, work: Callable[..., _R], *args: Any, timeout_s: float, **kwargs: Any) -> _R:
        """Run one task; raise TimedOut or Crashed, the task's own SigningError, or return its result.

        Cancelling the caller ends the worker's process, since a half-done task cannot be taken back.
        """
        worker = await self._idle.get()
        kept: _Worker | None = None
        try:
            if self._closed:
                raise Crashed("Dịch vụ xử lý tệp đang dừng", "The pool is closed")
            if worker is None:
                worker = await asyncio.to_thread(self._start)
            answered, answer = await self._ask(worker, (work, args, kwargs), timeout_s)
            worker.done += 1
            kept = worker if worker.done < self._bounds.tasks else None
        finally:
            if kept is None and worker is not None:
                self._lost += worker.done < self._bounds.tasks and not self._closed
                await self._discard(worker)
            self._idle.put_nowait(kept)
        if answered:
            return answer
        raise answer

    def _start(self) -> _Worker:
        worker = _Worker(self._bounds)
        self._all.add(worker)
        return worker

    async def _ask(self, worker: _Worker, task: tuple[Any, ...], timeout_s: float) -> tuple[bool, Any]:
        try:
            if not worker.ready:
                await self._receive(worker, _START_S)
                worker.ready = True
            await asyncio.to_thread(worker.channel.send, task)
            return await self._receive(worker, timeout_s)
        except TimeoutError:
            raise TimedOut("Xử lý tệp quá thời gian cho phép", f"The work took longer than {timeout_s:g} s") from None
        except (EOFError, OSError) as error:
            raise Crashed("Tiến trình xử lý tệp bị dừng đột ngột", "The process that did the work died") from error

    async def _receive(self, worker: _Worker, timeout_s: float) -> tuple[bool, Any]:
        """Wait for the pipe without a thread, so that a hung worker holds nothing of ours."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[None] = loop.create_future()
        descriptor = worker.channel.fileno()
        loop.add_reader(descriptor, lambda: readable.done() or readable.set_result(None))
        try:
            await asyncio.wait_for(readable, timeout_s)
        finally:
            loop.remove_reader(descriptor)
            os.set_blocking(descriptor, True)  # uvloop leaves it so that a long message cannot be read in one go
        return await asyncio.wait_for(asyncio.to_thread(worker.channel.recv), timeout_s)

    async def _discard(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await asyncio.shield(asyncio.to_thread(worker.end))

    async def close(self) -> None:
        """End all workers; tasks under way and waiting raise Crashed."""
        self._closed = True
        for worker in list(self._all):
            worker.process.kill()
        slots = [await self._idle.get() for _ in range(self._size)]
        for worker in slots:
            if worker is not None:
                await self._discard(worker)
            self._idle.put_nowait(None)
