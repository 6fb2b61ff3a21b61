"""The second half of a signature: the value goes in, and what comes out was verified or is not written at all."""

import hashlib
from datetime import datetime

from signing.contract import FinishOrder, Prepared, Problem, SignatureVerdict, Signed, Trust, Verdict
from signing.errors import BaseChanged, OutputInvalid
from signing.pdf import cms, plans, second
from signing.pdf.files import Draft, base_changed, read
from signing.pdf.prepare import check_certificate
from signing.pdf.verify import anchored, verify_bytes


def finish(order: FinishOrder, target: str) -> Signed:
    """Embed the value into base plus increment, verify the result, and write it durably to `target`."""
    prepared = order.prepared
    increment = filled(order)
    with Draft(target) as draft:
        if draft.copy(order.base) != prepared.base_size:
            raise base_changed()
        draft.append(increment)
        draft.settle()
        verdict = _verify(draft, order)
        own = demand_good(verdict, prepared.field)
        size = draft.keep()
    return Signed(sha256=own.revision_sha256, size=size, verdict=verdict)


def _verify(draft: Draft, order: FinishOrder) -> Verdict:
    """Verify what was written, and on the way that its base is the one that was prepared."""
    prepared = order.prepared
    base, at = (prepared.base_size, prepared.base_sha256), order.at or prepared.prepared_at
    digest = hashlib.sha256()
    with draft.mapped() as shown:
        verdict = second.judge(shown, order.trust, at, anchored, base=base, digest=digest)
        if verdict is not None:
            plans.keep(shown, digest)
            return verdict
    whole = read(draft.path)
    if hashlib.sha256(memoryview(whole)[: prepared.base_size]).digest() != prepared.base_sha256:
        raise base_changed()
    return verify_bytes(whole, order.trust, at=at)


def embed(base: bytes, order: FinishOrder) -> bytes:
    """Return base and increment with the value in its place, in memory."""
    return b"".join((base, filled(order)))


def filled(order: FinishOrder) -> bytes:
    """Return the increment with the value in its place, after every check of what came back."""
    prepared = order.prepared
    check_certificate(prepared.certificate, prepared.mechanism, prepared.prepared_at)
    _check_attributes(prepared)
    cms.check_value(prepared.certificate, prepared.signed_attrs, order.value, prepared.mechanism)
    container = cms.signed_data(
        certificate=prepared.certificate,
        chain=order.chain,
        attributes=prepared.signed_attrs,
        value=order.value,
        mechanism=prepared.mechanism,
    )
    digits = container.hex().upper().encode()
    _check_room(prepared, prepared.base_size, len(digits))
    first = prepared.reserved_start + 1 - prepared.base_size
    increment = memoryview(prepared.increment)
    return b"".join((increment[:first], digits, increment[first + len(digits) :]))


def verify_own(whole: bytes, trust: Trust, at: datetime) -> Verdict:
    """Verify what was just written: by the second reading, or by the first verifier where that has no good answer.

    The first one judges the first file of every certificate in a process, and every file of another form.
    """
    return second.judge(whole, trust, at, anchored) or verify_bytes(whole, trust, at=at)


def _check_attributes(prepared: Prepared) -> None:
    rebuilt = cms.signed_attributes(prepared.certificate, prepared.document_digest)
    if rebuilt != prepared.signed_attrs or hashlib.sha256(rebuilt).digest() != prepared.tbs_sha256:
        raise BaseChanged(
            "Dữ liệu chuẩn bị ký không còn nguyên vẹn; phải chuẩn bị lại",
            "The preparation is no longer whole; it must be made anew",
        )


def _check_room(prepared: Prepared, base_size: int, digits: int) -> None:
    """Demand that the room lies in the increment, is empty, and is large enough; its offsets count from the base."""
    start, end = prepared.reserved_start - base_size, prepared.reserved_end - base_size
    increment = prepared.increment
    inside = prepared.base_size <= prepared.reserved_start and 0 <= start < end <= len(increment)
    empty = inside and increment[start] == ord("<") and increment[end - 1] == ord(">")
    if not empty or increment[start + 1 : end - 1] != b"0" * (end - start - 2) or digits > end - start - 2:
        raise OutputInvalid(
            "Không đủ chỗ cho chữ ký trong bản đã chuẩn bị; phải chuẩn bị lại",
            "The signature does not fit the room that was prepared; prepare anew",
        )


def demand_good(verdict: Verdict, field: str) -> SignatureVerdict:
    """Return the verdict on the new signature, whose revision is the whole file; raise OutputInvalid if not good."""
    own = next((signature for signature in verdict.signatures if signature.field == field), None)
    if verdict.ok and own is not None and own.covers == "whole_file":
        return own
    problems: list[Problem] = list(verdict.problems)
    for signature in verdict.signatures:
        problems += signature.problems
    said = "; ".join(problem.en for problem in problems) or "the new signature does not cover the whole file"
    raise OutputInvalid(
        "Bản đã ký không qua được kiểm tra nên không được lưu",
        f"The signed output did not verify and was not written: {said}",
        problems=tuple(problems),
    )
