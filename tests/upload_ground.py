"""A ward whose officials sign with tokens of their own, and the desktop tool at their desks."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Behaviour, Form, OfficerTool, Token, at_the_desk
from signing.keys.upload import UploadHolder, UploadSettings
from tests.api_process import ApiProcess, api_process
from tests.signing_ground import Ground, runner_for

USE_TOKENS = "UPDATE certificate SET holder = 'upload', credential_id = serial"


def lay_bundles(pki: Path, directory: Path) -> Path:
    """One PEM per owner, the own certificate first, as an operator lays them."""
    directory.mkdir(parents=True, exist_ok=True)
    index = msgspec.json.decode((pki / "index.json").read_bytes())
    chain = b"".join((pki / name).read_bytes() for name in index["chain"])
    for entry in index["entries"]:
        (directory / f"{entry['owner']}.pem").write_bytes((pki / entry["certificate"]).read_bytes() + chain)
    return directory


def upload_settings(pki: Path, room: Path, **changes: Any) -> UploadSettings:
    bundles = lay_bundles(pki, room / "certificates")
    values = {"certificates": str(bundles), "certificate_class": "demo", "development": True, **changes}
    return UploadSettings(**values)


class TokenGround(Ground):
    """The ward, its signer in this process, its API as a process of its own."""

    async def with_tokens(self, **changes: Any) -> "TokenGround":
        await self.open({"upload": UploadHolder(upload_settings(self.province.pki, self.room, **changes))})
        await self.db.admin.execute(USE_TOKENS)
        return self

    async def until_sent(self, who: str, *requests: Any) -> Any:
        """Ask for signatures and work until they wait for the person's tool; the ticket."""
        accepted = await self.ask(who, *requests)
        await runner_for(self).drain()
        assert set(await self.states(*requests)) == {"sent"}
        return accepted.ticket

    async def signed_by_token(self, api: ApiProcess, who: str, *requests: Any, form: Form = "values") -> Any:
        """Ask, sign with the tool, and let the signer end it; the ticket."""
        ticket = await self.until_sent(who, *requests)
        async with self.tool(api, who, form) as tool:
            await tool.work_once()
        await self.work()
        return ticket

    @contextlib.asynccontextmanager
    async def tool(
        self, api: ApiProcess, who: str, form: Form = "values", behaviour: Behaviour = "confirm"
    ) -> AsyncIterator[OfficerTool]:
        """The tool at somebody's desk ("chutich")."""
        account = self.province.accounts.of(f"{who}.kinhbac")
        token = Token(Keyring(self.province.pki), behaviour)
        async with at_the_desk(api.url, account.login, account.password, token, form) as tool:
            yield tool

    def api(self) -> contextlib.AbstractAsyncContextManager[ApiProcess]:
        return api_process(self.db, self.province, self.room)
