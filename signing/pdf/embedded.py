"""The signatures in a file, whoever made them: those that can be judged, and those that are named and refused.

Read are adbe.pkcs7.detached, ETSI.CAdES.detached (also by its draft name) and ETSI.RFC3161 (ISO 32000-2, table 257).
"""

from typing import Any, Final

import msgspec
from pyhanko.pdf_utils.generic import DictionaryObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signing.contract import Problem, SignatureVerdict
from signing.pdf import indications, wording
from signing.pdf.moments import recognise
from signing.pdf.reading import look

_JUDGED: Final = frozenset(str(kind.value) for kind in SigSeedSubFilter)
_BOUND_TO_SHA1: Final = frozenset({"/adbe.pkcs7.sha1", "/adbe.x509.rsa_sha1"})


class Found(msgspec.Struct, frozen=True):
    """Signatures in the order of their revisions, verdicts on those that cannot be judged, and all filled fields."""

    signatures: list[EmbeddedPdfSignature]
    refused: list[SignatureVerdict]
    fields: list[Any]

    @property
    def ranges(self) -> int:
        """How many byte ranges belong to fields."""
        return sum(look(look(field, "/V"), "/ByteRange") is not None for field in self.fields)


def collect(reader: PdfFileReader) -> Found:
    """Return all signatures of a file; one that cannot be read does not hide the others."""
    signatures: list[EmbeddedPdfSignature] = []
    refused: list[SignatureVerdict] = []
    filled: Any = enumerate_sig_fields(reader, filled_status=True)
    fields: list[Any] = []
    for name, value, reference in filled:
        field = reference.get_object()
        fields.append(field)
        refusal = _refusal(value.get_object())
        if refusal is None:
            try:
                signatures.append(EmbeddedPdfSignature(reader, field, name))
                recognise(signatures[-1].signed_data)
            except Exception as error:  # noqa: BLE001  a hostile container makes a parser raise anything
                refusal = _unreadable(error), indications.FORMAT
        if refusal is not None:
            subfilter = str(look(value.get_object(), "/SubFilter", ""))[1:]
            refused.append(wording.unreadable(str(name), *refusal, subfilter=subfilter))
    return Found(sorted(signatures, key=lambda each: each.signed_revision), refused, fields)


def is_unsigned(signature: Any) -> bool:
    """Say whether a signature dictionary was prepared and never got its value."""
    contents = look(signature, "/Contents") if isinstance(signature, DictionaryObject) else None
    raw = getattr(contents, "original_bytes", contents if isinstance(contents, bytes) else b"")
    return not raw.strip(b"\x00")


def _refusal(signature: Any) -> tuple[Problem, str] | None:
    subfilter = str(look(signature, "/SubFilter", ""))
    if subfilter in _BOUND_TO_SHA1:
        return wording.weak(f"{subfilter[1:]}: SHA-1"), indications.WEAK
    if subfilter not in _JUDGED:
        return wording.unheard(subfilter[1:] or "?"), indications.FORMAT
    if is_unsigned(signature):
        return wording.NEVER_SIGNED, indications.FORMAT
    return None


def _unreadable(error: Exception) -> Problem:
    return Problem(
        code="unreadable-signature",
        vi="Không đọc được chữ ký này",
        en=f"This signature cannot be read ({type(error).__name__})",
    )
