"""Which processes run, and who started whom, as /proc tells."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def parents() -> dict[int, int]:
    """Return the parent of every process."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def descendants(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Return all that a process started, and what these started."""
    children = [child for child, parent in parents.items() if parent == pid]
    return [*children, *(further for child in children for further in descendants(child, parents))]


def words_of(pid: int) -> list[str]:
    """Return a process's command line; nothing where it has ended."""
    try:
        return [word for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0") if word]
    except OSError:
        return []


def threads_of(pids: Iterable[int]) -> Iterator[int]:
    """Give every thread of these processes, those that are alive."""
    for pid in pids:
        with contextlib.suppress(OSError):
            yield from [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
