"""The signature service's front door: lint, lay fields, prepare, finish, verify; paths in, paths out.

All functions are synchronous and made for a process pool (`signing.pdf.bounded.BoundedPool`), never for a thread
that runs an event loop. They touch no network and no database, and the clock is an argument. Whatever a hostile file
makes a library raise, only the kinds of `signing.errors` leave this door. Keys are behind the second door,
`signing.holders`.

Each door loads what is behind it when it is first gone through: whoever hands orders to a pool of processes, as the web
process does, holds none of it (45 MB). A process that works loads all of it before its first order (`load`).
"""

import importlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from signing.contract import (
    CertificateFacts,
    Der,
    FieldPlan,
    FinishOrder,
    HandedBack,
    HandedOrder,
    HeldCertificate,
    Laid,
    Layout,
    LintLimits,
    LintProfile,
    LintReport,
    Mechanism,
    Placing,
    Prepared,
    PrepareOrder,
    Signed,
    Trust,
    Verdict,
)
from signing.errors import SigningError, UnreadableFile
from signing.levels import (
    Evidence,
    EvidenceOrder,
    FinishStampOrder,
    PreparedStamp,
    Raised,
    StampOrder,
    Standing,
)
from signing.report import report as report
from signing.trust.anchors import load_trust as load_trust

_BEHIND: Final = (
    "signing.pdf.cms", "signing.pdf.fields", "signing.pdf.finish", "signing.pdf.handed", "signing.pdf.levels",
    "signing.pdf.lint", "signing.pdf.places", "signing.pdf.prepare", "signing.pdf.scans", "signing.pdf.verify",
    "signing.trust.fitness",
)  # fmt: skip
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _guarded(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let only SigningError out; on hostile files parsers raise AssertionError, KeyError, RecursionError, anything."""

    @wraps(work)
    def door(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return work(*args, **kwargs)
        except SigningError:
            raise
        except Exception as error:
            name = type(error).__name__
            raise UnreadableFile(
                "Tệp có cấu trúc không xử lý được", f"The file has a structure that cannot be handled ({name})"
            ) from error

    return door


def load() -> None:
    """Load what is behind all doors."""
    for name in _BEHIND:
        importlib.import_module(name)


@_guarded
def lint(
    source: str, profile: LintProfile, limits: LintLimits | None = None, *, at: datetime, trust: Trust | None = None
) -> LintReport:
    """Say whether a file may enter (`handed_in`) or be signed (`to_sign`), with reason and remedy where not.

    A file `to_sign` whose report says `repairable` should be given to `repair` first, also where it was accepted.
    """
    from signing.pdf import lint as _lint

    return _lint.lint(source, profile, limits or LintLimits(), at=at, trust=trust or Trust())


@_guarded
def repair(source: str, target: str, limits: LintLimits | None = None, *, at: datetime) -> LintReport:
    """Rewrite a file without signatures into one clean revision at `target` and report on the result.

    `target` exists afterwards only if the report says `accepted`.
    """
    from signing.pdf import lint as _lint

    return _lint.repair(source, target, limits or LintLimits(), at=at)


@_guarded
def default_plan(
    source: str, chain: Sequence[str], layout: Layout = "document", found: FieldPlan | None = None
) -> FieldPlan:
    """Return the places of number, date and signatures for an uploaded draft; `chain` names the fields in order.

    What `found` (by `find_places`) lacks is put where Decree 30/2020 has it for this layout.
    """
    from signing.pdf import places as _places

    return _places.plan_draft(source, chain, layout, found)


@_guarded
def find_places(source: str, wanted: Sequence[Placing]) -> FieldPlan:
    """Return the places that somebody chose by anchor text, form field or coordinates, and no others.

    Raises:
        NotSignable: not found, found more than once, or not on the page; the text says what to do.
    """
    from signing.pdf import places as _places

    return _places.find(source, wanted)


@_guarded
def check_scan(source: str) -> None:
    """Refuse a file whose pages are scans not in colour or below 200 dpi, as digitised papers and copies must be.

    Raises:
        NotSignable: with the pages, and what to set on the scanner (Decree 30/2020, Appendix I).
    """
    from signing.pdf import scans as _scans

    _scans.check(source)


@_guarded
def lay_fields(source: str, target: str, plan: FieldPlan, *, mark: str | None = None) -> Laid:
    """Lay all fields of a document, once and before its first signature; print `mark` across every page."""
    from signing.pdf import fields as _fields

    return _fields.lay(source, target, plan, mark)


@_guarded
def prepare(order: PrepareOrder) -> Prepared:
    """Return the increment of one signature and the hash to be signed; writes nothing."""
    from signing.pdf import prepare as _prepare

    return _prepare.prepare(order)


@_guarded
def check_value(certificate: Der, signed_attrs: bytes, mechanism: Mechanism, value: bytes) -> None:
    """Refuse a value that does not fit the certificate and the attributes; quick enough for a thread.

    Raises:
        ValueMismatch: somebody else's value, another hash's, or none at all.
    """
    from signing.pdf import cms as _cms

    _cms.check_value(certificate, signed_attrs, value, mechanism)


@_guarded
def finish(order: FinishOrder, target: str) -> Signed:
    """Embed a returned value, verify the output with the trust given, and write it durably; refuse otherwise."""
    from signing.pdf import finish as _finish

    return _finish.finish(order, target)


@_guarded
def accept(order: HandedOrder) -> HandedBack:
    """Judge a whole signed file that came back: ours to the byte but for the signature, by the right key, verified.

    Raises:
        BaseChanged: it is another file, or changed in more than the signature.
        CertificateUnfit: somebody else's certificate signed it.
        NotSignable: its time of signing is not now.
        OutputInvalid: it holds no signature in the field, or does not verify.
    """
    from signing.pdf import handed as _handed

    return _handed.accept(order)


@_guarded
def verify(source: str, trust: Trust, *, at: datetime, known: Evidence | None = None) -> Verdict:
    """Judge a signed file as of a moment; a bad file gives a bad verdict, never an exception.

    Revocation is judged by what the file brings and by `known`; nothing is fetched.
    """
    from signing.pdf import verify as _verify

    return _verify.verify(source, trust, at, known)


@_guarded
def stand(source: str, trust: Trust, *, at: datetime) -> Standing:
    """Say which level a signed file has reached, and whose evidence it needs to rise."""
    from signing.pdf import levels as _levels

    return _levels.stand(source, trust, at)


@_guarded
def prepare_stamp(order: StampOrder) -> PreparedStamp:
    """Return the increment of a document timestamp and the digest to ask it for; writes nothing."""
    from signing.pdf import levels as _levels

    return _levels.prepare(order)


@_guarded
def finish_stamp(order: FinishStampOrder, target: str) -> Raised:
    """Embed a timestamp token, verify the output with the trust given, and write it durably; refuse otherwise."""
    from signing.pdf import levels as _levels

    return _levels.finish(order, target)


@_guarded
def add_evidence(order: EvidenceOrder, target: str) -> Raised:
    """Append evidence without a timestamp over it, verify the output, and write it durably; refuse otherwise."""
    from signing.pdf import levels as _levels

    return _levels.add_evidence(order, target)


@_guarded
def examine(held: HeldCertificate, trust: Trust, image_png: bytes | None = None, *, at: datetime) -> CertificateFacts:
    """Return what a certificate says of itself that somebody is to sign with from now on; refuse one that is unfit."""
    from signing.trust import fitness as _fitness

    return _fitness.examine(held, trust, image_png, at=at)
