"""What an operator is told of a ticket, and what the support says next about each cause: pure."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import api.signatures.engine
from api.operating import causes, rows, telling
from api.operating.sampling import expiring_within

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)


def ticket(**changes) -> rows.Ticket:
    kept = {
        "id": ONE, "trace_id": "a" * 32, "account_id": TWO, "person_id": TWO, "post_id": TWO, "agency_id": TWO,
        "lane": "normal", "item_count": 1, "complete": True, "asked_at": AT, "closed_at": None,
        "authorised_until": AT + timedelta(hours=8), "accepted": True, "reason": None,
        "judged_at": AT + timedelta(seconds=0.4),
    }  # fmt: skip
    return rows.Ticket(**(kept | changes))


def item(**changes) -> rows.Item:
    kept = {
        "ordinal": 1, "request_id": ONE, "outcome": None, "cause": None, "ended_at": None, "state": "asked",
        "state_at": AT, "attempt": 0, "role": "signatory", "holder": "sp769", "transaction_id": None,
        "prepared_at": None, "sent_at": None, "key_uses": 0, "received_at": None, "source": None,
        "recorded_at": None, "deadline_at": None, "level_owed": None, "level": None, "raised_at": None,
        "level_problem": None,
    }  # fmt: skip
    return rows.Item(**(kept | changes))


def told(ticket, *items, jobs=()) -> telling.Told:
    return telling.Told(ticket=ticket, items=list(items), transactions=[], jobs=list(jobs), audit=[])


def test_a_finished_ticket_shows_the_time_of_each_stage():
    done = item(
        outcome="recorded", state="recorded", attempt=1, prepared_at=AT + timedelta(seconds=1),
        sent_at=AT + timedelta(seconds=1.5), key_uses=1, received_at=AT + timedelta(seconds=91.5), source="poll",
        recorded_at=AT + timedelta(seconds=92),
    )  # fmt: skip
    text = "\n".join(telling.lines(told(ticket(closed_at=AT + timedelta(seconds=92)), done), AT + timedelta(hours=1)))
    for part in ("prepared 2026-11-24T09:00:01Z (+1.00 s)", "(+0.50 s)", "value by poll", "(+1.5 min)", "key uses 1"):
        assert part in text
    assert "All is signed; nothing is to be done." in text


def test_a_seals_timestamp_is_a_stage_of_its_own_and_owed_until_then():
    done = {"outcome": "recorded", "state": "recorded", "recorded_at": AT, "role": "seal", "level_owed": "B-LTA"}
    owed = item(**done, level="B-B", level_problem="silent")
    paid = item(**done, level="B-LTA", raised_at=AT + timedelta(seconds=30))
    said = ["\n".join(telling.lines(told(ticket(closed_at=AT), one), AT)) for one in (owed, paid, item())]
    assert "timestamp owed: B-LTA (silent)" in said[0]
    assert "timestamp B-LTA" in said[1]
    assert "(+30.00 s)" in said[1]
    assert "timestamp" not in said[2]


def test_each_stage_that_stands_still_has_its_own_advice():
    later = AT + timedelta(minutes=5)
    said = set()
    for state in ("asked", "prepared", "sent", "value_received"):
        advice = telling.advice(told(ticket(), item(state=state)), later)
        assert advice != telling.advice(told(ticket(), item(state=state)), AT + timedelta(seconds=5))
        said.add(advice[0])
    said.add(telling.advice(told(ticket(complete=False)), later)[0])
    assert len(said) == 5


def test_parked_work_is_named_with_the_command_that_takes_it_up():
    job = rows.JobLine(
        key="signatures.prepare:1", kind="signatures.prepare", claims=3, failures=0, parked_at=AT, reason="poison",
        status=None, execute_after=None,
    )  # fmt: skip
    assert "motcua jobs requeue 'signatures.prepare:1'" in telling.advice(told(ticket(), item(), jobs=[job]), AT)[0][1]


def test_every_cause_that_the_signer_gives_has_a_next_step():
    engine = Path(api.signatures.engine.__file__).parent
    source = "\n".join(file.read_text(encoding="utf-8") for file in engine.glob("*.py"))
    given = set(re.findall(r"\bdetail\(\s*\"([a-z-]+)\"", source))
    assert len(given) > 20
    assert given - set(causes.NEXT_STEPS) == set()
    assert set(causes.NEXT_STEPS) - given == set()


def test_evidence_kept_with_a_cause_is_not_shown():
    cause = causes.cause_of({"code": "value-mismatch", "vi": "a", "en": "b", "value": "c0ffee"}, "failed")
    assert "c0ffee" not in str(cause)
    assert (cause.next_vi, cause.next_en) == causes.OTHERWISE


def test_a_certificate_counts_in_every_warning_it_has_reached():
    ends = [AT + timedelta(days=days) for days in (-1, 0.5, 6, 29, 59)]
    assert [expiring_within(ends, timedelta(days=days), AT) for days in (60, 30, 7, 1, 0)] == [5, 4, 3, 2, 1]
