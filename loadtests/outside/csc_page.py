"""The page of the CSC service on which a person authorises (OAuth 2.0 with PKCE), and the exchange of its code.

A code is good once, for its verifier and its redirect address, and for a minute; a second use takes back the SAD that
the first one gave. The page is a form with two buttons: `press` and `bring_back` are a browser without a head.
"""

import base64
import hashlib
import html
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

SHA256 = "2.16.840.1.101.3.4.2.1"


class Asked(msgspec.Struct, kw_only=True):
    """What a page was opened with, and what became of it."""

    ticket: str
    version: str
    credential: str
    hashes: list[str]
    redirect_uri: str
    state: str
    challenge: str
    code: str = ""
    code_ends: float = 0.0
    redeemed: bool = False


class PageFault(Exception):
    """What is wrong with a request to the page; shown to the person, and never sent on to anybody."""


class Pages:
    """The authorisation server's side: what was pushed, what is open, which codes were given."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.pushed: dict[str, dict[str, str]] = {}
        self.by_ticket: dict[str, Asked] = {}

    def push(self, asked: Mapping[str, str]) -> str:
        """Keep what will be asked; return its name for the page."""
        name = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
        self.pushed[name] = dict(asked)
        return name

    def open(self, version: str, query: Mapping[str, str], most: int, redirect_uris: list[str]) -> Asked:
        """Check what a browser came with; raise PageFault for anything that is missing or does not fit."""
        if query.get("client_id") != self.client_id:
            raise PageFault("unknown client")
        if "request_uri" in query:
            query = self.pushed.pop(query["request_uri"], {})
        wanted = {"response_type": "code", "scope": "credential", "code_challenge_method": "S256"}
        if any(query.get(name) != value for name, value in wanted.items()):
            raise PageFault(f"wanted: {wanted}")
        if redirect_uris and query.get("redirect_uri") not in redirect_uris:
            raise PageFault("the redirect address is not registered")
        if version == "2" and query.get("hashAlgorithmOID") != SHA256:
            raise PageFault("hashAlgorithmOID")
        hashes = [_plain_base64(one) for one in query["hash" if version == "1" else "hashes"].split(",")]
        if int(query["numSignatures"]) != len(hashes) or len(hashes) > most:
            raise PageFault("numSignatures")
        asked = Asked(
            ticket=secrets.token_urlsafe(16), version=version, credential=query["credentialID"], hashes=hashes,
            redirect_uri=query["redirect_uri"], state=query["state"], challenge=query["code_challenge"],
        )  # fmt: skip
        self.by_ticket[asked.ticket] = asked
        return asked

    def redeem(self, form: Mapping[str, Any]) -> Asked | None:
        """Return what a code was given for; None where it is not taken. A second use finds it redeemed."""
        code = form.get("code")
        asked = next((one for one in self.by_ticket.values() if one.code and one.code == code), None)
        if asked is None or time.monotonic() > asked.code_ends or form.get("redirect_uri") != asked.redirect_uri:
            return None
        given = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        return asked if base64.urlsafe_b64encode(given).rstrip(b"=").decode() == asked.challenge else None


def form_of(asked: Asked) -> web.Response:
    """Return the page: how many documents are signed, and two buttons."""
    text = (
        f"<!doctype html><meta charset=utf-8><p>{len(asked.hashes)} văn bản / documents</p>"
        f'<form method="post" action="decision"><input type="hidden" name="ticket" value="{html.escape(asked.ticket)}">'
        '<button name="press" value="confirm">Xác nhận</button>'
        '<button name="press" value="refuse">Từ chối</button></form>'
    )
    return web.Response(text=text, content_type="text/html")


def sent_back(asked: Asked, said: Mapping[str, str]) -> web.Response:
    """Send the browser back to the client."""
    address = f"{asked.redirect_uri}?{urlencode({**said, 'state': asked.state})}"
    return web.Response(status=302, headers={"Location": address})


def _plain_base64(text: str) -> str:
    return base64.b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()


async def press(browser: aiohttp.ClientSession, url: str, button: str = "confirm") -> str:
    """Open a page as a person's browser does, press a button, and return the address that it leads back to.

    Raises:
        ValueError: the page shows no form, or leads nowhere.
    """
    async with browser.get(url, allow_redirects=False) as shown:
        page = await shown.text()
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    if ticket is None:
        raise ValueError(f"no form: {shown.status} {page[:200]}")
    decision = str(shown.url.with_query(None)).rpartition("/")[0] + "/decision"
    async with browser.post(
        decision, data={"ticket": ticket.group(1), "press": button}, allow_redirects=False
    ) as answer:
        if answer.status != 302:
            raise ValueError(f"{answer.status} {await answer.text()}")
        return answer.headers["Location"]


async def bring_back(product: aiohttp.ClientSession, address: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Follow the provider's redirect into the product, as a browser does that sends its session only from there on.

    Returns the status and the body of the last answer.
    """
    back = urlsplit(address)
    async with product.get(URL(f"{back.path}?{back.query}", encoded=True)) as stone:
        onwards = stone.headers.get("Refresh", "").partition("url=")[2]
        if stone.status != 200 or not onwards.startswith("/"):
            return stone.status, await stone.json(content_type=None)
    async with product.get(URL(onwards, encoded=True), headers=headers) as taken:
        return taken.status, await taken.json(content_type=None)
