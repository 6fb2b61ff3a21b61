"""Errors as problems, messages about fields, text made clean: pure, without a server."""

import json
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import errors
from api.db.faults import as_kind
from api.http.auth.rules import Session, SessionRules, fault_of, wait_after
from api.http.problems import STATUS_OF_CODE, STATUS_OF_KIND, TITLES, problem_of, status_of
from api.http.request import decode_body
from api.http.text import Code, LongText, Phone, ShortText, TotpCode, clean, clean_json, clean_query
from api.http.validation import say
from api.logs import without_personal_data
from api.telemetry import spans

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MotcuaError)]
RFC_MEMBERS = {
    "type": "x",
    "title": "x",
    "status": "signed",
    "detail": "x",
    "instance": "x",
    "reference": "x",
}


def make(kind: type[errors.MotcuaError], **facts: Any) -> errors.MotcuaError:
    if kind is errors.Refused:
        return errors.Refused("vi", "en", allowed=("receive", "withdraw"), **facts)
    if kind is errors.Busy:
        return errors.Busy("vi", "en", retry_after_s=2, **facts)
    return kind("vi", "en", **facts)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not errors.MotcuaError])
def test_every_kind_is_a_whole_problem(kind):
    problem = problem_of(make(kind), "trace")
    assert problem["status"] == STATUS_OF_KIND[kind]
    assert problem["title"] == TITLES[problem["status"]]
    assert problem["type"] == f"/problems/{problem['code']}"
    assert {"detail", "detail_en", "next_step", "next_step_en"} <= problem.keys()
    assert problem["reference"] == "trace"
    assert ("allowed" in problem) == (kind is errors.Refused)


def test_facts_overwrite_no_member():
    problem = problem_of(make(errors.Conflict, **RFC_MEMBERS), "trace")
    assert problem["status"] == 409
    assert problem["type"] == "/problems/conflict"
    assert problem["status_fact"] == "signed"
    assert problem["detail"] == "vi"


def test_a_sharper_code_gives_a_sharper_status_with_a_title_and_a_next_step():
    for code, status in STATUS_OF_CODE.items():
        problem = problem_of(errors.Invalid("vi", "en", code=code), "")
        assert problem["status"] == status == status_of(errors.Invalid("vi", "en", code=code))
        assert problem["title"]
        assert problem["next_step"]


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: ShortText


class Filing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    code: Code
    parties: Annotated[list[Party], msgspec.Meta(max_length=2)]
    born: date | None = None
    at: datetime | None = None
    agency: UUID | None = None
    copies: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    note: LongText | None = None
    totp: TotpCode | None = None
    phone: Phone | None = None


GOOD = {"code": "1.001193", "parties": [{"name": "An"}]}


@pytest.mark.parametrize(
    ("change", "field", "vi"),
    [
        ({"code": 5}, "code", "phải là chuỗi ký tự"),
        ({"code": ""}, "code", "phải có ít nhất 1 ký tự"),
        ({"code": "có dấu"}, "code", "sai định dạng"),
        ({"code": "1.001193\n"}, "code", "sai định dạng"),
        ({"code": "1" * 65}, "code", "dài quá 64 ký tự"),
        ({"parties": [{"name": "x" * 201}]}, "parties[0].name", "dài quá 200 ký tự"),
        ({"parties": [{"name": "An"}, {}]}, "parties[1].name", "thiếu trường bắt buộc"),
        ({"parties": [{"name": "An", "nick": 1}]}, "parties[0].nick", "không phải trường được biết"),
        ({"parties": [GOOD["parties"][0]] * 3}, "parties", "dài quá 2 mục"),
        ({"parties": {}}, "parties", "phải là danh sách"),
        ({"born": "2026-02-30"}, "born", "không phải ngày hợp lệ"),
        ({"at": "hôm nay"}, "at", "không phải thời điểm hợp lệ"),
        ({"agency": "1"}, "agency", "không phải mã định danh (UUID)"),
        ({"copies": 0}, "copies", "phải ít nhất là 1"),
        ({"copies": 51}, "copies", "phải nhiều nhất là 50"),
        ({"copies": "2"}, "copies", "phải là số nguyên"),
        ({"copies": None}, "copies", "phải là số nguyên"),
        ({"note": "x" * 4001}, "note", "dài quá 4000 ký tự"),
        ({"totp": "12345a"}, "totp", "sai định dạng"),
        ({"totp": "12345\n"}, "totp", "sai định dạng"),
        ({"phone": "gọi cho tôi nhé"}, "phone", "sai định dạng"),
        ({"surprise": 1}, "surprise", "không phải trường được biết"),
    ],
)
def test_a_wrong_field_is_named_in_vietnamese(change, field, vi):
    with pytest.raises(errors.Invalid) as caught:
        decode_body(msgspec.json.encode(GOOD | change), Filing)
    assert caught.value.kind_code == "invalid-field"
    assert caught.value.facts["errors"][0] | {"detail_en": ""} == {
        "field": field,
        "where": "body",
        "detail": vi,
        "detail_en": "",
    }


