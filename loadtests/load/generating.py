"""The generators' processes: Locust's master and workers for the closed model, our own for the open one."""

import asyncio
import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from api.embedded.ports import choose
from api.embedded.postgres import die_with_parent
from api.settings import Address
from loadtests.load.plan import VARIABLE
from loadtests.load.site import ROOT

LOCUSTFILE: Final = "loadtests/load/locustfile.py"
GRACE_S: Final = 90.0
AHEAD: Final = -10
"""The nice value of generators: whom they play sits elsewhere, at a machine of their own. They take no more of this one
than before, but wake in time, so that what is measured is the product's lateness and not theirs."""


def closed(workers: int, web_port: int, held: Sequence[str] = ()) -> list[list[str]]:
    """Return the commands of Locust's master and of its workers; `held` stands before each."""
    port = choose(Address("127.0.0.1", 0), insist=True).port
    common = [*held, sys.executable, "-m", "locust", "-f", LOCUSTFILE]
    master = [
        *common, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port),
        "--expect-workers", str(workers), "--only-summary", "--exit-code-on-error", "0",
    ]  # fmt: skip
    if web_port:
        master += ["--web-host", "127.0.0.1", "--web-port", str(web_port), "--autostart", "--autoquit", "5"]
    else:
        master += ["--headless"]
    worker = [*common, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
    return [master, *[worker] * workers]


def opened(workers: int) -> list[list[str]]:
    """Return the commands of the open model's processes, each of which has its part of what is due."""
    return [[sys.executable, "-m", "loadtests.load.arrivals", f"{part}/{workers}"] for part in range(workers)]


def ahead() -> bool:
    """Tell whether generators may go before what they measure: that takes a right."""
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - AHEAD


def told() -> str:
    """Return in what turn generators run, as a line that is printed with every result."""
    if ahead():
        return f"generators go before what they measure (nice {AHEAD}): who is played has a machine of their own"
    return "generators wait with what they measure for the same processors: no right to go before it"


def _beginning() -> Callable[[], None]:
    """Return what a generator does before it begins."""
    die, first = die_with_parent(signal.SIGTERM, os.getpid()), ahead()

    def begin() -> None:
        die()
        if first:
            os.setpriority(os.PRIO_PROCESS, 0, AHEAD)

    return begin


async def generate(commands: Sequence[Sequence[str]], plan: Path, out: Path, seconds: float) -> None:
    """Run the generators until the shape has ended.

    Raises:
        RuntimeError: one failed, or they did not end when the shape had.
    """
    environment = {**os.environ, VARIABLE: str(plan)}
    started: list[asyncio.subprocess.Process] = []
    try:
        for number, command in enumerate(commands):
            with (out / f"generator-{number}.log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *command, cwd=ROOT, env=environment, stdout=log, stderr=log,
                    preexec_fn=_beginning(),
                )  # fmt: skip
            started.append(process)
        async with asyncio.timeout(seconds + GRACE_S):
            ends = await asyncio.gather(*(process.wait() for process in started))
        if any(ends):
            raise RuntimeError(f"a generator ended with {ends}:\n{_last_words(out)}")
    except TimeoutError:
        raise RuntimeError(f"the generators did not end; their logs are in {out}") from None
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _last_words(out: Path) -> str:
    said = b"".join(path.read_bytes()[-2000:] for path in sorted(out.glob("generator-*.log")))
    return said.decode(errors="replace")
