"""What the commands say to a person: one line for each thing worth knowing, Vietnamese first."""

from functools import singledispatch
from typing import Any

from signing.contract import FieldPlan, LintReport, SignatureVerdict, Signed, Verdict
from signing.levels import Raised
from signing.report import Judged


@singledispatch
def lines(answer: Any) -> list[str]:
    """Return what to print of an answer; one of a kind that is not known here is a table of the bench."""
    from signing import bench  # noqa: PLC0415  it brings what pyHanko needs for text, which signing does without

    return bench.text(answer)


@lines.register
def _(answer: Verdict) -> list[str]:
    head = "HỢP LỆ / valid" if answer.ok else "KHÔNG HỢP LỆ / not valid"
    said = [f"- {one.summary_vi} / {one.summary_en} [{_terms(one)}]" for one in answer.signatures]
    return [head, *said, *(f"! {one.vi} / {one.en}" for one in answer.problems)]


def _terms(one: SignatureVerdict) -> str:
    return f"{one.indication} {one.sub_indication}".strip()


@lines.register
def _(answer: Judged) -> list[str]:
    return lines(answer.verdict)


@lines.register
def _(answer: Signed) -> list[str]:
    return [f"SHA-256 {answer.sha256.hex()}, {answer.size} byte", *lines(answer.verdict)]


@lines.register
def _(answer: Raised) -> list[str]:
    until = answer.standing.renew_by
    renew = f", {until:%Y-%m-%d}" if until else ""
    head = f"{answer.standing.level.upper()}{renew}, SHA-256 {answer.sha256.hex()}, {answer.size} byte"
    return [head, *lines(answer.verdict)]


@lines.register
def _(answer: LintReport) -> list[str]:
    head = "CHẤP NHẬN / accepted" if answer.accepted else "KHÔNG CHẤP NHẬN / refused"
    mend = ["→ có thể sửa bằng --repair / can be mended by --repair"] if answer.repairable else []
    said = [f"- {one.vi} / {one.en}. {one.remedy_vi} / {one.remedy_en}" for one in answer.problems]
    return [head, *said, *mend]


@lines.register
def _(answer: FieldPlan) -> list[str]:
    fields = [each for each in (answer.number, answer.issued_date, *answer.signatures) if each]
    return [f"{each.name}: {each.page + 1 or 'trang cuối / last page'} {each.box}" for each in fields]


@lines.register(dict)
def _(answer: dict[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in answer.items()]
