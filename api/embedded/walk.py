"""One dossier through the five steps on site, over HTTP alone: what a new user sees the system do.

A citizen's request for a confirmation of marital status is received at the ward's counter, appraised, initialled and
signed by those who may, numbered and sealed, verified, and handed over. Any API of this product with the demo
province can be walked.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
from pyotp.totp import TOTP

from api.embedded.faults import LauncherError
from api.embedded.postgres import Progress
from api.embedded.province import Accounts, DemoAccount
from api.kernel import VIETNAM

WARD: Final = "kinhbac"
TERRITORY: Final = "09187"
PROCEDURE: Final = "1.004873"
PATIENCE_S: Final = 120.0
_ENDS: Final = frozenset({"recorded", "refused", "expired", "failed", "superseded"})

CITIZEN: Final[Mapping[str, Any]] = {
    "name": "Nguyễn Thị Hồng Nhung",
    "id_number": "024199001234",
    "phone": "0912345678",
    "address": "Khu 3, phường Kinh Bắc, tỉnh Bắc Ninh",
}

PAPER: Final[Mapping[str, Any]] = {
    "requester": CITIZEN["name"],
    "full_name": CITIZEN["name"],
    "birth_date": "15/3/1999",
    "sex": "Nữ",
    "ethnicity": "Kinh",
    "identity_paper": "Căn cước số 024199001234, Bộ Công an cấp ngày 10/02/2024",
    "residence": CITIZEN["address"],
    "status": "Chưa đăng ký kết hôn với ai",
    "purpose": "Đăng ký kết hôn",
}


class Refusal(Exception):
    """The server refused a step of the walk; `body` is its problem document."""

    def __init__(self, doing: str, status: int, body: Mapping[str, Any]) -> None:
        """Say which step and why."""
        super().__init__(f"{doing}: {status} {body.get('code')}: {body.get('detail')} / {body.get('detail_en')}")
        self.status = status
        self.body = body


class Desk:
    """One official at work: a session, and a fresh idempotency key for each intent."""

    patience_s = PATIENCE_S
    """Seconds for which this desk waits for others' work."""

    def __init__(self, web: aiohttp.ClientSession, account: DemoAccount) -> None:
        """Sit down; `log_in` opens the session."""
        self._web = web
        self.account = account
        self._headers: dict[str, str] = {}

    async def log_in(self) -> None:
        """Open a session."""
        secret = {"login": self.account.login, "password": self.account.password}
        opened = await self.call("POST", "/session", secret)
        self._headers = {"Authorization": f"Bearer {opened['token']}"}

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; a write carries a new Idempotency-Key.

        Raises:
            Refusal: any answer that is not a success.
        """
        headers = dict(self._headers)
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        async with self._web.request(method, path, json=body, headers=headers) as answer:
            content = await answer.json(content_type=None) if answer.content_length != 0 else None
            if answer.status >= 400:
                raise Refusal(f"{method} {path}", answer.status, content or {})
            return content

    async def fetch(self, path: str) -> bytes:
        """Download a file."""
        async with self._web.get(path, headers=self._headers) as answer:
            if answer.status >= 400:
                raise Refusal(f"GET {path}", answer.status, await answer.json(content_type=None))
            return await answer.read()

    async def upload(self, path: str, content: bytes) -> Any:
        """Send a file as it is."""
        headers = {**self._headers, "Idempotency-Key": secrets.token_hex(16), "Content-Type": "application/pdf"}
        async with self._web.post(path, data=content, headers=headers) as answer:
            body = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Refusal(f"POST {path}", answer.status, body)
            return body

    async def until(self, path: str, done: str, *values: str) -> Any:
        """Ask again until a field of the answer has one of these values.

        Raises:
            LauncherError: it took longer than the walk is patient.
        """
        deadline, pause = time.monotonic() + self.patience_s, 0.05
        while True:
            now = await self.call("GET", path)
            if now[done] in values:
                return now
            if time.monotonic() > deadline:
                raise LauncherError(f"Chờ quá lâu: {path} ({now[done]})", f"Waited too long: {path} ({now[done]})")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def waiting(self, document_id: str) -> dict[str, Any]:
        """Return what waits for this desk's signature or seal on a document, once its places are laid."""
        deadline = time.monotonic() + self.patience_s
        while time.monotonic() < deadline:
            page = await self.call("GET", "/signature-requests?limit=200")
            found = [item for item in page["items"] if item["document_id"] == document_id]
            if found:
                return found[0]
            await asyncio.sleep(0.1)
        raise LauncherError("Văn bản không đến danh sách chờ ký.", "The document never reached the list to sign.")

    async def sign(self, *items: Mapping[str, Any], lane: str = "normal") -> dict[str, Any]:
        """Sign or seal these with a fresh second factor, and wait for the ticket to finish.

        A code is good once: where one was just used, the next one is waited for.

        Raises:
            LauncherError: an item did not end recorded.
        """
        tries = 3
        while True:
            tries -= 1
            order = {
                "items": [{"request_id": item["id"], "sha256": item["sha256"]} for item in items],
                "code": TOTP(self.account.totp_secret).now(),
                "lane": lane,
            }
            accepted = await self.call("POST", "/signature-batches", order)
            ticket = await self.finished(accepted["ticket"])
            codes = {(item["detail"] or {}).get("code") for item in ticket["items"]}
            if not tries or codes != {"second-factor-replayed"}:
                return ticket
            await asyncio.sleep(30 - time.time() % 30 + 0.5)

    async def finished(self, ticket: str) -> dict[str, Any]:
        """Wait for a ticket's last item."""
        deadline = time.monotonic() + self.patience_s
        while True:
            now = await self.call("GET", f"/signature-batches/{ticket}")
            if now["finished_at"] is not None:
                return now
            if time.monotonic() > deadline:
                raise LauncherError(f"Lượt ký chưa xong: {now['stage_vi']}", f"The ticket is still {now['stage']}.")
            await asyncio.sleep(0.1)


