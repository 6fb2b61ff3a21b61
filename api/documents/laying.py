"""Lay the fields of a draft, once and before its first signature: number, date and every signature of its chain."""

from collections.abc import Sequence
from typing import Final

import msgspec

import signing
from api.documents.blobs import BlobStore, Stored
from api.documents.workshop import ProcessPool
from api.kernel import Sha256
from signing.contract import Field, FieldPlan, Laid
from signing.errors import NotSignable

LIMIT_S: Final = 60.0


async def lay_document(
    processes: ProcessPool,
    blobs: BlobStore,
    head: Sha256,
    places: FieldPlan | None,
    fields: Sequence[str],
    *,
    mark: str | None,
) -> tuple[Stored, FieldPlan]:
    """Store the draft with all its fields laid; return it with the plan that was laid.

    Args:
        processes: where PDF work is done.
        blobs: the document store.
        head: the draft.
        places: where a template printed them; None for an uploaded draft, whose places are then chosen.
        fields: the names of the signature fields that the chain wants, in the order of signing.
        mark: printed across every page where a demo certificate will sign.

    Raises:
        NotSignable: the template has no place for a signature that the chain wants, or the file takes no fields.
        TimedOut, Crashed: the file takes too much time or room.
    """
    source = str(await blobs.local_path(head))
    if places is None:
        plan: FieldPlan = await processes.run(signing.default_plan, source, tuple(fields), timeout_s=LIMIT_S)
    else:
        plan = chosen(places, fields)
    with blobs.scratch() as room:
        target = room / "laid.pdf"
        laid: Laid = await processes.run(signing.lay_fields, source, str(target), plan, timeout_s=LIMIT_S, mark=mark)
        stored = await blobs.put_file(target)
    if stored.sha256 != laid.sha256:
        raise NotSignable("Tệp đã đặt chỗ bị thay đổi khi lưu.", "The laid file changed while it was stored.")
    return stored, plan


def chosen(places: FieldPlan, fields: Sequence[str]) -> FieldPlan:
    """Return the printed places that a chain uses, in its order.

    Raises:
        NotSignable: the template printed no place for one of them.
    """
    printed: dict[str, Field] = {field.name: field for field in places.signatures}
    missing = [name for name in fields if name not in printed]
    if missing:
        raise NotSignable(
            f"Mẫu văn bản không có chỗ cho: {', '.join(missing)}",
            f"The template has no place for: {', '.join(missing)}",
        )
    return msgspec.structs.replace(places, signatures=tuple(printed[name] for name in fields))
