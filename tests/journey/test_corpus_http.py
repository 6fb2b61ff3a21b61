"""Every real file beside the repository over HTTP: the good are signed and sealed by a remote signer and judged from
outside, the encrypted are refused with a remedy, the broken are mended or refused, and nothing stops the worker."""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.embedded.walk import CITIZEN, PROCEDURE, TERRITORY, Refusal
from tests.dossier_ground import copied
from tests.looks import assert_same_look
from tests.paper import mutool_says, openssl_accepts, pdfsig_valid, split
from tests.server import Official, Server, officials, serving

pytestmark = pytest.mark.timeout(600)

PDFS = Path(__file__).resolve().parents[3] / "shared" / "data" / "pdfs"
AT_ONCE = 4
CHECK_LIMIT_S = 60.0
ENDED = ("accepted", "refused")
MENDED = [
    PDFS / "repairable" / name
    for name in (
        "openpdf-PDF 2.0 with offset start.pdf",
        "pyhanko-minimal-hybrid-xref.pdf",
        "pyhanko-minimal-startxref-hopeless.pdf",
    )
]
"""Some that are rewritten before they are signed; they must look as they came."""


def named(folder: str) -> list[Path]:
    return sorted((PDFS / folder).glob("*.pdf"))


def cases(folder: str) -> list[Any]:
    return [pytest.param(path, id=path.stem[-60:]) for path in named(folder)]


