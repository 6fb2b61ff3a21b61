"""`python -m signing`: the service by hand. Errors go to stderr in both languages; `--json` prints the whole answer.

lint FILE [--profile to_sign] [--repair OUT]
verify FILE --anchors ROOTS.pem [--demo-anchors DEMO.pem] [--revocations LIST.crl ...] [--at 2026-11-20T08:00+07:00]
lay FILE --out LAID.pdf --plan PLAN.json --fields Signatory1 Seal [--places PLACES.json] [--layout copy]
prepare FILE --field Signatory1 --cert C.pem --chain CHAIN.pem --out PREPARED.json [--plan PLAN.json] [what it shows]
finish PREPARED.json --base FILE --value VALUE.bin --chain CHAIN.pem --anchors ROOTS.pem --out SIGNED.pdf
sign FILE --keys DIR --owner ID --out SIGNED.pdf [--plan PLAN.json --field Seal] [--level b-lta] [what it shows]
raise FILE --level b-lta --tsa URL [--tsa URL] --anchors ROOTS.pem --out RAISED.pdf [--cache DIR] [--renew]
bench [--quick] [--peers DIR]

What a signature shows: --kind signatory|seal|corner --image PNG --above LINE --line LINE --fill Number=12/UBND
PLACES.json is a list of places (`signing.contract.Placing`):
[{"field": "Signatory1", "anchor": "CHỦ TỊCH", "side": "below"}, {"field": "Number", "anchor": "Số:"}]
"""

import argparse
import asyncio
import hashlib
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec

import signing
from signing.contract import (
    DEMO_MARK,
    Appearance,
    AppearanceKind,
    CertificationLevel,
    Der,
    FieldPlan,
    FinishOrder,
    Layout,
    LintReport,
    Mechanism,
    Placing,
    Prepared,
    PrepareOrder,
    Sha256,
    Signed,
    SignItem,
    SignOrder,
    Trust,
    Verdict,
)
from signing.errors import SigningError
from signing.levels import LEVELS, Raised
from signing.pdf.bounded import BoundedPool
from signing.pdf.cms import mechanism_fits
from signing.report import Judged
from signing.telling import lines

_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT_S: Final = 120.0
_R = TypeVar("_R")


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a refusal or bad verdict, 2 a wrong call."""
    options = _parser().parse_args(argv)
    try:
        answer, good = options.run(options)
    except (SigningError, OSError, msgspec.MsgspecError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json:
        sys.stdout.write(msgspec.json.format(_encoded(answer)).decode() + "\n")
    else:
        sys.stdout.write("\n".join(lines(answer)) + "\n")
    return 0 if good else 1


def _encoded(answer: Any) -> bytes:
    if isinstance(answer, Judged):
        answer = {**msgspec.to_builtins(answer.verdict), **answer.report}
    return msgspec.json.encode(answer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m signing", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, *options: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name)
        made.set_defaults(run=run)
        made.add_argument("file", type=Path)
        made.add_argument("--json", action="store_true")
        for option in options:
            made.add_argument(f"--{option}", required=True)
        return made

    lint = command("lint", _lint)
    lint.add_argument("--profile", choices=("handed_in", "to_sign"), default="to_sign")
    lint.add_argument("--repair")
    verify = command("verify", _verify)
    verify.add_argument("--anchors", type=Path)
    verify.add_argument("--demo-anchors", type=Path)
    verify.add_argument("--revocations", type=Path, nargs="+", default=[])
    verify.add_argument("--at", type=_moment)
    prepare = command("prepare", _prepare, "field", "cert", "chain", "out")
    prepare.add_argument("--mechanism", choices=("rsa_pkcs1v15", "rsa_pss", "ecdsa"))
    _shows(prepare)
    lay = command("lay", _lay, "out", "plan")
    lay.add_argument("--fields", nargs="+", default=["Signatory1", "Seal"])
    lay.add_argument("--places", type=Path)
    lay.add_argument("--layout", choices=get_args(Layout), default="document")
    lay.add_argument("--certification", choices=get_args(CertificationLevel), default="none")
    lay.add_argument("--mark")
    command("finish", _finish, "base", "value", "chain", "anchors", "out")
    sign = command("sign", _sign, "keys", "owner", "out")
    sign.add_argument("--field", default="Signatory1")
    _shows(sign)
    sign.add_argument("--level", choices=LEVELS, default="b-b")
    higher = command("raise", _raise, "anchors", "out")
    higher.add_argument("--level", choices=LEVELS[1:], default="b-lta")
    higher.add_argument("--renew", action="store_true")
    for made in (sign, higher):
        made.add_argument("--tsa", action="append", default=[], metavar="URL")
        made.add_argument("--cache", metavar="DIR", help="where OCSP and CRL are kept")
    bench = commands.add_parser("bench")
    bench.set_defaults(run=_bench)
    bench.add_argument("--json", action="store_true")
    bench.add_argument("--quick", action="store_true")
    bench.add_argument("--peers", type=Path, default=Path("var/peers"), metavar="DIR", help="other makers' signers")
    return parser


def _shows(command: argparse.ArgumentParser) -> None:
    """Add the options that say what a signature shows and fills, and the plan by which its file was laid."""
    command.add_argument("--plan", type=Path)
    command.add_argument("--kind", choices=get_args(AppearanceKind), default="none")
    command.add_argument("--image", type=Path)
    command.add_argument("--above", action="append", default=[])
    command.add_argument("--line", action="append", default=[])
    command.add_argument("--fill", action="append", default=[])


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(said: str) -> datetime:
    """Read a moment; one without a time zone is Vietnam's."""
    moment = datetime.fromisoformat(said)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone(timedelta(hours=7)))


def _apart(work: Callable[..., _R], *args: Any, **kwargs: Any) -> _R:
    """Run the work on a stranger's file in a process with a limit of time and memory."""

    async def go() -> _R:
        async with BoundedPool(1) as pool:
            return await pool.run(work, *args, timeout_s=_LIMIT_S, **kwargs)

    return asyncio.run(go())


def _lint(options: Any) -> tuple[LintReport, bool]:
    if options.repair:
        report = _apart(signing.repair, str(options.file), options.repair, at=_now())
    else:
        report = _apart(signing.lint, str(options.file), options.profile, at=_now())
    return report, report.accepted


def _verify(options: Any) -> tuple[Judged, bool]:
    from signing.trust.anchors import load_revocations, load_trust  # noqa: PLC0415  only here are trust files needed

    trust, known = load_trust(options.anchors, options.demo_anchors), load_revocations(options.revocations)
    at = options.at or _now()
    verdict = _apart(signing.verify, str(options.file), trust, at=at, known=known)
    return Judged(verdict=verdict, report=signing.report(verdict, at=at)), verdict.ok


def _certificates(path: str) -> tuple[Der, ...]:
    from signing.trust.anchors import load_certificates  # noqa: PLC0415  see _verify

    return load_certificates(Path(path))


def _mechanism(certificate: Der, wanted: Mechanism | None) -> Mechanism:
    return wanted or ("ecdsa" if mechanism_fits(certificate, "ecdsa") else "rsa_pkcs1v15")


def _lay(options: Any) -> tuple[FieldPlan, bool]:
    """Lay all fields of a draft, and keep the plan that its signatures need."""
    found = None
    if options.places:
        wanted = msgspec.json.decode(options.places.read_bytes(), type=tuple[Placing, ...])
        found = signing.find_places(str(options.file), wanted)
    plan = signing.default_plan(str(options.file), options.fields, options.layout, found)
    plan = msgspec.structs.replace(plan, certification=options.certification)
    signing.lay_fields(str(options.file), options.out, plan, mark=options.mark)
    Path(options.plan).write_bytes(msgspec.json.encode(plan))
    return plan, True


def _order(
    options: Any, base: Path, certificate: Der, chain: tuple[Der, ...], mechanism: Mechanism, plan: FieldPlan
) -> PrepareOrder:
    image = options.image.read_bytes() if options.image else None
    shown = Appearance(kind=options.kind, lines=tuple(options.line), above=tuple(options.above), image_png=image)
    return PrepareOrder(
        base=str(base),
        base_sha256=Sha256(hashlib.sha256(base.read_bytes()).digest()),
        field=options.field,
        certificate=certificate,
        chain=chain,
        appearance=shown,
        at=_now(),
        mechanism=mechanism,
        plan=plan,
        fills=dict(each.partition("=")[::2] for each in options.fill),
    )


def _plan_of(options: Any) -> FieldPlan:
    return msgspec.json.decode(options.plan.read_bytes(), type=FieldPlan) if options.plan else FieldPlan()


def _prepare(options: Any) -> tuple[dict[str, str], bool]:
    certificate, chain = _certificates(options.cert)[0], _certificates(options.chain)
    mechanism = _mechanism(certificate, options.mechanism)
    prepared = signing.prepare(_order(options, options.file, certificate, chain, mechanism, _plan_of(options)))
    Path(options.out).write_bytes(msgspec.json.encode(prepared))
    return {"tbs_sha256": prepared.tbs_sha256.hex(), "mechanism": mechanism}, True


def _finish(options: Any) -> tuple[Signed, bool]:
    from signing.trust.anchors import load_trust  # noqa: PLC0415  see _verify

    prepared = msgspec.json.decode(options.file.read_bytes(), type=Prepared)
    order = FinishOrder(
        base=options.base,
        prepared=prepared,
        value=Path(options.value).read_bytes(),
        chain=_certificates(options.chain),
        trust=load_trust(Path(options.anchors)),
    )
    signed = signing.finish(order, options.out)
    return signed, signed.verdict.ok


def _sign(options: Any) -> tuple[Signed | Raised, bool]:
    """Sign with a key file, for trying out: a draft gets its one field first, a file with a plan has them already."""
    from signing.holders import HolderConfig, load_trust, open_holder  # noqa: PLC0415  keys only where asked for

    draft, plan = options.file, _plan_of(options)
    if not options.plan:
        draft = Path(f"{options.out}.laid")
        plan = signing.default_plan(str(options.file), (options.field,))
        signing.lay_fields(str(options.file), str(draft), plan, mark=DEMO_MARK)
    holder = open_holder(HolderConfig(kind="software", production=False, keys=options.keys))

    async def go() -> Signed:
        held = await holder.list_certificates(options.owner)
        if not held:
            raise SigningError("Người này không có chứng thư", "This owner has no certificate")
        mechanism = _mechanism(held[0].certificate, None)
        prepared = await asyncio.to_thread(
            signing.prepare, _order(options, draft, held[0].certificate, held[0].chain, mechanism, plan)
        )
        item = SignItem(item_id="1", tbs_sha256=prepared.tbs_sha256, name=options.file.name)
        await holder.start(
            SignOrder(
                transaction_id="1",
                credential_id=held[0].credential_id,
                owner=options.owner,
                items=(item,),
                mechanism=mechanism,
            )
        )
        value = (await holder.poll("1")).values["1"]
        trust = load_trust(None, Path(options.keys) / "root.pem")
        order = FinishOrder(base=str(draft), prepared=prepared, value=value, chain=held[0].chain, trust=trust)
        return await asyncio.to_thread(signing.finish, order, options.out)

    try:
        signed = asyncio.run(go())
    finally:
        if draft != options.file:
            draft.unlink(missing_ok=True)
    if options.level == "b-b":
        return signed, signed.verdict.ok
    raised, good = _raised(options, options.out, load_trust(None, Path(options.keys) / "root.pem"))
    return raised or signed, good


def _raise(options: Any) -> tuple[Raised | Verdict, bool]:
    """Raise a signed file to a level; exit 0 where it has it afterwards."""
    from signing.trust.anchors import load_trust  # noqa: PLC0415  see _verify

    trust = load_trust(Path(options.anchors))
    raised, good = _raised(options, str(options.file), trust)
    return raised or signing.verify(str(options.file), trust, at=_now()), good


def _raised(options: Any, source: str, trust: Trust) -> tuple[Raised | None, bool]:
    """Raise one file; None where it has the level already."""
    from signing.holders import AuthoritySettings, open_revocation, open_timestamps  # noqa: PLC0415  see _sign
    from signing.raising import Order, raise_level  # noqa: PLC0415  see _sign

    sha256 = Sha256(hashlib.sha256(Path(source).read_bytes()).digest())

    async def go() -> Raised | None:
        tsas = [AuthoritySettings(name=url, url=url, timeout_s=30) for url in options.tsa]
        timestamps = open_timestamps(tsas, trust, production=False)
        with tempfile.TemporaryDirectory() as room:
            revocation = open_revocation(Path(options.cache or room))
            standing = await asyncio.to_thread(signing.stand, source, trust, at=_now())
            order = Order(
                source=source,
                sha256=sha256,
                target=options.out,
                wanted=options.level,
                trust=trust,
                standing=standing,
                signed_at=_EVER,
                renew=getattr(options, "renew", False),
            )
            try:
                return await raise_level(order, timestamps, revocation, asyncio.to_thread, _now)
            finally:
                await timestamps.close()
                await revocation.close()

    raised = asyncio.run(go())
    return raised, raised is None or raised.verdict.ok


def _bench(options: Any) -> tuple[Any, bool]:
    from signing import bench  # noqa: PLC0415  it brings what pyHanko needs for text, which signing does without

    size = bench.QUICK if options.quick else bench.WHOLE
    return bench.measure(size, _now().replace(microsecond=0), _note, options.peers), True


def _note(said: str) -> None:
    sys.stderr.write(f"… {said}\n")


if __name__ == "__main__":
    sys.exit(main())
