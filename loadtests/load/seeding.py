"""Fill a database with the load's data set: one dossier is made in earnest by the product, its rows are copied.

The province, its staff and two dossiers come by the product's own ways: the walk takes one to its end and leaves the
other waiting for the chairman. Archive and work are copies of these, with ids, wards, signatories and papers of their
own. The archive's journals repeat the model's lines, so only what waits to be signed stands up to a fold.
"""

import contextlib
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import msgspec

from api.db.migrate import SCHEMA_FILE
from api.db.privacy import Vault
from api.db.queries import load
from api.documents import drafts
from api.documents.blobs import FileStore
from api.documents.typesetting import Sheet
from api.embedded.demo_settings import Layout, read_environment
from api.embedded.pki import lay_pki
from api.embedded.postgres import Cluster, Progress
from api.embedded.province import Accounts, certificates_wanted, lay_province
from api.embedded.province.rows import agency_id
from api.embedded.walk import TERRITORY, Walk
from api.settings import read
from loadtests.bench.ground import bar
from loadtests.bench.ground import q as bench
from loadtests.load import papers
from loadtests.load.dataset import BY_TOKEN, Dataset, accounts, staff, wards
from loadtests.load.site import Site, site

q: Final = load("loadtests.load", "seed.sql")
_CHUNK: Final = 20_000


def name_of(dataset: Dataset) -> str:
    """Return the template's name, which changes with everything it is made from."""
    here = Path(__file__).parent
    made_from = [SCHEMA_FILE, *(here / name for name in ("seed.sql", "seeding.py", "dataset.py", "papers.py"))]
    digest = sha256(msgspec.json.encode(dataset) + b"".join(path.read_bytes() for path in made_from)).hexdigest()
    return f"load_{dataset.dossiers}_{dataset.wards}_{digest[:12]}"


async def seed(cluster: Cluster, database: str, dataset: Dataset, kept: Path, say: Progress) -> None:
    """Fill an empty, migrated database; keys and papers go to `kept`, beside it."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs yet
    people, now = staff(dataset.wards), datetime.now(UTC)
    say(f"Tạo chứng thư cho {len(people)} người…", f"Making certificates for {len(people)} people…")
    lay_pki(kept / "pki", certificates_wanted(people), at=now - timedelta(days=1), demo=True)
    owner = await asyncpg.connect(cluster.dsn("admin", database))
    try:
        with tempfile.TemporaryDirectory(prefix="motcua-load-") as room:
            async with _product(cluster, database, owner, Path(room), kept, dataset, say) as (one, everybody):
                await _walked(one, everybody)
            await _copied(owner, one, kept, dataset, say)
        await owner.execute(q.settle)
    finally:
        await owner.close()


@contextlib.asynccontextmanager
async def _product(cluster, database, owner, room: Path, kept: Path, dataset: Dataset, say: Progress):  # noqa: ANN001, ANN202
    """Lay the province and run the product on it."""
    people = staff(dataset.wards)
    everybody = accounts(people)
    one = Site(cluster, database, Layout(var=room), kept / "pki")
    signer = read("signer", one.settings()["signer"])
    await lay_province(
        owner,
        pki=kept / "pki",
        vault=Vault(signer.data_keys, signer.data_key),
        factors=Vault(signer.factor_keys, signer.factor_key),
        at=datetime.now(UTC),
        accounts=everybody,
        people=people,
    )
    await owner.execute(q.remote_people, f"{BY_TOKEN}.%")
    await owner.execute(q.level)
    async with site(cluster, database, room, kept / "pki", say) as running:
        yield running, everybody


async def _walked(one: Site, everybody: Accounts) -> None:
    """Take one dossier through the five steps, and a second as far as the chairman's list."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(one.url, timeout=timeout) as web:
        ward = Walk(web, everybody, lambda _vi, _en: None)
        await ward.log_in()
        filed = await ward.receive()
        made = await ward.appraise(filed)
        await ward.approve(made["document"]["id"])
        await ward.issue(made["document"]["id"])
        await ward.deliver(filed, made["result"]["id"])
        waiting = await ward.appraise(await ward.receive())
        await ward.head.sign(await ward.head.waiting(waiting["document"]["id"]))
        await ward.chair.waiting(waiting["document"]["id"])


async def _copied(owner: asyncpg.Connection, one: Site, kept: Path, dataset: Dataset, say: Progress) -> None:
    shutil.copytree(one.files.blobs, kept / "blobs")
    shutil.copytree(one.files.checkpoints, kept / "checkpoints")
    model = await owner.fetchrow(q.model)
    if model is None:
        raise RuntimeError("the walk left nothing to be signed")
    told = read("worker", _environment(one, "worker"))
    vault = Vault(told.data_keys, told.data_key)
    sheet = msgspec.json.decode(vault.open(drafts.DATA, model["data_sealed"]), type=Sheet)
    blobs = FileStore(kept / "blobs")
    with tempfile.TemporaryDirectory(prefix="motcua-papers-") as room:
        made = await papers.make_papers(
            blobs, sheet, model["template"], model["fields"], model["mark"], dataset.papers, Path(room), say,
            datetime.now(UTC),
        )  # fmt: skip
    await blobs.close()
    await _fill(owner, model, made, dataset, say)


async def _fill(owner: asyncpg.Connection, model, made: list[papers.Paper], dataset: Dataset, say: Progress) -> None:  # noqa: ANN001
    began = time.monotonic()
    await owner.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await owner.execute(bench.naming)
    places = wards(dataset.wards)
    await owner.execute(
        q.ward, [w.slug for w in places], [w.territory for w in places], [w.committee for w in places],
        [w.centre for w in places],
    )  # fmt: skip
    await owner.execute(q.desk)
    plans = [msgspec.json.encode(paper.plan).decode() for paper in made]
    await owner.execute(q.paper, [paper.sha256 for paper in made], [paper.size for paper in made], plans)
    await owner.execute(q.blobs)
    await _fill_waiting(owner, model, dataset)
    per = {"archive_journals": dataset.journal, "archive_tasks": dataset.tasks, "archive_files": dataset.files}
    for first in range(1, dataset.dossiers + 1, _CHUNK):
        last = min(first + _CHUNK - 1, dataset.dossiers)
        await owner.execute(q.archive_dossiers, model["ended_id"], first, last, dataset.journal)
        for name, count in per.items():
            await owner.execute(q.statements[name], model["ended_id"], first, last, count)
        say(*bar(last, dataset.dossiers, time.monotonic() - began))


async def _fill_waiting(owner: asyncpg.Connection, model, dataset: Dataset) -> None:  # noqa: ANN001
    await owner.execute(q.made, dataset.to_sign)
    result = str(model["result_id"])
    home = next(place for place in wards(dataset.wards) if place.territory == TERRITORY)
    committee, centre = (str(agency_id(code)) for code in (home.committee, home.centre))
    await owner.execute(q.waiting_dossiers, model["dossier_id"], result)
    await owner.execute(q.waiting_journals, model["dossier_id"], result, committee, centre)
    for name, key in (
        ("results", "result_id"), ("documents", "document_id"), ("revisions", "document_id"), ("chains", "chain_id"),
        ("requests", "chain_id"),
    ):  # fmt: skip
        await owner.execute(q.statements[f"waiting_{name}"], model[key])


def _environment(one: Site, process: str) -> dict[str, str]:
    return read_environment(one.files.settings / f"{process}.env")
