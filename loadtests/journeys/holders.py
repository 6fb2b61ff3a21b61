"""The key holders a journey can be made with: what each needs outside, and what the signer is told of it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from api.embedded.pki import Index
from api.embedded.postgres import die_with_parent
from loadtests.chaos.product import ROOT
from loadtests.outside.hsm import SoftToken

KINDS: Final = {
    "software": ("software",),
    "pkcs11": ("pkcs11",),
    "csc": ("csc-v1", "csc-v2", "csc-page-v1", "csc-page-v2"),
    "sp769": ("sp769",),
    "vtss": ("vtss",),
    "upload": ("upload",),
}
"""What may be asked for, and the holders it stands for."""
BY_PAGE: Final = "-page"
"""What the name of a holder says whose persons authorise on the provider's page."""
BY_ID: Final = frozenset({"software", "pkcs11"})
"""These know a key by our id; the others by its certificate's serial number."""


class World:
    """Everything outside the product: servers, a token, certificates in files; it ends with the block."""

    def __init__(self, stack: contextlib.AsyncExitStack, room: Path, pki: Path, product_url: str) -> None:
        self._stack, self._room, self.pki, self._product_url = stack, room, pki, product_url
        self._urls: dict[str, str] = {}

    async def settings_of(self, holder: str) -> dict[str, Any]:
        """Start what a holder needs outside and return what the signer is told of it."""
        kind = holder.partition("-")[0]
        if kind == "software":
            return {"kind": "software", "keys": str(self.pki)}
        if kind == "pkcs11":
            return {"kind": "pkcs11", "pkcs11": await asyncio.to_thread(self._token)}
        if kind == "upload":
            return {"kind": "upload", "upload": self._certificates()}
        common = {"certificate_class": "demo", "development": True}
        url = await self._url(kind, page=BY_PAGE in holder)
        client = {"client_id": "motcua", "client_secret": "demo-secret", "state_dir": str(self._room / holder)}
        told = {
            "csc": {"base_url": url, "version": holder[-2:], "name": holder, "check_every_s": 0.2, **client},
            "vtss": {"base_url": f"{url}/vtss/service", "profile_id": "profile", "check_every_s": 0.2, **client},
            "sp769": {"base_url": url, "sp_id": "motcua", "sp_password": "demo"},
        }
        if BY_PAGE in holder:
            told["csc"] |= {
                "oauth2_url": f"{url}/csc/{holder[-2:]}",
                "redirect_uri": f"{self._product_url}/holders/{holder}/page",
                "pushed": holder.endswith("v2"),
            }
        return {"kind": kind, kind: {**told[kind], **common}}

    async def _url(self, kind: str, *, page: bool) -> str:
        """Return where the outside server of this kind answers; one is started that asks in an app, one by a page."""
        named = kind + (BY_PAGE if page else "")
        if named not in self._urls:
            url = self._urls[named] = await self._stack.enter_async_context(server(kind, self.pki))
            if page:
                async with aiohttp.ClientSession() as web, web.post(f"{url}/control", json={"auth": "page"}) as told:
                    told.raise_for_status()
        return self._urls[named]

    def _token(self) -> dict[str, Any]:
        index = msgspec.json.decode((self.pki / "index.json").read_bytes(), type=Index)
        # Where SoftHSM2 looks in the home of whoever runs it: the signer is given no other way to it.
        configuration = self._room / ".config" / "softhsm2" / "softhsm2.conf"
        token = SoftToken(self._room / "hsm", self.pki, index.entries, configuration=configuration)
        token.put_all()
        return {"name": "pkcs11", **token.settings(), "development": True}

    def _certificates(self) -> dict[str, Any]:
        directory = lay_certificates(self.pki, self._room / "officials")
        return {"certificates": str(directory), "certificate_class": "demo", "development": True}


def lay_certificates(pki: Path, directory: Path) -> Path:
    """Lay one PEM per owner, the own certificate first, as an operator lays those of the officials' tokens."""
    directory.mkdir(parents=True, exist_ok=True)
    index = msgspec.json.decode((pki / "index.json").read_bytes(), type=Index)
    chain = b"".join((pki / name).read_bytes() for name in index.chain)
    for entry in index.entries:
        (directory / f"{entry.owner}.pem").write_bytes((pki / entry.certificate).read_bytes() + chain)
    return directory


@contextlib.asynccontextmanager
async def server(kind: str, keys: Path) -> AsyncIterator[str]:
    """Run the outside server of this kind on a free port; yields its address."""
    words = [sys.executable, "-m", f"loadtests.outside.{kind}", "--port", "0", "--keys", str(keys)]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent(signal.SIGTERM, os.getpid())
    )
    try:
        if process.stdout is None:
            raise RuntimeError(f"{kind} says nothing")
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield f"http://127.0.0.1:{int(line.split()[1])}"
    finally:
        process.kill()
        await process.wait()
