"""A version of a procedure that nobody could finish is refused, with each fault named."""

from typing import Any

import msgspec
import pytest

from api.embedded.province import data
from api.registry.authority import Role
from api.registry.calendar import Term, Unit
from api.registry.procedures import ChainEntry, Definition, Fee, FormOfResult, Step, StepKind, faults

SHIPPED = {row.code: row for row in data.procedures()}
MARITAL = SHIPPED["1.004873"].definition
HOURS = Term(amount=1, unit=Unit.HOUR)


def with_steps(*steps: Step) -> Definition:
    return msgspec.structs.replace(MARITAL, steps=steps)


def step(code: str, *after: str, kind: StepKind = StepKind.APPRAISE, role: Role | None = Role.APPRAISER) -> Step:
    return Step(code=code, kind=kind, name=code, role=role, duration=HOURS, next=after)


RECEIVE = step("receive", "deliver", kind=StepKind.RECEIVE, role=Role.COUNTER)
DELIVER = step("deliver", kind=StepKind.DELIVER, role=Role.COUNTER)


def found(definition: Definition, form: FormOfResult = "a") -> str:
    return "; ".join(faults(definition, form, "ministry" if form == "c" else "province"))


@pytest.mark.parametrize("code", sorted(SHIPPED))
def test_what_is_shipped_can_be_worked_and_travels_as_json(code: str) -> None:
    row = SHIPPED[code]
    assert faults(row.definition, row.form, row.owning_system) == []
    assert msgspec.json.decode(msgspec.json.encode(row.definition), type=Definition) == row.definition


def test_the_shipped_catalogue_has_the_named_codes_in_all_forms() -> None:
    assert len(SHIPPED) >= 20
    assert {"1.001193", "1.000894", "1.000656", "2.000635", "2.000815", "1.001612", "1.004873"} <= set(SHIPPED)
    assert {row.form for row in SHIPPED.values()} == {"a", "b", "c", "d"}
    assert SHIPPED["1.004873"].form == "a"
    assert SHIPPED["1.000894"].form in {"b", "c"}
    assert SHIPPED["1.000894"].definition.appointment
    assert SHIPPED["1.000894"].definition.all_subjects_present
    assert SHIPPED["2.000815"].form == "d"
    assert SHIPPED["2.000815"].definition.result.book


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ((), "chưa có bước nào"),
        ((RECEIVE, DELIVER, step("lost", "deliver")), "không có đường nào đến bước 'lost'"),
        ((step("receive", "gone", kind=StepKind.RECEIVE), DELIVER), "bước không tồn tại 'gone'"),
        ((RECEIVE, step("deliver", kind=StepKind.DELIVER, role=None)), "chưa có vai trò"),
        ((step("receive", "a", kind=StepKind.RECEIVE), step("a", "receive")), "không có bước kết thúc"),
        (
            (
                step("receive", "a", "deliver", kind=StepKind.RECEIVE),
                step("a", "b"),
                step("b", "a"),
                DELIVER,
            ),
            "từ bước 'a' không đi đến được bước kết thúc",
        ),
        ((step("receive", "end", kind=StepKind.RECEIVE), step("end")), "phải là bước trả kết quả"),
        ((step("a", "deliver"), DELIVER), "bước đầu tiên phải là bước tiếp nhận"),
        ((RECEIVE, DELIVER, DELIVER), "'deliver' bị trùng mã"),
    ],
)
def test_steps_that_lead_nowhere(steps: tuple[Step, ...], fault: str) -> None:
    assert fault in found(with_steps(*steps))


def test_a_way_back_is_no_fault_and_lengthens_no_term() -> None:
    receive = step("receive", "look", kind=StepKind.RECEIVE)
    assert found(with_steps(receive, step("look", "receive", "deliver"), DELIVER)) == ""


@pytest.mark.parametrize(("hours", "faulty"), [(24, False), (25, True)])
def test_steps_may_not_outlast_the_term(hours: int, faulty: bool) -> None:
    receive = msgspec.structs.replace(RECEIVE, duration=Term(amount=hours - 1, unit=Unit.HOUR))
    assert ("dài hơn tổng thời gian" in found(with_steps(receive, DELIVER))) is faulty


SEAL = ChainEntry(group=3, role="seal", by=Role.CLERK)
SIGN = ChainEntry(group=2, role="signatory", by=Role.SIGNATORY)
INITIAL = ChainEntry(group=1, role="initials", by=Role.DIVISION_HEAD, pdf_signature=False)


@pytest.mark.parametrize(
    ("form", "chain", "fault"),
    [
        ("a", (SIGN,), "đúng một chữ ký số của cơ quan"),
        ("a", (SIGN, SEAL, SEAL), "đúng một chữ ký số của cơ quan"),
        ("a", (SEAL,), "phải có chữ ký số của người có thẩm quyền"),
        ("a", (msgspec.structs.replace(SIGN, group=3), SEAL), "nhóm cuối cùng"),
        ("a", (msgspec.structs.replace(INITIAL, group=3), SIGN, msgspec.structs.replace(SEAL, group=4)), "thứ tự nhóm"),
        ("a", (msgspec.structs.replace(SIGN, pdf_signature=False), SEAL), "chữ ký số của người có thẩm quyền"),
        ("b", (SIGN, SEAL), "không mang chữ ký số"),
        ("c", (SEAL,), "không có chuỗi ký"),
        ("d", (SIGN, SEAL), "không mang chữ ký số"),
        ("d", (SEAL,), "phải là loại 'copy'"),
    ],
)
def test_chains_that_the_form_of_result_does_not_allow(
    form: FormOfResult, chain: tuple[ChainEntry, ...], fault: str
) -> None:
    assert fault in found(msgspec.structs.replace(MARITAL, chain=chain), form)


def test_initials_several_signatories_and_one_seal_are_lawful() -> None:
    chain = (INITIAL, msgspec.structs.replace(INITIAL, by=Role.APPRAISER), SIGN, SIGN, SEAL)
    assert found(msgspec.structs.replace(MARITAL, chain=chain)) == ""


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"channels_in": ()}, "một cách nộp"),
        ({"channels_out": ()}, "một cách nhận"),
        ({"channels_in": ("counter",)}, "toàn trình phải nộp được trực tuyến"),
        ({"parts": MARITAL.parts * 2}, "'TK' bị trùng mã"),
        ({"fees": (Fee(code="x", name="x", amount_vnd=-1),)}, "không được âm"),
        ({"total": Term(amount=0, unit=Unit.WORKING_DAY)}, "lớn hơn 0"),
        ({"same_day": True}, "trong ngày thì bằng 0"),
    ],
)
def test_offers_that_do_not_hold_together(changes: dict[str, Any], fault: str) -> None:
    assert fault in found(msgspec.structs.replace(MARITAL, **changes))


def test_a_misspelt_rule_cannot_pass_as_absent() -> None:
    raw = msgspec.to_builtins(MARITAL) | {"aproval": True}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Definition)
    raw = msgspec.to_builtins(MARITAL)
    raw["steps"][0]["role"] = "minister"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Definition)


def test_who_owns_the_status_follows_from_the_form() -> None:
    assert "hệ thống của bộ" in "; ".join(faults(MARITAL, "a", "ministry"))
