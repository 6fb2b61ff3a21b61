"""What a file proves of time, and the evidence that it brings: what the judgement of a signature rests on.

A good document timestamp proves that everything before it was there at its time, so that is when the certificates of
earlier signatures must have been good (ETSI EN 319 102-1, 5.6: past signature validation). Timestamps are judged from
the newest, each as of the oldest behind it. What was revoked, and when, is read in `signing.pdf.revocation`.
"""

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from asn1crypto import crl, ocsp, x509
from pyhanko.pdf_utils.decode_limits import DecodePurpose
from pyhanko_certvalidator import ValidationContext

from signing.contract import Der, Trust
from signing.levels import CertPath, Evidence
from signing.pdf.reading import look


class Moments:
    """The times that the good document timestamps of a file prove, as they are found, and the paths to its anchors."""

    def __init__(self) -> None:
        self._stamps: list[tuple[int, datetime]] = []
        self.paths: dict[str, CertPath] = {}
        """Of each signature's field, once it was judged: its certificates up to the anchor, where one was reached.

        Those of a timestamp inside a signature stand under the field's name with the kind behind it.
        """

    def stamped(self, revision: int, time: datetime) -> None:
        """Take a good timestamp, which vouches for every revision before its own."""
        self._stamps.append((revision, time))

    def reached(self, field: str, path: Any) -> None:
        """Take the path by which a signature's anchor was reached."""
        certificates = reversed(list(path.iter_certs(include_root=True)))
        self.paths[field] = tuple(Der(each.dump()) for each in certificates)

    def behind(self, revision: int) -> datetime | None:
        """Return when a revision is proven to have been there: the oldest of the timestamps behind it."""
        return min((time for stamp, time in self._stamps if stamp > revision), default=None)

    def before(self, revision: int) -> datetime | None:
        """Return when a revision is proven not to have been there yet: the newest timestamp that it covers."""
        return max((time for stamp, time in self._stamps if stamp < revision), default=None)


def judged_by(trust: Trust, at: datetime, evidence: Evidence, mode: str = "soft-fail") -> ValidationContext:
    """Return the context of one path: our anchors, this moment, and no revocation data but this.

    Fresh ones each time, since contexts remember failures.
    """
    return ValidationContext(
        trust_roots=[parsed(x509.Certificate, der) for der in (*trust.anchors, *trust.demo_anchors)],
        moment=at,
        allow_fetching=False,
        other_certs=_whole(x509.Certificate, evidence.certificates),
        ocsps=_whole(ocsp.OCSPResponse, evidence.ocsps),
        crls=_whole(crl.CertificateList, evidence.crls),
        revocation_mode=mode,
        retroactive_revinfo=True,
    )


def evidence_in(handler: Any) -> Evidence:
    """Return the validation data that a file carries in its security store (DSS, ISO 32000-2, 12.8.4.3)."""
    store = look(handler.root, "/DSS")

    def held(key: str, purpose: DecodePurpose) -> tuple[Any, ...]:
        streams: Iterable[Any] = look(store, key, ()) if store is not None else ()
        return tuple(stream.get_object().read_data(purpose) for stream in streams)

    return Evidence(
        certificates=held("/Certs", DecodePurpose.CERTIFICATE),
        ocsps=held("/OCSPs", DecodePurpose.OCSP_RESPONSE),
        crls=held("/CRLs", DecodePurpose.CRL),
    )


def joined(one: Evidence, other: Evidence) -> Evidence:
    """Return both, each piece once."""
    return Evidence(
        certificates=tuple(dict.fromkeys((*one.certificates, *other.certificates))),
        ocsps=tuple(dict.fromkeys((*one.ocsps, *other.ocsps))),
        crls=tuple(dict.fromkeys((*one.crls, *other.crls))),
    )


class _Kept(threading.local):
    """What this thread has read: the names in certificates are costly to compare the first time, and never again.

    Each thread has its own, since asn1crypto reads its objects while they are asked.
    """

    def __init__(self) -> None:
        self.read: dict[tuple[type, bytes], Any] = {}


_kept: Final = _Kept()
_MOST_KEPT: Final = 256


def parsed(kind: Any, der: bytes) -> Any:
    """Return what is written in DER, read once in this thread; ValueError and the like where it is not of the kind."""
    found = _kept.read.get((kind, der))
    if found is None:
        found = kind.load(der, strict=True)
        _ = found.native
        if len(_kept.read) >= _MOST_KEPT:
            _kept.read.clear()
        _kept.read[kind, der] = found
    return found


def _whole(kind: Any, pieces: Iterable[bytes]) -> list[Any]:
    found: list[Any] = []
    for der in pieces:
        try:
            piece = parsed(kind, der)
        except (ValueError, TypeError, KeyError):
            continue
        found.append(piece)
    return found
