"""The cases of the benchmark: each does the same work three ways, where there are three, and checks what came out."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from signing.bench import plain
from signing.bench.ground import Ground, Paper, Person
from signing.bench.token import Token
from signing.contract import Appearance, FinishOrder, Prepared, PrepareOrder, Sha256
from signing.keys.software import sign_hash
from signing.pdf.cms import check_value
from signing.pdf.direct import plan
from signing.pdf.finish import embed, filled, finish, verify_own
from signing.pdf.prepare import prepare, prepare_planned
from signing.pdf.verify import verify_bytes

Unit = Literal["x floor", "times plain", "per second"]
_INVISIBLE: Final = Appearance(kind="none")
_FILLS: Final = {"Number": "123/QĐ-UBND", "IssuedDate": "Thử Nghiệm, ngày 20 tháng 11 năm 2026"}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `least` and `aim` are wanted in `unit`; without a unit the row is told beside the table's."""

    name: str
    vi: str
    en: str
    ours: Callable[[], object]
    floor: Callable[[], object] | None = None
    plain: Callable[[], object] | None = None
    unit: Unit | None = None
    least: float | None = None
    aim: float | None = None
    tidy: Callable[[], None] | None = None
    """Removes what was written, outside the measured time."""
    parts: dict[str, Callable[[], object]] = {}
    """What is in it, measured apart."""


def cases(ground: Ground) -> Iterator[Case]:
    """Make all cases, each for the small page and, where there is one, for the scan."""
    for paper in ground.papers:
        for who, said, least, aim in (("rsa", "RSA-2048", 6, 3), ("p256", "P-256", 20, 10)):
            yield _invisible(ground, paper, ground.people[who], said, (least, aim))
        for who, said, least, aim in (("rsa", "RSA-2048", 2, 1.2), ("p256", "P-256", 4, 1.5)):
            yield _planned(ground, paper, ground.people[who], said, (least, aim))
        yield _visible(ground, paper)
        yield _whole_path(ground, paper)
        yield from _verifying(ground, paper)


def token_case(ground: Ground, paper: Paper, token: Token) -> Case:
    """Make the case of a key in a token: a file signed by the holder, against the token's own signature."""
    who = ground.people["rsa"]
    order = _order(ground, paper, who, "Signatory1", _INVISIBLE)

    def ours() -> bytes:
        prepared = prepare(order)
        value = token.sign(prepared.tbs_sha256)
        finishing = FinishOrder(
            base=str(paper.path), prepared=prepared, value=value, chain=ground.chain, trust=ground.trust
        )
        return embed(paper.data, finishing)

    _demand(verify_bytes(ours(), ground.trust, at=ground.at).ok)
    return Case(
        name=f"token RSA-2048 {paper.name}",
        vi=f"B-B không hình, khóa RSA-2048 trong SoftHSM2 qua PKCS#11, {paper.name}",
        en=f"invisible B-B, RSA-2048 key in SoftHSM2 by PKCS#11, {paper.name}, against SHA-256 and its raw sign",
        ours=ours,
        floor=lambda: token.raw(Sha256(hashlib.sha256(paper.data).digest())),
        unit="x floor",
        least=5,
        aim=2,
    )


def _order(ground: Ground, paper: Paper, who: Person, field: str, shown: Appearance) -> PrepareOrder:
    sealed = field == "Seal"
    return PrepareOrder(
        base=str(paper.path),
        base_sha256=paper.sha256,
        field=field,
        certificate=who.certificate,
        chain=ground.chain,
        appearance=shown,
        at=ground.at,
        mechanism=who.mechanism,
        plan=paper.plan,
        fills=_FILLS if sealed else {},
    )


def _finishing(ground: Ground, base: Path, prepared: Prepared, who: Person) -> FinishOrder:
    value = sign_hash(who.key, prepared.tbs_sha256, prepared.mechanism)
    return FinishOrder(base=str(base), prepared=prepared, value=value, chain=ground.chain, trust=ground.trust)


def _floor(paper: Paper, who: Person, times: int = 1) -> Callable[[], object]:
    def run() -> None:
        for _ in range(times):
            sign_hash(who.key, Sha256(hashlib.sha256(paper.data).digest()), who.mechanism)

    return run


def own_signature(ground: Ground, paper: Paper, who: Person) -> Callable[[], bytes]:
    """Return the work of one invisible signature: read, prepare, sign, embed."""
    order = _order(ground, paper, who, "Signatory1", _INVISIBLE)
    return lambda: embed(paper.data, _finishing(ground, paper.path, prepare(order), who))


def _invisible(ground: Ground, paper: Paper, who: Person, said: str, wanted: tuple[float, float]) -> Case:
    held = plain.signer(ground, who)
    ours = own_signature(ground, paper, who)
    _demand(verify_bytes(ours(), ground.trust, at=ground.at).ok)
    return Case(
        name=f"invisible {said} {paper.name}",
        vi=f"B-B không hình, {said}, {paper.name}: đọc, chuẩn bị, ký, nhúng",
        en=f"invisible B-B, {said}, {paper.name}: read, prepare, sign, embed",
        ours=ours,
        floor=_floor(paper, who),
        plain=lambda: plain.sign(paper.data, held, "Signatory1"),
        unit="x floor",
        least=wanted[0],
        aim=wanted[1],
    )


