"""The validation report of a verdict in the terms of ETSI TS 119 102-2, as JSON: the element names are the standard's.

What this verifier does not do is not in it: no signature policy, no trusted list, no validation objects. Its
constraints are named by one address, that of the service's own rules.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from signing.contract import SignatureVerdict, Verdict

_URN: Final = "urn:etsi:019102:"
_MAIN: Final = {
    "TOTAL-PASSED": f"{_URN}mainindication:total-passed",
    "TOTAL-FAILED": f"{_URN}mainindication:total-failed",
    "INDETERMINATE": f"{_URN}mainindication:indeterminate",
}


class Judged(msgspec.Struct, frozen=True):
    """A verdict and the same as a report in ETSI's terms; as JSON the report stands beside the verdict's members."""

    verdict: Verdict
    report: Mapping[str, Any]


def report(verdict: Verdict, *, at: datetime) -> Mapping[str, Any]:
    """Return the report on every signature of a file, as of the moment of judging."""
    each = [_signature(one, at) for one in verdict.signatures]
    return {"ValidationReport": {"SignatureValidationReport": each or [_nothing(verdict, at)]}}


def _signature(one: SignatureVerdict, at: datetime) -> dict[str, Any]:
    best: dict[str, Any] = {"POETime": _time(one.proven_at or at), "TypeOfProof": f"{_URN}poetype:validation"}
    said: dict[str, Any] = {
        "SignatureIdentifier": {"SignatureFieldName": one.field, "SubFilter": one.subfilter},
        "ValidationTimeInfo": {"ValidationTime": _time(at), "BestSignatureTime": best},
        "SignersDocument": {"DigestAlgAndValue": {"DigestMethod": one.digest, "Covers": one.covers}},
        "SignatureAttributes": {"SigningTime": {"Signed": False, "Time": _time(one.signed_at)}}
        if one.signed_at
        else {},
        "SignerInformation": {"Signer": one.signer_name, "Issuer": one.issuer, "SerialNumber": one.serial},
        "SignatureQuality": {"Algorithm": one.algorithm},
        "SignatureValidationProcess": {"SignatureValidationProcessID": _process(one)},
        "SignatureValidationStatus": _status(one.indication, one.sub_indication),
    }
    data = [{"Code": each.code, "vi": each.vi, "en": each.en} for each in one.problems]
    if one.revoked_at is not None:
        data.append({"RevocationTime": _time(one.revoked_at), "Revocation": one.revocation})
    if data:
        said["SignatureValidationStatus"]["AssociatedValidationReportData"] = data
    return said


def _process(one: SignatureVerdict) -> str:
    """Name the process: with a proof of time it is that of EN 319 102-1, 5.5; else the basic one of 5.3."""
    return f"{_URN}validationprocess:{'LTVM' if one.proven_at is not None else 'Basic'}"


def _status(indication: str | None, sub_indication: str) -> dict[str, Any]:
    said: dict[str, Any] = {"MainIndication": _MAIN[indication or "INDETERMINATE"]}
    if sub_indication:
        said["SubIndication"] = [f"{_URN}subindication:{sub_indication}"]
    return said


def _nothing(verdict: Verdict, at: datetime) -> dict[str, Any]:
    """Report on a file without any signature that could be read."""
    status = _status(verdict.indication, "FORMAT_FAILURE")
    status["AssociatedValidationReportData"] = [
        {"Code": each.code, "vi": each.vi, "en": each.en} for each in verdict.problems
    ]
    return {"ValidationTimeInfo": {"ValidationTime": _time(at)}, "SignatureValidationStatus": status}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
