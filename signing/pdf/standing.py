"""Which level a signed file has reached, by what is in it and nothing else; and until when its proof holds."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import x509
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError
from pyhanko_certvalidator.validate import async_validate_path

from signing.contract import SignatureVerdict, Trust, Verdict
from signing.levels import CertPath, Evidence, Level, Standing
from signing.pdf.moments import evidence_in, judged_by, parsed
from signing.pdf.reading import QuickReader

_SHORT_KEYS_END: Final = datetime(2031, 1, 1, tzinfo=UTC)
"""Until when RSA below 3072 bits may prove anything (NIST SP 800-131A Rev. 2, 112 bits of strength: to 2030)."""


async def stand(
    reader: QuickReader, trust: Trust, at: datetime, verdict: Verdict, paths: Mapping[str, CertPath]
) -> Standing:
    """Return the standing of a file that was judged, by each signature's path; one that is not good stands at B-B."""
    known = tuple(dict.fromkeys(paths.values()))
    last = max((each.signed_revision for each in reader.embedded_regular_signatures), default=-1)
    said = {one.field: one for one in verdict.signatures}
    stamps: list[EmbeddedPdfSignature] = [
        each
        for each in reader.embedded_timestamp_signatures
        if each.signed_revision > last and _proves(said.get(str(each.field_name)))
    ]
    if not verdict.ok or not stamps:
        return Standing(level="b-b", paths=known)
    newest = str(stamps[-1].field_name)
    proven_at = said[str(stamps[0].field_name)].signed_at
    wanted = [path for field, path in paths.items() if field != newest]
    held, covered = evidence_in(reader), evidence_in(reader.get_historical_resolver(stamps[-1].signed_revision))
    level: Level = "b-t"
    if await _complete(wanted, trust, covered, proven_at or at):
        level = "b-lta"
    elif held != covered and await _complete(wanted, trust, held, proven_at or at):
        level = "b-lt"
    return Standing(level=level, paths=known, proven_at=proven_at, renew_by=_ends(paths[newest]))


def _proves(one: SignatureVerdict | None) -> bool:
    return one is not None and one.kind == "timestamp" and one.valid and one.permitted_changes


async def _complete(paths: Iterable[CertPath], trust: Trust, held: Evidence, at: datetime) -> bool:
    """Say whether every certificate of every path is shown to have been good by evidence in the file."""
    for path in paths:
        context = judged_by(trust, at, held, "require")
        context.certificate_registry.register_multiple([parsed(x509.Certificate, der) for der in path])
        try:
            built: Any = await context.path_builder.async_build_paths(parsed(x509.Certificate, path[0]))
            await async_validate_path(context, built[0])
        except (PathBuildingError, PathValidationError, IndexError):
            return False
    return True


def _ends(path: CertPath) -> datetime | None:
    ends: list[datetime] = []
    for der in path:
        certificate = parsed(x509.Certificate, der)
        ends.append(certificate.not_valid_after)
        key = certificate.public_key
        if key.algorithm != "ec" and key.bit_size < 3072:
            ends.append(_SHORT_KEYS_END)
    return min(ends, default=None)
