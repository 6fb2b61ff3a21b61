"""Which level a signed file has reached, by what is in it and nothing else; and until when its proof holds."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import x509
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError
from pyhanko_certvalidator.validate import async_validate_path

from signing.contract import Der, SignatureVerdict, Trust, Verdict
from signing.levels import Evidence, Level, Path, Standing
from signing.pdf.moments import evidence_in, judged_by
from signing.pdf.reading import open_for_reading

_SHORT_KEYS_END: Final = datetime(2031, 1, 1, tzinfo=UTC)
"""Until when RSA below 3072 bits may prove anything (NIST SP 800-131A Rev. 2, 112 bits of strength: to 2030)."""


def stand(data: bytes, trust: Trust, at: datetime, verdict: Verdict) -> Standing:
    """Return the standing of a file whose verdict is known; a file that is not good stands at B-B."""
    return asyncio.run(_stand(data, trust, at, verdict))


async def _stand(data: bytes, trust: Trust, at: datetime, verdict: Verdict) -> Standing:
    reader = open_for_reading(data)
    embedded: list[EmbeddedPdfSignature] = list(reader.embedded_signatures)
    held = evidence_in(reader)
    paths = [await _path(each, trust, at, held) for each in embedded]
    known = tuple(dict.fromkeys(path for path in paths if path))
    last = max((each.signed_revision for each in reader.embedded_regular_signatures), default=-1)
    said = {one.field: one for one in verdict.signatures}
    stamps = [
        (each, path)
        for each, path in zip(embedded, paths, strict=True)
        if each.signed_revision > last and _proves(said.get(str(each.field_name)))
    ]
    if not verdict.ok or not stamps:
        return Standing(level="b-b", paths=known)
    newest, its_path = stamps[-1]
    proven_at = said[str(stamps[0][0].field_name)].signed_at
    wanted = [path for each, path in zip(embedded, paths, strict=True) if each is not newest]
    level: Level = "b-t"
    if await _complete(wanted, trust, held, proven_at or at):
        level = "b-lt"
        covered = evidence_in(reader.get_historical_resolver(newest.signed_revision))
        if await _complete(wanted, trust, covered, proven_at or at):
            level = "b-lta"
    return Standing(level=level, paths=known, proven_at=proven_at, renew_by=_ends(its_path))


def _proves(one: SignatureVerdict | None) -> bool:
    return one is not None and one.kind == "timestamp" and one.valid and one.permitted_changes


async def _path(signature: EmbeddedPdfSignature, trust: Trust, at: datetime, held: Evidence) -> Path:
    """Return the certificates from the signer to the anchor; nothing where none is reached."""
    context = judged_by(trust, at, held)
    carried: Any = signature.other_embedded_certs
    context.certificate_registry.register_multiple(carried)
    try:
        built: Any = await context.path_builder.async_build_paths(signature.signer_cert)
    except PathBuildingError:
        return ()
    return tuple(Der(each.dump()) for each in reversed(list(built[0].iter_certs(include_root=True))))


async def _complete(paths: list[Path], trust: Trust, held: Evidence, at: datetime) -> bool:
    """Say whether every certificate of every path is shown to have been good by evidence in the file."""
    for path in paths:
        context = judged_by(trust, at, held, "require")
        context.certificate_registry.register_multiple([x509.Certificate.load(der) for der in path])
        try:
            built: Any = await context.path_builder.async_build_paths(x509.Certificate.load(path[0]))
            await async_validate_path(context, built[0])
        except (PathBuildingError, PathValidationError, IndexError):
            return False
    return True


def _ends(path: Path) -> datetime | None:
    ends: list[datetime] = []
    for der in path:
        certificate = x509.Certificate.load(der)
        ends.append(certificate.not_valid_after)
        key = certificate.public_key
        if key.algorithm != "ec" and key.bit_size < 3072:
            ends.append(_SHORT_KEYS_END)
    return min(ends, default=None)