def test_a_right_body_passes_strictly():
    assert decode_body(msgspec.json.encode(GOOD), Filing).parties[0].name == "An"


@pytest.mark.parametrize("raw", [b"{", b"", b"nothing", b'{"a":}', b"[" * 100_000, b"\xef\xbb\xbf{}"])
def test_what_is_not_json_is_said_to_be_none(raw):
    with pytest.raises(errors.Invalid) as caught:
        decode_body(clean_json(raw), Any)
    assert caught.value.kind_code == "bad-json"


def test_an_unknown_message_of_the_decoder_is_not_shown():
    assert say("Traceback /srv/secret") == ("không hợp lệ", "is not valid")


@pytest.mark.parametrize("form", ["NFD", "NFC", "NFKD"])
def test_json_text_becomes_nfc(form):
    name = unicodedata.normalize(form, "Nguyễn Thị Hường")
    for ascii_only in (True, False):
        raw = json.dumps({name: [name, {"x": name}]}, ensure_ascii=ascii_only).encode()
        assert msgspec.json.decode(clean_json(raw)) == {
            "Nguyễn Thị Hường": ["Nguyễn Thị Hường", {"x": "Nguyễn Thị Hường"}]
        }


def test_clean_json_hands_an_ordinary_body_back_untouched():
    raw = '{"name": "Đặng Thị Ớt", "line": "a\\nb"}'.encode()
    assert clean_json(raw) is raw


@pytest.mark.parametrize("bad", ["\\u0000", "\\b", "\\f", "\\u001b", "\\u007f", "\x7f", "\\ud800"])
def test_control_characters_in_json_are_refused(bad):
    for raw in (f'{{"a": ["{bad}"]}}', f'{{"x{bad}": 1}}'):
        with pytest.raises(errors.Invalid) as caught:
            clean_json(raw.encode())
        assert caught.value.kind_code in {"control-character", "bad-json"}


def test_a_body_that_is_not_utf8_is_refused():
    with pytest.raises(errors.Invalid) as caught:
        clean_json(b'{"a": "\xff"}')
    assert caught.value.kind_code == "not-utf-8"


def test_a_deep_body_is_refused_and_crashes_nothing():
    with pytest.raises(errors.Invalid):
        clean_json(b'{"\\u0061":' * 500 + b"1" + b"}" * 500)


@given(st.text(max_size=60))
def test_cleaned_text_is_stable(text):
    try:
        once = clean(text)
    except errors.Invalid:
        return
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "\x00" not in once


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        (b"", b""),
        (b"a=1&b=x+y", b"a=1&b=x+y"),
        (b"q=" + b"e%CC%81", b"q=%C3%A9"),
        (b"q=%2B+%26", b"q=%2B%20%26"),
    ],
)
def test_a_query_becomes_nfc(raw, cleaned):
    assert clean_query(raw) == cleaned


@pytest.mark.parametrize("raw", [b"q=%00", b"q=%FF", b"%1b=1", b"q=\xff"])
def test_a_query_that_no_store_can_hold_is_refused(raw):
    with pytest.raises(errors.Invalid):
        clean_query(raw)