def _demand_recorded(ticket: Mapping[str, Any]) -> None:
    for item in ticket["items"]:
        if item["stage"] != "recorded":
            why = item["detail"] or {}
            raise LauncherError(
                f"Chưa ký được: {why.get('vi', item['stage'])}", f"Not signed: {why.get('en', item['stage'])}"
            )


class Walk:
    """The desks of one ward and the public, and the steps between them."""

    def __init__(self, web: aiohttp.ClientSession, accounts: Accounts, say: Progress) -> None:
        """Seat the officials."""
        self._say = say
        self.citizen = aiohttp_json(web)
        self.counter, self.appraiser, self.head, self.chair, self.clerk = (
            Desk(web, accounts.of(f"{who}.{WARD}")) for who in ("tiepnhan", "thuly", "kynhay", "chutich", "vanthu")
        )

    async def log_in(self) -> None:
        """Open everybody's session."""
        await asyncio.gather(
            *(desk.log_in() for desk in (self.counter, self.appraiser, self.head, self.chair, self.clerk))
        )

    async def receive(self) -> dict[str, Any]:
        """Step 1, tiếp nhận: the counter takes the dossier in and hands it to the ward."""
        parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        order = {"procedure_code": PROCEDURE, "filer": dict(CITIZEN), "parts": parts, "territory_code": TERRITORY}
        filed = await self.counter.call("POST", "/dossiers", order)
        due = datetime.fromisoformat(filed["due_at"]).astimezone(VIETNAM).strftime("%H:%M %d/%m/%Y")
        self._say(
            f"1. Tiếp nhận: hồ sơ {filed['code']}, hẹn trả {due}", f"1. Received: dossier {filed['code']}, due {due}"
        )
        return filed

    async def appraise(self, filed: Mapping[str, Any]) -> dict[str, Any]:
        """Step 2, thẩm định: the appraiser confirms the hand-over, examines, drafts and submits for signature."""
        desk, code = self.appraiser, filed["code"]
        ward = (await desk.call("GET", "/session"))["posts"][0]["agency_id"]
        await self.counter.call("POST", f"/dossiers/{code}/steps/hand_over", {"facts": {"agency_id": ward}})
        await desk.call("POST", f"/dossiers/{code}/steps/confirm_hand_over", {"facts": {}})
        await desk.call("POST", f"/dossiers/{code}/steps/appraise", {"facts": {"note": "Đủ điều kiện"}})
        result = await desk.call("POST", f"/dossiers/{filed['id']}/results", {})
        document = await desk.call("POST", f"/results/{result['id']}/documents", {})
        order = {"template": "marital_status", "data": dict(PAPER)}
        draft = await desk.call("POST", f"/documents/{document['id']}/drafts", order)
        done = await desk.until(f"/drafts/{draft['id']}", "state", "done", "failed")
        if done["state"] == "failed":
            raise LauncherError(f"Không soạn được: {done['error']}", f"The draft failed: {done['error']}")
        await desk.call("POST", f"/documents/{document['id']}/chains", {})
        self._say("2. Thẩm định: đủ điều kiện, đã soạn dự thảo và trình ký", "2. Appraised, drafted, submitted")
        return {"result": result, "document": document}

    async def approve(self, document_id: str) -> None:
        """Step 3, phê duyệt: the head of division initials, the chairman signs, each with a second factor."""
        for desk, vi, en in ((self.head, "ký nháy", "initialled"), (self.chair, "ký số", "signed")):
            _demand_recorded(await desk.sign(await desk.waiting(document_id)))
            self._say(f"3. Phê duyệt: {desk.account.title} đã {vi}", f"3. Approved: {en} by {desk.account.login}")

    async def issue(self, document_id: str) -> str:
        """Step 4, cấp số và ký số của cơ quan: the clerk numbers, dates and seals."""
        ticket = await self.clerk.sign(await self.clerk.waiting(document_id), lane="counter")
        _demand_recorded(ticket)
        number = str(ticket["items"][0]["number_text"])
        self._say(f"4. Phát hành: số {number}, đã ký số của cơ quan", f"4. Issued: number {number}, sealed")
        return number

    async def deliver(self, filed: Mapping[str, Any], result_id: str) -> dict[str, Any]:
        """Step 5, trả kết quả: handed over at the counter, with proof."""
        proof = {"result_id": result_id, "channel": "counter", "received_by": "filer", "signed_for": True}
        delivered = await self.counter.call("POST", f"/dossiers/{filed['code']}/deliveries", proof)
        self._say(f"5. Trả kết quả: {delivered['status_vi']}", f"5. Delivered: {delivered['status']}")
        return delivered