class Paper:
    """One file on its way; `fault` says in words where the way ended early."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.fault = ""
        self.document = ""
        self.numbers: list[str] = []
        self.sealed: Path | None = None


@pytest_asyncio.fixture(scope="module")
async def server(cluster, province, tmp_path_factory):
    room = tmp_path_factory.mktemp("corpus")
    async with copied(cluster, province.database) as database, serving(database, province, room) as server:
        yield server


async def uploaded(desk: Official, source: Path, profile: str = "to_sign") -> dict[str, Any]:
    """Upload a file and wait for the end of its check, no longer than it may take."""
    received = await desk.upload(f"/uploads?profile={profile}", source.read_bytes())
    async with asyncio.timeout(CHECK_LIMIT_S):
        return await desk.until(f"/uploads/{received['id']}", "state", *ENDED)


async def submitted(counter: Official, drafter: Official, paper: Paper) -> None:
    """Take a file from its upload to the list of whoever signs first."""
    upload = await uploaded(drafter, paper.source)
    if upload["state"] != "accepted":
        paper.fault = f"refused at upload: {upload['problems']}"
        return
    parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
    filing = {"procedure_code": PROCEDURE, "filer": CITIZEN, "parts": parts, "territory_code": TERRITORY}
    filed = await counter.call("POST", "/dossiers", filing)
    steps = f"/dossiers/{filed['code']}/steps"
    ward = (await drafter.call("GET", "/session"))["posts"][0]["agency_id"]
    await counter.call("POST", f"{steps}/hand_over", {"facts": {"agency_id": ward}})
    await drafter.call("POST", f"{steps}/confirm_hand_over", {"facts": {}})
    await drafter.call("POST", f"{steps}/appraise", {"facts": {}})
    result = await drafter.call("POST", f"/dossiers/{filed['id']}/results", {})
    document = await drafter.call("POST", f"/results/{result['id']}/documents", {})
    paper.document = document["id"]
    draft = await drafter.call("POST", f"/documents/{paper.document}/drafts", {"upload_id": upload["id"]})
    done = await drafter.until(f"/drafts/{draft['id']}", "state", "done", "failed")
    if done["state"] == "failed":
        paper.fault = f"no draft: {done['error']}"
        return
    await drafter.call("POST", f"/documents/{paper.document}/chains", {})


async def submit_all(counter: Official, drafter: Official, papers: Iterable[Paper]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(paper: Paper) -> None:
        async with turn:
            try:
                await submitted(counter, drafter, paper)
            except (Refusal, TimeoutError) as error:
                paper.fault = f"not submitted: {error!r}"

    await asyncio.gather(*(one(paper) for paper in papers))


async def sign_all(desk: Official, papers: list[Paper]) -> None:
    """Sign in one ask whatever of these waits for a desk; what does not come to wait or to be recorded is at fault."""
    listed: dict[str, Any] = {}
    wanted = {paper.document: paper for paper in papers if not paper.fault}
    deadline = time.monotonic() + CHECK_LIMIT_S
    while not listed.keys() >= wanted.keys() and time.monotonic() < deadline:
        page = await desk.call("GET", "/signature-requests?limit=200")
        listed = {item["document_id"]: item for item in page["items"]}
        await asyncio.sleep(0.2)
    for document, paper in wanted.items():
        if document not in listed:
            paper.fault = f"never came to {desk.account.login}"
    waiting = [listed[document] for document in wanted if document in listed]
    assert waiting, [paper.fault for paper in papers]
    ticket = await desk.sign(*waiting)
    for item in ticket["items"]:
        paper = wanted[item["document_id"]]
        paper.numbers += [item["number_text"]] if item["number_text"] else []
        if item["stage"] != "recorded":
            paper.fault = f"{desk.account.login}: {item['stage']} {item['detail']}"


@pytest_asyncio.fixture(scope="module")
async def signed(server: Server) -> dict[Path, Paper]:
    """Every good file, and some that are mended, from upload to seal: one ask for all of each kind of signature."""
    papers = [Paper(source) for source in (*named("good"), *MENDED)]
    async with officials(server, "tiepnhan", "thuly", "kynhay", "chutich", "vanthu") as desks:
        counter, drafter, head, chair, clerk = desks
        await submit_all(counter, drafter, papers)
        for desk in (head, chair, clerk):
            await sign_all(desk, papers)
        room = server.room / "sealed"
        room.mkdir()
        for number, paper in enumerate(papers):
            if not paper.fault:
                paper.sealed = room / f"{number}.pdf"
                paper.sealed.write_bytes(await clerk.fetch(f"/documents/{paper.document}/file"))
    return {paper.source: paper for paper in papers}


async def assert_all_alive(server: Server) -> None:
    """Every process is the one that was started, and answers."""
    assert server.living() == {"api", "signer", "worker"}
    async with httpx.AsyncClient(timeout=10) as web:
        for name, port in server.ports.items():
            answer = await web.get(f"http://127.0.0.1:{port}/readyz")
            assert answer.status_code == 200, f"{name}: {answer.text}"


@pytest.mark.parametrize("path", [*cases("good"), *(pytest.param(path, id=path.stem) for path in MENDED)])
async def test_a_file_is_signed_and_sealed_and_everybody_agrees(server, signed, path, tmp_path):
    paper = signed[path]
    assert not paper.fault
    await asyncio.to_thread(judge, paper, server.keys / "root.pem", tmp_path)


def judge(paper: Paper, root: Path, room: Path) -> None:
    """Have poppler, MuPDF and openssl judge both signatures, and compare the pages with those uploaded."""
    assert pdfsig_valid(paper.sealed) == 2
    assert mutool_says(paper.sealed) == ["edits since", "unchanged since"]
    parts = split(paper.sealed, room)
    assert [openssl_accepts(*part, room, root, datetime.now(UTC)) for part in parts] == [True, True]
    assert_same_look(paper.source, paper.sealed, room)


async def test_each_has_a_number_of_its_own_and_each_key_was_used_once(server, signed):
    numbers = [number for paper in signed.values() for number in paper.numbers]
    assert len(set(numbers)) == len(numbers) == len(signed)
    uses = await server.database.admin.fetch("SELECT count(*) FROM key_use GROUP BY request_id")
    assert [row["count"] for row in uses] == [1] * 2 * len(signed)
    await assert_all_alive(server)


@pytest.mark.parametrize("profile", ["to_sign", "handed_in"])
async def test_encrypted_files_are_refused_with_a_reason_and_a_remedy(server, profile):
    async with officials(server, "thuly") as (desk,):
        ends = await asyncio.gather(*(uploaded(desk, path, profile) for path in named("refused")))
    assert len(ends) == len(named("refused")) > 0
    for path, end in zip(named("refused"), ends, strict=True):
        assert end["state"] == "refused", path.name
        assert [problem["code"] for problem in end["problems"]] == ["encrypted"], path.name
        assert_said_in_both_languages(end)
    await assert_all_alive(server)


async def test_broken_files_are_mended_or_refused_and_stop_nothing(server):
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(desk: Official, path: Path) -> dict[str, Any]:
        async with turn:
            return await uploaded(desk, path)

    paths = named("repairable")
    async with officials(server, "thuly") as (desk,):
        ends = await asyncio.gather(*(one(desk, path) for path in paths))
    seen = {end["state"] for end in ends}
    assert seen == set(ENDED)
    for path, end in zip(paths, ends, strict=True):
        if end["state"] == "refused":
            assert end["problems"], path.name
            assert "parked" not in {problem["code"] for problem in end["problems"]}, path.name
            assert_said_in_both_languages(end)
        else:
            assert end["repaired"] == (end["accepted_sha256"] != end["sha256"]), path.name
    assert await server.database.admin.fetchval("SELECT count(*) FROM upload WHERE state = 'checking'") == 0
    await assert_all_alive(server)


def assert_said_in_both_languages(end: dict[str, Any]) -> None:
    for problem in end["problems"]:
        assert all(problem[word] for word in ("vi", "en", "remedy_vi", "remedy_en")), problem