def test_a_trace_is_taken_over_or_begun():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    caller = spans.read(f"00-{trace}-00f067aa0ba902b7-01")
    assert (caller.trace_id, caller.span_id, caller.sampled) == (trace, "00f067aa0ba902b7", True)
    assert not spans.read(f"00-{trace}-00f067aa0ba902b7-00").sampled
    assert spans.new_place(caller).trace_id == trace
    assert spans.new_place(caller).span_id != caller.span_id
    wrong = (
        "",
        "x",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{trace}-{'0' * 16}-01",
        f"ff-{trace}-00f067aa0ba902b7-01",
    )
    for header in (None, *wrong):
        assert spans.read(header) is None
    assert len(spans.new_place(None).trace_id) == 32


def test_what_the_driver_raises_has_a_kind():
    assert as_kind(asyncpg.ConnectionDoesNotExistError("gone")).kind_code == "database-away"  # type: ignore[union-attr]
    assert as_kind(ConnectionRefusedError()).kind_code == "database-away"  # type: ignore[union-attr]
    assert as_kind(asyncpg.DeadlockDetectedError("x")).kind_code == "database-contended"  # type: ignore[union-attr]
    assert as_kind(asyncpg.QueryCanceledError("x")).kind_code == "database-contended"  # type: ignore[union-attr]
    assert as_kind(asyncpg.CharacterNotInRepertoireError("x")).kind_code == "value-not-storable"  # type: ignore[union-attr]
    assert as_kind(asyncpg.UniqueViolationError("x")) is None
    assert as_kind(ZeroDivisionError()) is None


def test_a_full_disk_is_told_with_what_to_do():
    kind = as_kind(asyncpg.DiskFullError("could not extend file"))
    assert isinstance(kind, errors.Busy)
    problem = problem_of(kind, "reference")
    assert (problem["status"], problem["code"], kind.retry_after_s) == (503, "database-full", 30)
    assert "cùng khóa" in problem["next_step"]
    assert "operator" in problem["next_step_en"]


def test_logs_hold_no_personal_data():
    line = without_personal_data(None, "info", {"event": "tìm 001090000001", "password": "x", "n": 5})
    assert line == {"event": "tìm …", "password": "…", "n": 5}
    trace = "4bf92f3577b34da6a3ce929001090000"
    assert without_personal_data(None, "info", {"trace_id": trace})["trace_id"] == trace


NOW = datetime(2026, 7, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("failures", "minutes"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (8, 8), (9, 15), (500, 15)])
def test_waiting_grows_with_failures(failures, minutes):
    assert wait_after(failures, NOW, NOW) == timedelta(minutes=minutes)
    assert wait_after(failures, NOW, NOW + timedelta(minutes=15)) == timedelta()


def test_a_session_ends_by_idleness_by_age_by_order_and_with_the_post():
    rules = SessionRules(idle_s=600, absolute_s=3600)
    live = Session(
        id=uuid4(), account_id=uuid4(), person_id=uuid4(), post_id=uuid4(), agency_id=uuid4(), roles=frozenset(),
        seen_at=NOW, expires_at=NOW + timedelta(hours=1), ended_at=None, restricted=False,
        entitled=True, token_sha256=bytes(32),
    )  # fmt: skip

    def code(session: Session | None, at: datetime) -> str | None:
        fault = fault_of(session, rules, at)
        return fault and fault.kind_code

    assert code(live, NOW + timedelta(seconds=599)) is None
    assert code(live, NOW + timedelta(seconds=600)) == "session-expired"
    busy = msgspec.structs.replace(live, seen_at=NOW + timedelta(minutes=59))
    assert code(busy, NOW + timedelta(hours=1)) == "session-expired"
    assert code(msgspec.structs.replace(live, ended_at=NOW), NOW) == "no-session"
    assert code(msgspec.structs.replace(live, entitled=False), NOW) == "not-entitled"
    assert code(None, NOW) == "no-session"
