"""Hundreds of real documents waiting for one signatory, laid fast: one is made in earnest, its rows are copied."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

import msgspec

import signing
from signing.contract import FieldPlan
from tests.paper import page
from tests.signing_ground import Ground

COPY = """
CREATE TEMP TABLE made ON COMMIT DROP AS
SELECT n, laid_sha256, size, uuidv7() AS dossier, uuidv7() AS result, uuidv7() AS document, uuidv7() AS draft,
       uuidv7() AS laid, uuidv7() AS chain, uuidv7() AS initials, uuidv7() AS signatory, uuidv7() AS seal
  FROM unnest($1::int[], $2::bytea[], $3::int[]) AS file (n, laid_sha256, size)
"""
CHANGED = {
    "dossier": """'id', made.dossier, 'code', old.code || '-' || right(made.dossier::text, 12),
        'results', replace(old.results::text, model.result_id::text, made.result::text)::jsonb""",
    "result": "'id', made.result, 'dossier_id', made.dossier, 'verify_code', right(made.result::text, 12)",
    "revision": """'document_id', made.document, 'id', CASE old.origin WHEN 'laid' THEN made.laid ELSE made.draft END,
        'sha256', CASE old.origin WHEN 'laid' THEN made.laid_sha256 ELSE old.sha256 END""",
    "document": """'id', made.document, 'dossier_id', made.dossier, 'result_id', made.result,
        'head_revision_id', made.laid, 'head_sha256', made.laid_sha256""",
    "chain": """'id', made.chain, 'dossier_id', made.dossier, 'result_id', made.result,
        'document_id', made.document, 'draft_revision_id', made.draft""",
    "signature_request": """'chain_id', made.chain, 'dossier_id', made.dossier, 'result_id', made.result,
        'document_id', made.document, 'id', CASE old.role
             WHEN 'initials' THEN made.initials WHEN 'signatory' THEN made.signatory ELSE made.seal END""",
}
"""What a copied row has of its own, by table; everything else is the model's."""

KEY = {"dossier": "dossier_id", "result": "result_id", "document": "document_id", "chain": "chain_id"}
OF_MODEL = {table: f"old.id = model.{key}" for table, key in KEY.items()} | {
    "revision": "old.document_id = model.document_id",
    "signature_request": "old.chain_id = model.chain_id",
}


def lay_some(room: Path, plan: FieldPlan, mark: str | None, numbers: range) -> list[Path]:
    """Lay pages of different text."""
    laid: list[Path] = []
    for n in numbers:
        source, target = page(room / f"draft-{n}.pdf", f"Van ban so {n}"), room / f"laid-{n}.pdf"
        signing.lay_fields(str(source), str(target), plan, mark=mark)
        laid.append(target)
    return laid


async def lay_many(ground: Ground, model: UUID, count: int) -> list[UUID]:
    """Copy the chain of the request `model` for `count` more documents; return their signatories' requests in order.

    The files are real and different; the rows are the model's with ids of their own.
    """
    chain = await ground.db.admin.fetchrow(
        "SELECT plan, mark FROM chain WHERE id = (SELECT chain_id FROM signature_request WHERE id = $1)", model
    )
    plan = msgspec.convert(chain["plan"], FieldPlan, strict=False)
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        halves = (range(0, count, 2), range(1, count, 2))
        work = [loop.run_in_executor(processes, lay_some, ground.room, plan, chain["mark"], half) for half in halves]
        files = [file for half in await asyncio.gather(*work) for file in half]
    for file in files:
        await ground.blobs.put_file(file)
    digests = [sha256(file.read_bytes()).digest() for file in files]
    return await copy_rows(ground, model, digests, [file.stat().st_size for file in files])


async def copy_rows(ground: Ground, model: UUID, digests: Sequence[bytes], sizes: Sequence[int]) -> list[UUID]:
    """Copy the rows of the chain of `model`, one for each laid file; return their signatories' requests in order."""
    admin = ground.db.admin
    async with admin.transaction():
        await admin.execute("SET LOCAL session_replication_role = replica")
        await admin.execute(COPY, list(range(len(digests))), digests, sizes)
        await admin.execute(
            "INSERT INTO blob (sha256, size, media_type) SELECT laid_sha256, size, 'application/pdf' FROM made"
        )
        for table, changed in CHANGED.items():
            await admin.execute(
                f"INSERT INTO {table} SELECT (jsonb_populate_record(old, jsonb_build_object({changed}))).*"
                f" FROM made, signature_request model JOIN {table} old ON {OF_MODEL[table]} WHERE model.id = $1",
                model,
            )
        return [row["signatory"] for row in await admin.fetch("SELECT signatory FROM made ORDER BY n")]
