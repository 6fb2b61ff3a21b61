"""As of when each signature of a file is judged, and by which revocation data: what signature time means afterwards.

A good document timestamp proves that everything before it was there at its time, so that is when the certificates of
earlier signatures must have been good (ETSI EN 319 102-1, 5.6: past signature validation). A certificate revoked later,
or ended since, takes nothing away; one revoked before proves nothing; without a timestamp nobody knows, and a
revoked certificate is believed no more. Timestamps are judged from the newest, each as of the next newer one.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from asn1crypto import crl, ocsp, x509
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import NoDSSFoundError
from pyhanko_certvalidator import ValidationContext

from signing.contract import SignatureVerdict, Trust
from signing.levels import Evidence

_NONE = Evidence()


class Moments:
    """Goes back through a file's timestamps: `at` is the moment of what stands before, `proven` that one says so."""

    def __init__(self, at: datetime, evidence: Evidence) -> None:
        self.at = at
        self.proven = False
        self._evidence = evidence

    def contexts(self, trust: Trust) -> Iterator[ValidationContext]:
        """Yield what the next older signature is judged by: by the evidence, and without where that proves nothing.

        certvalidator calls a path bad when all it has are answers about others or of another time; only an answer
        that says "revoked" is to count here. Fresh ones each time, since contexts remember failures.
        """
        yield judged_by(trust, self.at, self._evidence)
        if self._evidence.ocsps or self._evidence.crls:
            yield judged_by(trust, self.at, Evidence(certificates=self._evidence.certificates))

    def note(self, said: SignatureVerdict) -> None:
        """Take a verdict; a good timestamp moves the moment back."""
        good = said.intact and said.valid and said.permitted_changes and (said.trusted or said.demo)
        if said.kind == "timestamp" and good and said.signed_at is not None:
            self.at = min(self.at, said.signed_at)
            self.proven = True


def judged_by(trust: Trust, at: datetime, evidence: Evidence, mode: str = "soft-fail") -> ValidationContext:
    """Return the context of one path: our anchors, this moment, and no revocation data but this."""
    anchors = [x509.Certificate.load(der) for der in (*trust.anchors, *trust.demo_anchors)]
    return ValidationContext(
        trust_roots=anchors,
        moment=at,
        allow_fetching=False,
        other_certs=[x509.Certificate.load(der) for der in evidence.certificates],
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


def _whole(kind: Any, pieces: Iterable[bytes]) -> list[Any]:
    found: list[Any] = []
    for der in pieces:
        try:
            piece = kind.load(der, strict=True)
            _ = piece.native
        except (ValueError, TypeError, KeyError):
            continue
        found.append(piece)
    return found