def aiohttp_json(web: aiohttp.ClientSession) -> Any:
    """Return a function that reads a public address as JSON."""

    async def read(path: str) -> Any:
        async with web.get(path, headers={"Accept": "application/json"}) as answer:
            body = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Refusal(f"GET {path}", answer.status, body)
            return body

    return read


async def walk(base_url: str, accounts: Accounts, out_path: Path, say: Progress) -> None:
    """Walk one dossier through the five steps and save the verified result at `out_path`.

    Raises:
        LauncherError: a step was refused or the result did not verify; the text says which and why.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=60)
        web = await stack.enter_async_context(aiohttp.ClientSession(base_url, timeout=timeout))
        ward = Walk(web, accounts, say)
        try:
            await ward.log_in()
            filed = await ward.receive()
            made = await ward.appraise(filed)
            await ward.approve(made["document"]["id"])
            await ward.issue(made["document"]["id"])
            verdict = await ward.citizen(f"/verify/{made['result']['verify_code']}")
            content = await ward.clerk.fetch(f"/documents/{made['document']['id']}/file")
            await ward.deliver(filed, made["result"]["id"])
            tracked = await ward.citizen(f"/track/{filed['code']}")
        except Refusal as error:
            raise LauncherError(f"Buổi trình diễn dừng ở: {error}", f"The demonstration stopped at: {error}") from error
    if not verdict["ok"]:
        raise LauncherError("Kết quả không qua kiểm tra.", f"The result did not verify: {verdict}")
    await asyncio.to_thread(_save, out_path, content)
    took = time.monotonic() - began
    say(
        f"Kết quả đã ký và kiểm tra: {out_path} ({len(content) // 1024} KB, {took:.1f} giây)",
        f"Signed and verified: {out_path} ({len(content) // 1024} KB, {took:.1f} s)",
    )
    say(f"Công dân tra cứu thấy: {tracked['status_vi']}", f"The citizen's tracking says: {tracked['status']}")


def _save(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
