"""A ward whose officials sign with tokens of their own, and the desktop tool at their desks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api.jobs import JobContext
from api.signatures.engine import polling
from api.signer import STEPS
from loadtests.journeys.holders import lay_certificates
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Behaviour, Form, OfficerTool, Token, at_the_desk
from signing.keys.upload import UploadHolder, UploadSettings
from tests.api_process import ApiProcess, api_process
from tests.signing_ground import Ground, runner_for

USE_TOKENS = "UPDATE certificate SET holder = 'upload', credential_id = serial"


def upload_settings(pki: Path, room: Path, **changes: Any) -> UploadSettings:
    bundles = lay_certificates(pki, room / "certificates")
    values = {"certificates": str(bundles), "certificate_class": "demo", "development": True, **changes}
    return UploadSettings(**values)


class TokenGround(Ground):
    """The ward, its signer in this process, its API as a process of its own."""

    async def with_tokens(self, **changes: Any) -> "TokenGround":
        await self.open({"upload": UploadHolder(upload_settings(self.province.pki, self.room, **changes))})
        await self.db.admin.execute(USE_TOKENS)
        return self

    async def until_sent(self, who: str, *requests: Any) -> Any:
        """Ask for signatures and wait until they lie ready for the person's tool; the ticket."""
        accepted = await self.ask(who, *requests)
        await self.until("sent", *requests)
        return accepted.ticket

    @contextlib.asynccontextmanager
    async def signer_at_work(self) -> AsyncIterator[None]:
        """The signer's jobs and its poller go on while the block runs."""
        stopping, runner = asyncio.Event(), runner_for(self)
        tasks = [asyncio.create_task(runner.run()), asyncio.create_task(polling.run(self.engine, "upload", stopping))]
        try:
            yield
        finally:
            stopping.set()
            runner.stop()
            await asyncio.gather(*tasks)

    async def until(self, state: str, *requests: Any) -> None:
        """Wait until all of these stand there."""
        async with asyncio.timeout(60):
            while set(await self.states(*requests)) != {state}:
                await asyncio.sleep(0.05)

    async def ended(self, ticket: Any) -> list[str]:
        """Wait until every item of a ticket has ended; the outcomes."""
        async with asyncio.timeout(60):
            while None in (outcomes := await self.outcomes(ticket)):
                await asyncio.sleep(0.05)
        return outcomes

    async def engine_step(self, kind: str, ids: dict[str, Any]) -> None:
        """Do one piece of the signer's work at once."""
        await STEPS[kind](self.engine, JobContext(kind=kind, key="by hand", claim=1, failures=0), ids)

    async def ready_to_sign(self, text: str) -> tuple[Any, Any]:
        """A document that has been initialled; the requests of signature and seal."""
        initials, signatory, seal = await self.submitted(text)
        initialled = await self.ask("kynhay", initials)
        assert await self.ended(initialled.ticket) == ["recorded"]
        return signatory, seal

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
