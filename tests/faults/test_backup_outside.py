"""A server that is not ours and a store that is no directory: backed up over TCP by a role of its own, and restored.

PostgreSQL listens on loopback and asks for a password by SCRAM; documents lie in S3 on a real SeaweedFS.
"""

import asyncio
import contextlib
import hashlib
import os
import signal
import subprocess
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from api.documents.blobs import S3Store
from api.embedded.postgres import Cluster
from tests.backup_ground import Office, brought_back, opened_office, read_report
from tests.contract.seaweed import seaweed
from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"
KEEPER = "saoluu"
"""A role of the backup's own, with no more than it needs."""
PASSWORD = "mật khẩu/của@bản sao"
RIGHTS = (
    f"CREATE ROLE {KEEPER} LOGIN REPLICATION PASSWORD '{PASSWORD}'",
    f"GRANT pg_read_all_data, pg_monitor TO {KEEPER}",
    f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
    "GRANT pg_read_all_data, pg_monitor TO reader",
)


class Outside(Cluster):
    """A server that listens on TCP, as somebody else runs it."""

    def __init__(self, root: Path) -> None:
        self.port = free_port()
        super().__init__(root, tuning={"listen_addresses": "127.0.0.1", "port": str(self.port)})

    def dsn(self, role: str, database: str = "motcua") -> str:
        """The owner's way, by the socket."""
        return super().dsn(role, database).replace("port=5432", f"port={self.port}")

    def tcp(self, role: str, password: str = PASSWORD) -> str:
        """What an operator writes into DATABASE_URL."""
        quoted = "".join(f"%{byte:02X}" for byte in password.encode())
        return f"postgresql://{role}:{quoted}@127.0.0.1:{self.port}/motcua"

    async def open_to_tcp(self, office: Office) -> None:
        """Let the backup's role in from loopback, with a password, for reading and for replication."""
        with (self.data.parent / "pg_hba.conf").open("a") as rules:
            rules.write("host all,replication all 127.0.0.1/32 scram-sha-256\n")
        for statement in (*RIGHTS, "SELECT pg_reload_conf()"):
            await office.admin.execute(statement)


@pytest_asyncio.fixture(scope="module")
async def office():
    with seaweed() as place:
        async with opened_office(Outside, lambda room: S3Store(place, room.with_name("cache"))) as office:
            office.s3 = {
                "MOTCUA_S3_BUCKET": place.bucket, "MOTCUA_S3_ENDPOINT": place.endpoint,
                "MOTCUA_S3_ACCESS_KEY": place.access_key, "MOTCUA_S3_SECRET_KEY": place.secret_key,
            }  # fmt: skip
            await office.cluster.open_to_tcp(office)
            office.dsn = office.cluster.tcp(KEEPER)
            yield office


def command(office: Office, *words: str | Path, dsn: str | None = None) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"], "TMPDIR": str(office.room), "MOTCUA_VAR": str(office.room / "var"),
        "DATABASE_URL": dsn or office.dsn, **office.s3,
    }  # fmt: skip
    return subprocess.Popen(
        [MOTCUA, *words], env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    return process.returncode, out + err


async def until(condition, process: subprocess.Popen[str]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.05)


async def forget_documents(store) -> int:
    """Lose every object."""
    names = [listed.sha256 async for listed in store.iter_all()]
    for sha256 in names:
        await store.delete(sha256)
    return len(names)


async def test_followed_over_tcp_and_brought_back_with_the_documents_into_the_bucket(office):
    for number in range(1, 6):
        await office.write(number)
    following = command(office, "backup", office.place.root, "--follow")
    try:
        await until(office.place.names, following)
        from_where = await office.admin.fetch(
            "SELECT DISTINCT client_addr::text, application_name FROM pg_stat_activity WHERE usename = $1", KEEPER
        )
        assert {row["client_addr"] for row in from_where} == {"127.0.0.1/32"}
        assert "motcua pg_receivewal" in {row["application_name"] for row in from_where}
        for number in range(6, 10):
            await office.write(number)
        middle = datetime.now(UTC)
        for number in range(10, 13):
            await office.write(number)
    finally:
        following.send_signal(signal.SIGTERM)
        stopped, said = await ended(following)
    assert stopped == 0, said
    assert await forget_documents(office.blobs) == 12

    words = ("--to", middle.isoformat(), "--into", office.room / "back", "--number-margin", "0")
    restored, told = await ended(command(office, "restore", office.place.root, *words))
    assert restored == 0, told
    report = read_report(office, "back")
    assert report.proof.whole
    assert report.proof.counts["dossiers"] == 9
    assert not (office.room / "back" / "blobs").exists()
    kept = {entry.sha256 for entry in office.ledger[:9]}
    assert {listed.sha256 async for listed in office.blobs.iter_all()} == kept
    for sha256 in kept:
        content = b"".join([chunk async for chunk in office.blobs.open_range(sha256, 0, 3000)])
        assert hashlib.sha256(content).digest() == sha256
    async with brought_back(office, "back") as connection:
        rows = await connection.fetch("SELECT sha256 FROM blob")
    assert {bytes(row["sha256"]) for row in rows} == kept


@pytest.mark.parametrize(
    ("role", "password", "said"),
    [
        (KEEPER, "wrong", "The database cannot be reached"),
        ("reader", PASSWORD, "GRANT pg_read_all_data, pg_monitor"),
    ],
)
async def test_who_may_not_is_told_and_nothing_looks_whole(office, role, password, said, tmp_path):
    code, told = await ended(command(office, "backup", tmp_path / "b", dsn=office.cluster.tcp(role, password)))
    assert (code, said in told) == (1, True), told
    with contextlib.suppress(FileNotFoundError):
        assert list((tmp_path / "b" / "bases").iterdir()) == []
