"""Laying all fields of a document before its first signature, for the handler that the signatures slice owns."""

from typing import Final

import signing
from api.documents.blobs import BlobStore, Stored
from api.documents.workshop import ProcessPool
from api.kernel import Sha256
from signing.contract import FieldPlan

LAY_LIMIT_S: Final = 60.0


async def lay_document(
    processes: ProcessPool, blobs: BlobStore, head: Sha256, plan: FieldPlan, mark: str | None
) -> Stored:
    """Write a new file with every field of the plan, and `mark` across each page; return it once it is durable.

    The caller writes the row in `blob` and the revision. The same head, plan and mark give the same bytes.

    Raises:
        SigningError: the plan or the file does not allow it, or the work took too long.
        BlobMissing: the head is not in the store.
    """
    source = await blobs.local_path(head)
    with blobs.scratch() as directory:
        target = directory / "laid.pdf"
        await processes.run(signing.lay_fields, str(source), str(target), plan, mark=mark, timeout_s=LAY_LIMIT_S)
        return await blobs.put_file(target)
