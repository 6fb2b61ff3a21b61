"""Outside authorities for tests of levels: certomancer's, with whatever faults, and files signed under them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import HTTPTimeStamper

import signing
from loadtests.outside import authorities
from loadtests.outside.authorities import Authorities
from signing.contract import FinishOrder, Sha256, Trust
from signing.keys.software import load_key, sign_hash
from signing.levels import Level, Raised
from signing.raising import Order, raise_level
from signing.trust.revocation import Directory, Revocation
from signing.trust.timestamps import AuthoritySettings, TsaPool
from tests.paper import lay, order, page


@asynccontextmanager
async def outside(room: Path) -> AsyncIterator[Authorities]:
    """The authorities on a free port, with their keys below a room."""
    (room / "keys").mkdir()
    made, runner = await authorities.start(room / "keys")
    try:
        yield made
    finally:
        await runner.cleanup()


def trust(made: Authorities) -> Trust:
    return Trust(anchors=(made.der("root"),))


def sha256(path: Path) -> Sha256:
    return Sha256(hashlib.sha256(path.read_bytes()).digest())


def sign(made: Authorities, base: Path, target: Path, field: str, plan, who: str, at: datetime) -> Path:
    """One signature by a certificate of these authorities."""
    chain = (made.der("interm"), made.der("root"))
    prepared = signing.prepare(order(base, field, plan, certificate=made.der(who), chain=chain, at=at))
    value = sign_hash(load_key(made.keys / f"{who}.key.pem"), prepared.tbs_sha256, prepared.mechanism)
    done = FinishOrder(base=str(base), prepared=prepared, value=value, chain=chain, trust=trust(made), at=at)
    signing.finish(done, str(target))
    return target


def signed_and_sealed(made: Authorities, room: Path, who: str = "leader", at: datetime | None = None) -> Path:
    """A document with a signatory's signature and the seal, at B-B."""
    at = at or datetime.now(UTC)
    plan = lay(page(room / "page.pdf"), room / "laid.pdf")
    sign(made, room / "laid.pdf", room / "signed.pdf", "Signatory1", plan, who, at)
    return sign(made, room / "signed.pdf", room / "sealed.pdf", "Seal", plan, "seal", at)


async def signed_elsewhere(made, room: Path) -> Path:
    """A sealed document whose signatory's own program put another authority's timestamp into the signature."""
    plan = lay(page(room / "page.pdf"), room / "laid.pdf")
    signer = SimpleSigner.load(
        str(made.keys / "leader.key.pem"), str(made.keys / "leader.pem"),
        ca_chain_files=(str(made.keys / "interm.pem"), str(made.keys / "root.pem")),
    )  # fmt: skip
    said = PdfSignatureMetadata(field_name="Signatory1", md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    async with aiohttp.ClientSession() as web:
        tsa = HTTPTimeStamper(f"{made.prefix}/a/tsa/tsa3", session=web)
        with (room / "laid.pdf").open("rb") as base, (room / "signed.pdf").open("wb") as target:
            writer = IncrementalPdfFileWriter(base)
            await PdfSigner(said, signer=signer, timestamper=tsa).async_sign_pdf(writer, output=target)
    at = datetime.now(UTC)
    return await asyncio.to_thread(sign, made, room / "signed.pdf", room / "sealed.pdf", "Seal", plan, "seal", at)


def pool(made: Authorities, *names: str, clock=None, **changes) -> TsaPool:
    settings = [
        AuthoritySettings(**{"name": name, "url": f"{made.prefix}/a/tsa/{name}", "development": True, **changes})
        for name in names or ("tsa",)
    ]
    return TsaPool(tuple((each, ()) for each in settings), trust(made), clock=clock)


def revocation(room: Path, **changes) -> Revocation:
    return Revocation(Directory(room / "shelf"), **changes)


async def raised(
    made: Authorities,
    room: Path,
    source: Path,
    name: str,
    wanted: Level,
    *,
    renew: bool = False,
    at: datetime | None = None,
    evidence: Revocation | None = None,
) -> Raised | None:
    """Raise a file to a level; the result stands in the room under its name."""

    def now() -> datetime:
        return at or datetime.now(UTC)

    timestamps, known = pool(made, clock=now), evidence or revocation(room, clock=now)
    standing = await asyncio.to_thread(signing.stand, str(source), trust(made), at=now())
    asked = Order(
        source=str(source), sha256=sha256(source), target=str(room / name), wanted=wanted, trust=trust(made),
        standing=standing, signed_at=now().replace(year=now().year - 1), renew=renew,
    )  # fmt: skip
    try:
        return await raise_level(asked, timestamps, known, asyncio.to_thread, now)
    finally:
        await timestamps.close()
        await known.close()