def _planned(ground: Ground, paper: Paper, who: Person, said: str, wanted: tuple[float, float]) -> Case:
    order = _order(ground, paper, who, "Signatory1", _INVISIBLE)
    known = plan(paper.data, hashlib.sha256(paper.data))

    def ours() -> bytes:
        return filled(_finishing(ground, paper.path, prepare_planned(known, order), who))

    _demand(verify_bytes(paper.data + ours(), ground.trust, at=ground.at).ok)
    prepared = prepare_planned(known, order)
    value = sign_hash(who.key, prepared.tbs_sha256, prepared.mechanism)
    return Case(
        name=f"planned {said} {paper.name}",
        vi=f"như trên, tệp và kế hoạch đã ở trong bộ nhớ, {said}, {paper.name}",
        en=f"the same with file and plan in memory since it was stored, only the increment made, {said}, {paper.name}",
        ours=ours,
        floor=_floor(paper, who),
        unit="x floor",
        least=wanted[0],
        aim=wanted[1],
        parts={
            "value verified": lambda: check_value(who.certificate, prepared.signed_attrs, value, who.mechanism),
            "signed": lambda: sign_hash(who.key, prepared.tbs_sha256, who.mechanism),
            "prepared": lambda: prepare_planned(known, order),
        },
    )


def _shown(ground: Ground, kind: Literal["signatory", "seal"]) -> Appearance:
    lines = plain.STAMP if kind == "signatory" else ("Thời gian ký: 20.11.2026", "08:30:15 +07:00")
    return Appearance(kind=kind, lines=lines, image_png=ground.pictures[kind])


def _visible(ground: Ground, paper: Paper) -> Case:
    leader, seal = ground.people["rsa"], ground.people["seal"]
    first, second = plain.signer(ground, leader), plain.signer(ground, seal)
    looks = plain.styles(ground)

    def ours() -> bytearray:
        signed, digest = bytearray(paper.data), hashlib.sha256(paper.data)
        order = _order(ground, paper, leader, "Signatory1", _shown(ground, "signatory"))
        prepared = prepare_planned(plan(paper.data, digest), order)
        increment = filled(_finishing(ground, paper.path, prepared, leader))
        signed += increment
        digest.update(increment)
        order = _order(ground, paper, seal, "Seal", _shown(ground, "seal"))
        signed += filled(_finishing(ground, paper.path, prepare_planned(plan(signed, digest), order), seal))
        return signed

    def base() -> bytes:
        return plain.sign(plain.sign(paper.data, first, "Signatory1", looks[0]), second, "Seal", looks[1])

    _demand(verify_bytes(bytes(ours()), ground.trust, at=ground.at).ok)
    return Case(
        name=f"visible {paper.name}",
        vi=f"chữ ký và con dấu có hình, chữ Việt, RSA-2048, {paper.name} (kèm số, ngày)",
        en=f"signatory and seal, both visible with Vietnamese text, RSA-2048, {paper.name} (with number and date)",
        ours=ours,
        floor=_floor(paper, leader, 2),
        plain=base,
        unit="times plain",
        least=25,
        aim=80,
    )


def _whole_path(ground: Ground, paper: Paper) -> Case:
    leader, seal = ground.people["rsa"], ground.people["seal"]
    numbers, written = itertools.count(), []

    def tidy() -> None:
        for path in written:
            path.unlink()
        written.clear()

    def ours() -> bool:
        number = next(numbers)
        signed, sealed = (ground.room / f"{name}-{number}.pdf" for name in ("signed", "sealed"))
        prepared = prepare(_order(ground, paper, leader, "Signatory1", _shown(ground, "signatory")))
        done = finish(_finishing(ground, paper.path, prepared, leader), str(signed))
        order = _order(ground, paper, seal, "Seal", _shown(ground, "seal"))
        prepared = prepare(msgspec.structs.replace(order, base=str(signed), base_sha256=done.sha256))
        done = finish(_finishing(ground, signed, prepared, seal), str(sealed))
        written.extend((signed, sealed))
        return done.verdict.ok and len(done.verdict.signatures) == 2

    _demand(ours())
    tidy()
    return Case(
        name=f"whole path {paper.name}",
        vi=f"một kết quả ký và đóng dấu, {paper.name}: hai lần chuẩn bị, ký, nhúng, kiểm tra, lưu với fsync",
        en=f"a signed and sealed result, {paper.name}: twice prepare, sign, embed, verify, store with fsync",
        ours=ours,
        floor=_floor(paper, leader, 2),
        unit="per second",
        least=25,
        aim=120,
        tidy=tidy,
    )


def _verifying(ground: Ground, paper: Paper) -> Iterator[Case]:
    who = ground.people["rsa"]
    prepared = prepare(_order(ground, paper, who, "Signatory1", _INVISIBLE))
    signed = embed(paper.data, _finishing(ground, paper.path, prepared, who))
    _demand(plain.verify(signed, ground) and verify_bytes(signed, ground.trust, at=ground.at).ok)
    yield Case(
        name=f"verify {paper.name}",
        vi=f"kiểm tra một chữ ký B-B, {paper.name}",
        en=f"verification of one B-B signature, {paper.name}",
        ours=lambda: verify_bytes(signed, ground.trust, at=ground.at),
        plain=lambda: plain.verify(signed, ground),
        unit="times plain",
        least=1.3,
        aim=3,
    )
    yield Case(
        name=f"verify own {paper.name}",
        vi=f"kiểm tra lại bản do chính mình ký (đọc lần hai), {paper.name}",
        en=f"verification of an own output by the second reading, {paper.name}",
        ours=lambda: verify_own(signed, ground.trust, ground.at),
        plain=lambda: plain.verify(signed, ground),
    )


def _demand(true: bool) -> None:
    if not true:
        raise RuntimeError("the benchmark's own output is not valid")
