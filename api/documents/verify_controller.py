"""The verification routes: by the code on the paper, or by a file that somebody sends in. Anybody may ask."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from types import MappingProxyType
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter

from api.db.pools import Pools
from api.db.privacy import Vault
from api.documents import verification
from api.documents.blobs import BlobStore
from api.documents.controller import ANY_FILE, body_of, refuse_declared_excess
from api.documents.facts import Fact, Facts, SignedBy
from api.documents.verification import FileCheck
from api.errors import NotFound
from api.http.auth.guards import NO_KEY, PUBLIC
from api.http.openapi.answers import ANSWERS, BODY, Answer
from api.kernel import VIETNAM
from api.settings import Settings

PUBLIC_ROUTES: Final = frozenset({("GET", "/verify/{code}"), ("POST", "/verify"), ("GET", "/verify/checks/{check_id}")})
_CITIZENS: Final[Mapping[str, Any]] = MappingProxyType({PUBLIC: True, NO_KEY: True, "work": "citizens"})
_FILES: Final[Mapping[str, Any]] = MappingProxyType({PUBLIC: True, NO_KEY: True, "work": "uploads"})
_HEADERS: Final = {"Cache-Control": "no-store", "Vary": "Accept"}
_HTML: Final = "text/html; charset=utf-8"
_MARKS: Final = {"yes": "✓", "no": "✗", "unknown": "?"}
_STYLE: Final = (
    "body{font:16px/1.5 serif;max-width:44em;margin:2em auto;padding:0 1em;color:#111}"
    "table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #bbb;padding:.5em;text-align:left;"
    "vertical-align:top}.mark{font-size:1.4em}.yes{color:#14613a}.no{color:#a11a1a}.unknown{color:#6b5a00}"
    "[lang=en]{color:#555;font-size:.9em}.small{font-size:.8em;word-break:break-all}"
    ".demo{color:#a11a1a;font-weight:bold;font-size:1.3em}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_HEADERS: Final = {
    **_HEADERS,
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'",
}
"""The page needs its own style and nothing else: no script, no picture, no other site."""


class VerifyController(Controller):
    """Kiểm tra văn bản / verification."""

    path = "/verify"
    tags: Sequence[str] | None = ("public",)

    @get(
        "/{code:str}",
        opt={
            **_CITIZENS,
            ANSWERS: (
                Answer(status=200, kind=Facts),
                Answer(status=200, media_type="text/html", text="<!doctype html>…"),
                Answer(status=404, media_type="text/html", text="<!doctype html>…"),
            ),
        },
        summary="Kiểm tra theo mã / Verify by code",
    )
    async def by_code(
        self, request: Request[Any, Any, Any], pools: Pools, code: Annotated[str, Parameter(max_length=40)]
    ) -> Response[Any]:
        """Return the four facts as JSON, or as a page to a browser."""
        html = wants_html(request.headers.get("accept"))
        try:
            facts = await verification.by_code(pools, code)
        except NotFound as error:
            if not html:
                raise
            body = _shell(f"<p>{escape(error.vi)}</p><p lang=en>{escape(error.en)}</p>")
            return Response(body, status_code=404, media_type=_HTML, headers=_PAGE_HEADERS)
        if html:
            return Response(page(facts), media_type=_HTML, headers=_PAGE_HEADERS)
        return Response(facts, headers=_HEADERS)

    @post(
        "/",
        opt={
            **_FILES,
            BODY: ANY_FILE,
            ANSWERS: (Answer(status=202, kind=FileCheck, headers=("Location",)),),
        },
        status_code=202,
        request_max_body_size=None,
        summary="Kiểm tra tệp / Verify a file",
    )
    async def file(
        self, request: Request[Any, Any, Any], pools: Pools, blobs: BlobStore, settings: Settings, at: datetime
    ) -> Response[FileCheck]:
        """Take a PDF as the body and order its verification; ask for the result under /verify/checks/{id}."""
        limit = settings.max_upload_mb << 20
        refuse_declared_excess(request, limit)
        stored = await blobs.put_stream(body_of(request), limit=limit)
        async with pools.transaction() as tx:
            check = await verification.order_check(tx, stored, at)
        return Response(check, headers={**_HEADERS, "Location": f"/verify/checks/{check.id}"})

    @get("/checks/{check_id:uuid}", opt=_CITIZENS, summary="Kết quả kiểm tra tệp / Result of a verification")
    async def check(self, pools: Pools, vault: Vault, check_id: UUID) -> Response[FileCheck]:
        """Return where the verification of a file stands."""
        return Response(await verification.show_check(pools, vault, check_id), headers=_HEADERS)


def wants_html(accept: str | None) -> bool:
    """Tell whether a browser asks: HTML is named, and JSON is not named before it."""
    text = accept or ""
    html, json = text.find("text/html"), text.find("application/json")
    return html >= 0 and (json < 0 or html < json)


def page(facts: Facts) -> str:
    """Return the four facts as a small page that needs nothing else."""
    head = [f"<h1>{escape(facts.title or 'Kiểm tra văn bản')}</h1>"]
    if facts.number and facts.day:
        head.append(f"<p>Số {escape(facts.number)}, ngày {facts.day:%d/%m/%Y}, {escape(facts.agency or '')}</p>")
    if facts.demo:
        head.append("<p class=demo>CHỈ ĐỂ THỬ <span lang=en>(demonstration)</span></p>")
    rows = [
        _row("1. Toàn vẹn", "untouched", facts.untouched),
        _row("2. Ai ký", "signed by", facts.signed),
        _row("3. Thẩm quyền khi ký", "competent at that time", facts.competent),
        _row("4. Còn hiệu lực", "still in force", facts.in_force),
    ]
    signers = "".join(_signer(one) for one in facts.signatures)
    links = "".join(
        f'<li>{escape(link.kind)}: <a href="/verify/{escape(link.verify_code)}">{escape(link.verify_code)}</a>'
        f", {escape(link.legal_basis)}</li>"
        for link in facts.links
    )
    digest = f"<p class=small>SHA-256: {facts.sha256}</p>" if facts.sha256 else ""
    table = f"<table>{''.join(rows)}</table>"
    return _shell("".join(head) + table + f"<ul>{signers}</ul>" + (f"<ul>{links}</ul>" if links else "") + digest)


def _row(name: str, english: str, fact: Fact) -> str:
    return (
        f'<tr><td class="mark {fact.state}">{_MARKS[fact.state]}</td><th>{name}<br><span lang=en>{english}</span></th>'
        f"<td>{escape(fact.vi)}<br><span lang=en>{escape(fact.en)}</span></td></tr>"
    )


def _signer(one: SignedBy) -> str:
    when = f"{one.signed_at.astimezone(VIETNAM):%H:%M:%S %d/%m/%Y} +07:00" if one.signed_at else ""
    titles = ", ".join(one.title_lines)
    said = f"<b>{escape(one.name)}</b> {escape(titles)} ({escape(one.organisation)}) {when}"
    return f"<li>{said}<br>{escape(one.summary_vi)} <span lang=en>{escape(one.summary_en)}</span></li>"


def _shell(body: str) -> str:
    return (
        '<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>Kiểm tra văn bản</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )
