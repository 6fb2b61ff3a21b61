"""`python -m signing`: the service by hand. Errors go to stderr in both languages; `--json` prints the whole answer.

lint FILE [--profile to_sign] [--repair OUT]
verify FILE --anchors ROOTS.pem [--demo-anchors DEMO.pem] [--revocations LIST.crl ...] [--at 2026-11-20T08:00+07:00]
prepare FILE --field Signatory1 --cert C.pem --chain CHAIN.pem --out PREPARED.json
finish PREPARED.json --base FILE --value VALUE.bin --chain CHAIN.pem --anchors ROOTS.pem --out SIGNED.pdf
sign FILE --keys DIR --owner ID --out SIGNED.pdf
bench [--quick]
"""

import argparse
import asyncio
import hashlib
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

import signing
from signing.contract import (
    Appearance,
    Der,
    FieldPlan,
    FinishOrder,
    LintReport,
    Mechanism,
    Prepared,
    PrepareOrder,
    Sha256,
    SignatureVerdict,
    Signed,
    SignItem,
    SignOrder,
    Verdict,
)
from signing.errors import SigningError
from signing.pdf.bounded import BoundedPool
from signing.pdf.cms import mechanism_fits

_LIMIT_S: Final = 120.0
_R = TypeVar("_R")


class Judged(msgspec.Struct, frozen=True):
    """A verdict and the same as a report in ETSI's terms; as JSON the report stands beside the verdict's members."""

    verdict: Verdict
    report: Mapping[str, Any]


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
        sys.stdout.write("\n".join(_lines(answer)) + "\n")
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
    command("finish", _finish, "base", "value", "chain", "anchors", "out")
    command("sign", _sign, "keys", "owner", "out")
    bench = commands.add_parser("bench")
    bench.set_defaults(run=_bench)
    bench.add_argument("--json", action="store_true")
    bench.add_argument("--quick", action="store_true")
    return parser


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
    from signing.trust.anchors import load_trust  # noqa: PLC0415  only this command needs trust files

    trust = load_trust(options.anchors, options.demo_anchors)
    trust = msgspec.structs.replace(trust, revocations=tuple(path.read_bytes() for path in options.revocations))
    at = options.at or _now()
    verdict = _apart(signing.verify, str(options.file), trust, at=at)
    return Judged(verdict=verdict, report=signing.report(verdict, at=at)), verdict.ok


def _certificates(path: str) -> tuple[Der, ...]:
    from signing.trust.anchors import load_certificates  # noqa: PLC0415  see _verify

    return load_certificates(Path(path))


def _mechanism(certificate: Der, wanted: Mechanism | None) -> Mechanism:
    return wanted or ("ecdsa" if mechanism_fits(certificate, "ecdsa") else "rsa_pkcs1v15")


def _order(base: Path, field: str, certificate: Der, chain: tuple[Der, ...], mechanism: Mechanism) -> PrepareOrder:
    return PrepareOrder(
        base=str(base),
        base_sha256=Sha256(hashlib.sha256(base.read_bytes()).digest()),
        field=field,
        certificate=certificate,
        chain=chain,
        appearance=Appearance(kind="none"),
        at=_now(),
        mechanism=mechanism,
        plan=FieldPlan(),
    )


def _prepare(options: Any) -> tuple[dict[str, str], bool]:
    certificate, chain = _certificates(options.cert)[0], _certificates(options.chain)
    mechanism = _mechanism(certificate, options.mechanism)
    prepared = signing.prepare(_order(options.file, options.field, certificate, chain, mechanism))
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


def _sign(options: Any) -> tuple[Signed, bool]:
    """Sign a draft with a key file: lays one field, prepares, signs and finishes. For trying out."""
    from signing.holders import HolderConfig, load_trust, open_holder  # noqa: PLC0415  keys only where asked for

    draft = Path(f"{options.out}.laid")
    plan = signing.default_plan(str(options.file), ("Signatory1",))
    signing.lay_fields(str(options.file), str(draft), plan, mark="CHỈ ĐỂ THỬ")
    holder = open_holder(HolderConfig(kind="software", production=False, keys=options.keys))

    async def go() -> Signed:
        held = await holder.list_certificates(options.owner)
        if not held:
            raise SigningError("Người này không có chứng thư", "This owner has no certificate")
        mechanism = _mechanism(held[0].certificate, None)
        prepared = await asyncio.to_thread(
            signing.prepare, _order(draft, "Signatory1", held[0].certificate, held[0].chain, mechanism)
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
        draft.unlink(missing_ok=True)
    return signed, signed.verdict.ok


def _bench(options: Any) -> tuple[Any, bool]:
    from signing import bench  # noqa: PLC0415  it brings what pyHanko needs for text, which signing does without

    return bench.measure(bench.QUICK if options.quick else bench.WHOLE, _now().replace(microsecond=0), _note), True


def _note(said: str) -> None:
    sys.stderr.write(f"… {said}\n")


def _lines(answer: Any) -> list[str]:
    if isinstance(answer, Signed):
        return [f"SHA-256 {answer.sha256.hex()}, {answer.size} byte", *_lines(answer.verdict)]
    if isinstance(answer, Judged):
        return _lines(answer.verdict)
    if isinstance(answer, Verdict):
        head = "HỢP LỆ / valid" if answer.ok else "KHÔNG HỢP LỆ / not valid"
        said = [f"- {one.summary_vi} / {one.summary_en} [{_terms(one)}]" for one in answer.signatures]
        return [head, *said, *(f"! {one.vi} / {one.en}" for one in answer.problems)]
    if isinstance(answer, LintReport):
        head = "CHẤP NHẬN / accepted" if answer.accepted else "KHÔNG CHẤP NHẬN / refused"
        mend = ["→ có thể sửa bằng --repair / can be mended by --repair"] if answer.repairable else []
        said = [f"- {one.vi} / {one.en}. {one.remedy_vi} / {one.remedy_en}" for one in answer.problems]
        return [head, *said, *mend]
    if isinstance(answer, dict):
        return [f"{name}: {value}" for name, value in answer.items()]
    from signing import bench  # noqa: PLC0415  see _bench

    return bench.text(answer)


def _terms(one: SignatureVerdict) -> str:
    return f"{one.indication} {one.sub_indication}".strip()


if __name__ == "__main__":
    sys.exit(main())
