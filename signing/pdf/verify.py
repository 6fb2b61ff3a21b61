"""Judging a signed file: untouched, by whom, under whom, and what changed since; never an exception for a bad file.

Built on pyHanko's classic validation with the policy of `signing.pdf.policy` and the checks of
`signing.pdf.structure`; one signature is judged in `signing.pdf.judgement`. It fetches nothing: revocation is judged
where the file or the caller brings the data.
"""

import asyncio
import logging
from datetime import datetime
from typing import Any, Final

import msgspec
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signing.contract import Der, Problem, SignatureVerdict, Trust, Verdict
from signing.levels import Evidence, Standing
from signing.pdf import indications, standing, structure
from signing.pdf.embedded import collect
from signing.pdf.files import read
from signing.pdf.judgement import Case, judge
from signing.pdf.moments import Moments, evidence_in, joined
from signing.pdf.reading import QuickReader, look, open_for_reading

for _noisy in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)


def verify(source: str, trust: Trust, at: datetime, known: Evidence | None = None) -> Verdict:
    """Judge a file as of a moment; `known` is evidence besides the file's own. Only a file that is not there raises."""
    return verify_bytes(read(source), trust, at=at, known=known)


def verify_bytes(data: bytes, trust: Trust, *, at: datetime, known: Evidence | None = None) -> Verdict:
    """Judge a file's bytes as of a moment."""
    try:
        return asyncio.run(_judge(data, trust, at, known or Evidence()))
    except Exception as error:  # noqa: BLE001  hostile files raise anything: AssertionError, KeyError, RecursionError
        return _unreadable(error)


def _unreadable(error: Exception) -> Verdict:
    said = f"The file's structure cannot be read ({type(error).__name__})"
    return _refused("unreadable", "Không đọc được cấu trúc tệp", said)


def verify_standing(data: bytes, trust: Trust, at: datetime) -> tuple[Verdict, Standing]:
    """Judge a file's bytes, and tell which level it has reached; one that is not good stands at B-B."""
    try:
        return asyncio.run(_judge_and_stand(data, trust, at))
    except Exception as error:  # noqa: BLE001  as above
        return _unreadable(error), Standing(level="b-b", paths=())


async def _judge_and_stand(data: bytes, trust: Trust, at: datetime) -> tuple[Verdict, Standing]:
    moments, reader = Moments(), open_for_reading(data)
    try:
        verdict = await _judge_read(data, reader, trust, at, Evidence(), moments)
        return verdict, await standing.stand(reader, trust, at, verdict, moments.paths)
    finally:
        reader.let_go()


def anchored(certificate: Der, certificates: bytes, trust: Trust, at: datetime) -> bool | None:
    """Say what was found before of a certificate among others: under a demo anchor, a real one, or not known (None).

    It was found without any evidence, so only the moment could change the answer, and that must lie within the times
    of all certificates of the path. Not for a file that brings evidence, nor where the caller does.
    """
    found = _found.get((certificate, certificates, trust))
    return found[0] if found is not None and found[1] <= at <= found[2] else None


_found: dict[tuple[Der, bytes, Trust], tuple[bool, datetime, datetime]] = {}
_MOST_FOUND: Final = 512


async def _judge(data: bytes, trust: Trust, at: datetime, known: Evidence) -> Verdict:
    reader = open_for_reading(data)
    try:
        return await _judge_read(data, reader, trust, at, known, Moments())
    finally:
        reader.let_go()


async def _judge_read(
    data: bytes, reader: QuickReader, trust: Trust, at: datetime, known: Evidence, moments: Moments
) -> Verdict:
    if reader.encrypted:
        return _refused("encrypted", "Tệp bị mã hóa", "The file is encrypted")
    found = collect(reader)
    if not found.fields:
        return _refused("no-signature", "Tệp không có chữ ký số nào", "The file has no digital signature")
    problems = structure.problems_of(data, reader, found)
    persons = [each.signed_revision for each in found.signatures if each.sig_object_type != "/DocTimeStamp"]

    def remember(signature: EmbeddedPdfSignature, path: Any, demo: bool) -> None:
        _remember(signature, trust, path, demo=demo)

    case = Case(
        data=data,
        reader=reader,
        trust=trust,
        at=at,
        last=max(persons, default=-1),
        evidence=joined(evidence_in(reader), known),
        moments=moments,
        remember=remember,
    )
    return _whole(await _each(case, found.signatures), found.refused, problems, _fills(reader))


async def _each(case: Case, signatures: list[EmbeddedPdfSignature]) -> list[SignatureVerdict]:
    """Judge timestamps first, the newest before the older that it vouches for, then everything else by their times."""
    order = sorted(
        range(len(signatures)),
        key=lambda at: (signatures[at].sig_object_type != "/DocTimeStamp", -signatures[at].signed_revision),
    )
    judged = {at: await judge(case, signatures[at]) for at in order}
    return [judged[at] for at in range(len(signatures))]


def _whole(
    judged: list[SignatureVerdict], refused: list[SignatureVerdict], problems: list[Problem], fills: dict[str, str]
) -> Verdict:
    """Put the verdicts together; what is wrong with the file as a whole leaves no signature of it passed."""
    every = (*judged, *refused)
    if problems:
        every = tuple(
            msgspec.structs.replace(each, indication="TOTAL-FAILED", sub_indication=indications.FORMAT)
            if each.indication == "TOTAL-PASSED"
            else each
            for each in every
        )
    untouched = not problems and all(each.intact and each.permitted_changes for each in every)
    good = all(each.valid and (each.trusted or each.demo) for each in every)
    ok = untouched and good and any(each.kind != "timestamp" for each in every)
    return Verdict(
        untouched=untouched,
        signatures=every,
        problems=tuple(problems),
        demo=any(each.demo for each in every),
        ok=ok,
        fills=fills,
        indication=indications.whole(ok, [each.indication for each in every]),
    )


def _refused(code: str, vi: str, en: str) -> Verdict:
    problem = Problem(code=code, vi=vi, en=en)
    return Verdict(untouched=False, signatures=(), problems=(problem,), demo=False, ok=False, indication="TOTAL-FAILED")


def _remember(signature: EmbeddedPdfSignature, trust: Trust, path: Any, *, demo: bool) -> None:
    if len(_found) >= _MOST_FOUND:
        _found.clear()
    held = list(path.iter_certs(include_root=True))
    begins, ends = max(each.not_valid_before for each in held), min(each.not_valid_after for each in held)
    signed: Any = signature.signed_data
    key = (Der(signature.signer_cert.dump()), bytes(signed["certificates"].dump()), trust)
    _found[key] = (demo, begins, ends)


def _fills(reader: PdfFileReader) -> dict[str, str]:
    found: dict[str, str] = {}
    root: Any = reader.root
    for reference in root["/AcroForm"]["/Fields"]:
        field = reference.get_object()
        if look(field, "/T") in {"Number", "IssuedDate"} and look(field, "/V"):
            found[str(field["/T"])] = str(field["/V"])
    return found
