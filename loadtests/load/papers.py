"""Distinct real PDFs: set by the product's own Typst template and laid by its own hand, each for another citizen."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import msgspec

import signing
from api.documents.blobs import FileStore
from api.documents.typesetting import Sheet, Verify, render
from api.embedded.postgres import Progress
from api.signatures.laying import chosen
from loadtests.bench.ground import bar
from signing.contract import FieldPlan

_CHUNK: Final = 20


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A laid file in the store, the places laid in it, and the code that is printed on it."""

    sha256: bytes
    size: int
    plan: FieldPlan
    verify_code: str


def make_some(
    sheet: Sheet, template: str, fields: Sequence[str], mark: str | None, at: datetime, room: str, numbers: range
) -> list[tuple[str, Paper]]:
    """Set and lay these; runs in a process of its own."""
    made: list[tuple[str, Paper]] = []
    for n in numbers:
        code = sha256(f"load paper {n}".encode()).hexdigest()[:20]
        verify = None if sheet.verify is None else _verify(sheet.verify, code)
        body = {**sheet.body, "purpose": f"Đăng ký kết hôn, lượt {n}"}
        draft, target = f"{room}/draft-{n}.pdf", f"{room}/laid-{n}.pdf"
        rendered = render(template, msgspec.structs.replace(sheet, body=body, verify=verify), at, draft)
        if rendered.places is None:
            raise RuntimeError(f"paper {n} could not be set: {rendered.fault}")
        plan = chosen(rendered.places, fields)
        signing.lay_fields(draft, target, plan, mark=mark)
        content = Path(target).read_bytes()
        Path(draft).unlink()
        made.append((target, Paper(sha256=sha256(content).digest(), size=len(content), plan=plan, verify_code=code)))
    return made


def _verify(model: Verify, code: str) -> Verify:
    return Verify(code=code, url=model.url.replace(model.code, code), shown=model.shown.replace(model.code, code))


async def make_papers(
    blobs: FileStore, sheet: Sheet, template: str, fields: Sequence[str], mark: str | None, count: int, room: Path,
    say: Progress, at: datetime,
) -> list[Paper]:  # fmt: skip
    """Make so many in two processes and put them into the store."""
    loop, began, papers = asyncio.get_running_loop(), time.monotonic(), list[Paper]()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = [range(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
        work = [
            loop.run_in_executor(pool, make_some, sheet, template, list(fields), mark, at, str(room), part)
            for part in parts
        ]
        for part in asyncio.as_completed(work):
            for path, paper in await part:
                await blobs.put_file(Path(path))
                papers.append(paper)
            vi, en = bar(len(papers), count, time.monotonic() - began)
            say(vi.replace("hồ sơ", "tệp PDF"), en.replace("dossiers", "PDF files"))
    return sorted(papers, key=lambda paper: paper.sha256)
