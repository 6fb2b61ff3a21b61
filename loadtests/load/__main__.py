"""`motcua load SHAPE`: prepare, start what is not running, run, check every signature, and end with a verdict."""

import argparse
import asyncio
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import uvloop

from loadtests.load import faults, history, report
from loadtests.load.run import RATE, VAR, Order, fresh, load_once, make_plan, product, write_plan
from loadtests.load.shapes import SHAPES
from loadtests.load.verdict import Evidence, Finding, Verdict, compare, judge

SERVE: Final = "serve"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    verdict: str
    findings: tuple[Finding, ...]
    evidence: Evidence
    page: str


def conclude(evidence: Evidence, reports: Path) -> tuple[str, Outcome]:
    """Judge, compare with the history, and write the reports; return the text and the outcome."""
    verdict: Verdict = judge(evidence)
    entries = history.read(reports / history.HISTORY.name)
    before = None if evidence.quick else history.last_like(entries, evidence)
    against = compare(evidence, before.evidence) if before is not None and not verdict.void else ()
    other = history.other_model(entries, evidence)
    word = report.verdict_line(verdict, against)
    reports.mkdir(parents=True, exist_ok=True)
    name = f"{evidence.shape}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    page = reports / f"{name}.html"
    page.write_text(report.page(evidence, verdict, against, other), encoding="utf-8")
    told = report.text(evidence, verdict, against, other)
    outcome = Outcome(verdict=word, findings=(*verdict.findings, *against), evidence=evidence, page=str(page))
    (reports / f"{name}.txt").write_text(told, encoding="utf-8")
    (reports / f"{name}.json").write_bytes(msgspec.json.encode(outcome))
    if not evidence.quick:
        history.add(word, evidence, reports / history.HISTORY.name)
    return told, outcome


async def serve(order: Order, root: Path) -> None:
    """Keep a product running on the data set, for Locust's own page, other machines, and `--host`."""
    async with product(order, root, _say) as place:
        owner = await asyncpg.connect(place.dsn)
        plan = write_plan(root, await make_plan(order, place, owner, fresh(root / "run" / "out")))
        await owner.close()
        kept = root / "run" / "place.json"
        kept.touch(mode=0o600)
        kept.write_bytes(msgspec.json.encode(place))
        try:
            _say(f"Đang chạy ở {place.url}; Ctrl-C để dừng", f"Running at {place.url}; Ctrl-C stops it")
            sys.stderr.write(f"  motcua load SHAPE --host {place.url}\n")
            sys.stderr.write(f"  MOTCUA_LOAD_PLAN={plan} locust -f loadtests/load/locustfile.py\n")
            await _told_to_stop()
        finally:
            kept.unlink()


async def _told_to_stop() -> None:
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    await told.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run and print; the exit status is 0 for PASS, 1 for FAIL, 3 where the run does not count."""
    told = _options(arguments)
    shape = "average" if told.shape == SERVE else told.shape
    order = Order(
        shape=shape,
        users=told.users or (40 if told.quick else SHAPES[shape].peak),
        workers=max(2, told.workers),
        minutes=told.minutes if told.minutes is not None else (0.25 if told.quick else SHAPES[shape].minutes),
        quick=told.quick,
        host=told.host,
        web_port=8089 if told.web else 0,
        held=told.pinned,
        history=told.reports / history.HISTORY.name,
        rate=told.rate or (50.0 if told.quick else RATE),
        named=tuple(told.fault or ()),
    )
    if told.shape == SERVE:
        uvloop.run(serve(order, told.root))
        return 0
    text, outcome = conclude(uvloop.run(load_once(order, told.root, _say)), told.reports)
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n" if told.json else text)
    _say(f"Báo cáo: {outcome.page}", f"Report: {outcome.page}")
    return {"PASS": 0, "VOID": 3}.get(outcome.verdict, 1)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="motcua load", description=__doc__)
    parser.add_argument("shape", choices=(*SHAPES, SERVE), help="hình dạng; serve: chỉ chạy sản phẩm / shape, or serve")
    parser.add_argument("--users", type=int, default=0, help="số người dùng lúc cao nhất / users at the peak")
    parser.add_argument("--workers", type=int, default=2, help="tiến trình sinh tải / generators, at least 2")
    parser.add_argument("--rate", type=float, default=0.0, help="open: yêu cầu mỗi giây / requests a second")
    names = ", ".join(fault.name for fault in faults.FAULTS)
    parser.add_argument("--fault", action="append", help=f"chỉ sự cố này / this fault alone; may be repeated: {names}")
    parser.add_argument("--host", default="", help="máy chủ do `serve` giữ / a product that `serve` keeps")
    parser.add_argument("--minutes", type=float, help="giữ đỉnh bao lâu / how long the peak is held")
    parser.add_argument(
        "--pinned", action="store_true", help="mỗi bên một nhân / product and generators on a core each"
    )
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--web", action="store_true", help="trang của Locust ở cổng 8089 / Locust's own page")
    parser.add_argument("--quick", action="store_true", help="chạy thử, dữ liệu nhỏ / a trial on a small data set")
    parser.add_argument("--root", type=Path, default=VAR, help="nơi để dữ liệu / where the data are kept")
    parser.add_argument("--reports", type=Path, default=history.REPORTS, help="nơi để báo cáo / where reports go")
    return parser.parse_args(arguments)


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
