"""The commands that measure: benchmarks, the load of a day, what it takes for so many inhabitants.

Each becomes a process of its own: the product never imports its load tests.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

BENCHES: Final = ("api", "audit", "backfill", "admission", "growth", "levers")
SHAPES: Final = (
    "before", "average", "merger-day", "day", "spike", "morning", "signing-storm", "portal-outage", "log-ins",
    "open", "soak", "break", "faults", "serve",
)  # fmt: skip
"""Those of `loadtests/load/shapes.py`; `serve` only keeps the product running on the data set."""


def _bench(options: argparse.Namespace) -> int:
    told = [f"--{name}" for name in ("json", "quick") if getattr(options, name)]
    return _start(f"bench.{options.name}", told + (["--dossiers", str(options.dossiers)] if options.dossiers else []))


def _load(options: argparse.Namespace) -> int:
    told = [options.shape]
    for name in ("users", "workers", "minutes", "rate", "host"):
        value = getattr(options, name)
        told += [f"--{name}", str(value)] if value is not None else []
    told += [word for fault in options.fault or () for word in ("--fault", fault)]
    told += [f"--{name}" for name in ("json", "web", "quick", "pinned") if getattr(options, name)]
    return _start("load", told)


def _capacity(options: argparse.Namespace) -> int:
    told = ["--inhabitants", str(options.inhabitants)]
    return _start("load.capacity", [*told, "--json"] if options.json else told)


def _start(module: str, told: list[str]) -> NoReturn:
    """Become that process, so that Ctrl-C and its exit status are its own."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"loadtests.{module}", *told])  # noqa: S606 - a module of ours


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", choices=BENCHES, help="đo gì / what to measure")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")
    command.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    command.add_argument("--dossiers", type=int, help="growth: bên nhiều có bao nhiêu / how many the larger one holds")


def _load_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("shape", choices=SHAPES, help="hình dạng; serve: chỉ chạy sản phẩm / shape, or serve")
    command.add_argument("--users", type=int, help="số người dùng lúc cao nhất / users at the peak")
    command.add_argument("--workers", type=int, help="tiến trình sinh tải, ít nhất 2 / generators, at least 2")
    command.add_argument("--minutes", type=float, help="giữ đỉnh bao lâu / how long the peak is held")
    command.add_argument("--rate", type=float, help="open: yêu cầu mỗi giây / requests a second")
    command.add_argument("--fault", action="append", help="chỉ sự cố này, lặp lại được / this fault; may be repeated")
    command.add_argument("--host", help="máy chủ do `serve` giữ / a product that `serve` keeps")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")
    command.add_argument("--web", action="store_true", help="trang của Locust ở cổng 8089 / Locust's own page")
    command.add_argument("--quick", action="store_true", help="chạy thử, dữ liệu nhỏ / a trial on a small data set")
    command.add_argument(
        "--pinned", action="store_true", help="mỗi bên một nhân / product and generators on a core each"
    )


def _capacity_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--inhabitants", type=int, required=True, help="số dân / inhabitants")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")


_Command = tuple[str, Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]
COMMANDS: Final[dict[str, _Command]] = {
    "bench": ("đo tốc độ / measure speed", _bench, _bench_options),
    "load": ("tải ngày sáp nhập, kiểm từng chữ ký / the merger's load", _load, _load_options),
    "capacity": ("cần gì cho bao nhiêu dân / what so many inhabitants take", _capacity, _capacity_options),
}
