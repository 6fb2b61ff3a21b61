"""As of when each signature of a file is judged, and by which revocation data: what signature time means afterwards.

A good document timestamp proves that everything before it was there at its time, so that is when the certificates of
earlier signatures must have been good (ETSI EN 319 102-1, 5.6: past signature validation). A certificate revoked later,
or ended since, takes nothing away; one revoked before proves nothing; without a timestamp nobody knows, and a
revoked certificate is believed no more. Timestamps are judged from the newest, each as of the next newer one.
"""

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from asn1crypto import crl, ocsp, x509
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko_certvalidator import ValidationContext

from signing.contract import Der, SignatureVerdict, Trust
from signing.levels import CertPath, Evidence

_NONE = Evidence()


class Moments:
    """Goes back through a file's timestamps: `at` is the moment of what stands before, `proven` that one says so."""

    def __init__(self, at: datetime, evidence: Evidence) -> None:
        self.at = at
        self.proven = False
        self._evidence = evidence
        self.paths: dict[str, CertPath] = {}
        """Of each signature's field, once it was judged: its certificates up to the anchor, where one was reached."""

    def contexts(self, trust: Trust) -> Iterator[ValidationContext]:
        """Yield what the next older signature is judged by: by the evidence, and without where that proves nothing.

        certvalidator calls a path bad when all it has are answers about others or of another time; only an answer
        that says "revoked" is to count here. Fresh ones each time, since contexts remember failures.
        """
        yield judged_by(trust, self.at, self._evidence)
        if self._evidence.ocsps or self._evidence.crls:
            yield judged_by(trust, self.at, Evidence(certificates=self._evidence.certificates))

    def reached(self, field: str, path: Any) -> None:
        """Take the path by which a signature's anchor was reached."""
        certificates = reversed(list(path.iter_certs(include_root=True)))
        self.paths[field] = tuple(Der(each.dump()) for each in certificates)

    def note(self, said: SignatureVerdict) -> None:
        """Take a verdict; a good timestamp moves the moment back."""
        good = said.intact and said.valid and said.permitted_changes and (said.trusted or said.demo)
        if said.kind == "timestamp" and good and said.signed_at is not None:
            self.at = min(self.at, said.signed_at)
            self.proven = True


def judged_by(trust: Trust, at: datetime, evidence: Evidence, mode: str = "soft-fail") -> ValidationContext:
    """Return the context of one path: our anchors, this moment, and no revocation data but this."""
    return ValidationContext(
        trust_roots=[_parsed(x509.Certificate, der) for der in (*trust.anchors, *trust.demo_anchors)],
        moment=at,
        allow_fetching=False,
        other_certs=[_parsed(x509.Certificate, der) for der in evidence.certificates],
        ocsps=_whole(ocsp.OCSPResponse, evidence.ocsps),
        crls=_whole(crl.CertificateList, evidence.crls),
        revocation_mode=mode,
        retroactive_revinfo=True,
    )


def evidence_in(handler: Any) -> Evidence:
    """Return the validation data that a file carries (its DSS); what cannot be read is left out and proves nothing."""
    try:
        held = DocumentSecurityStore.read_dss(handler)
    except NoDSSFoundError:
        return _NONE
    return Evidence(
        certificates=tuple(each.get_object().data for each in held.certs.values()),
        ocsps=tuple(each.get_object().data for each in held.ocsps),
        crls=tuple(each.get_object().data for each in held.crls),
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


def _parsed(kind: Any, der: bytes) -> Any:
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
            piece = _parsed(kind, der)
        except (ValueError, TypeError, KeyError):
            continue
        found.append(piece)
    return found
