"""A ward whose signatory and seal have certificates of outside authorities, which give its documents their levels."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
from cryptography import x509

from api.signatures.engine import repaying, revoking
from signing.contract import Trust
from signing.keys.software import SoftwareHolder
from signing.levels import TimestampSource
from signing.trust.revocation import Revocation
from tests import stamping_ground
from tests.signing_ground import Ground, runner_for

SIGNERS = {"chutich": "leader", "seal": "seal"}


class LevelGround:
    """A ground, its outside authorities, and what the signer does for levels."""

    def __init__(self, ground: Ground, made, room: Path) -> None:
        self.ground, self.made, self.room, self.db = ground, made, room, ground.db

    async def open(self, *tsas: str, timestamps: TimestampSource | None = None, **changes) -> "LevelGround":
        ground, made = self.ground, self.made
        keys = self.room / "ward-keys"
        shutil.copytree(ground.province.pki, keys)
        chain = [made.der("interm"), made.der("root")]
        for who, name in SIGNERS.items():
            certificate = x509.load_der_x509_certificate(made.der(name))
            owner = ground.actor("chutich" if who == "chutich" else "vanthu")
            column, owner_id = ("person_id", owner.person_id) if who == "chutich" else ("agency_id", owner.agency_id)
            credential = await self.db.admin.fetchval(
                f"UPDATE certificate SET certificate = $2, chain = $3, serial = $4, issuer = $5, mechanism = 'ecdsa',"
                f" not_before = $6, not_after = $7 WHERE {column} = $1 RETURNING credential_id",
                owner_id, made.der(name), chain, f"{certificate.serial_number:x}",
                certificate.issuer.rfc4514_string(), certificate.not_valid_before_utc, certificate.not_valid_after_utc,
            )  # fmt: skip
            index = msgspec.json.decode((keys / "index.json").read_bytes())
            entry = next(each for each in index["entries"] if each["credential_id"] == credential)
            shutil.copy(made.keys / f"{name}.pem", keys / entry["certificate"])
            shutil.copy(made.keys / f"{name}.key.pem", keys / entry["key"])
        self.timestamps = timestamps or stamping_ground.pool(made, *tsas, **changes)
        self.revocation = Revocation(
            revoking.AnswerShelf(ground.signer, ground.clock), clock=ground.clock, patience_s=0.5
        )
        ground.engine = replace(
            ground.engine,
            holders={"software": SoftwareHolder(keys, production=False)},
            trust=Trust(anchors=(made.der("root"),), demo_anchors=ground.engine.trust.demo_anchors),
            timestamps=self.timestamps,
            revocation=self.revocation,
        )
        return self

    async def close(self) -> None:
        await self.timestamps.close()
        await self.revocation.close()

    async def wants(self, level: str, **more) -> None:
        """The province's rule from now on."""
        await self.db.admin.execute(
            "INSERT INTO legal_rule (key, value, legal_basis, checked, valid_from)"
            " VALUES ('signature.level', $1, 'thử', false, '2020-01-01')"
            " ON CONFLICT (key, valid_from) DO UPDATE SET value = excluded.value",
            {"level": level, **more},
        )
        self.ground.engine.dossiers.registry.invalidate()

    async def sealed(self, text: str = "Xac nhan") -> list:
        """A document through its whole chain; the requests."""
        requests = await self.ground.submitted(text)
        for who, request in zip(("kynhay", "chutich", "vanthu"), requests, strict=True):
            assert await self.ground.sign(who, request) == ["recorded"]
        return requests

    async def pay(self) -> int:
        """One round: what is due is enqueued, and worked off."""
        count = await repaying.top_up(self.ground.engine)
        await runner_for(self.ground).drain()
        return count

    async def debts(self) -> list[dict]:
        return [dict(row) for row in await self.db.admin.fetch("SELECT * FROM level_debt ORDER BY signed_at")]

    async def newest(self) -> Path:
        """What a citizen is given now."""
        sha256 = await self.db.admin.fetchval("SELECT sha256 FROM level_debt ORDER BY signed_at DESC LIMIT 1")
        return await self.ground.blobs.local_path(sha256)
