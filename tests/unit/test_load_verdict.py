"""The load's verdict proved on planted faults: each makes its own line, and a run without any passes."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from uuid import UUID

import msgspec
import pytest
from pyotp.totp import TOTP

from api.embedded import measuring
from loadtests.load import acts, capacity, courses, faults, gather, history, model, report, shapes, site, stages, storm
from loadtests.load.__main__ import conclude
from loadtests.load.arrivals import acts_per_s
from loadtests.load.machine import CPU_UNIT_S, Machine
from loadtests.load.model import OPERATIONS, PERSONAS, cast
from loadtests.load.notes import Acknowledged, Asked, Cut, Finished, Health
from loadtests.load.plan import Plan, Seat
from loadtests.load.sampling import Part, Sample, read_metrics
from loadtests.load.verdict import (
    Drift,
    Evidence,
    Generator,
    Kept,
    Latency,
    Resources,
    Standing,
    compare,
    judge,
)
from loadtests.load.verifier import Checked
from loadtests.load.visitors import Visitor
from loadtests.processes import threads_of

MACHINE = Machine(cores=2, memory_gb=24, system="x", cpu_s=CPU_UNIT_S, fsync_ms=1, load_before=0)
ROW = Latency(op="track", count=1000, errors=0, p50_ms=5, p95_ms=50, p99_ms=200)
GOOD = Evidence(
    shape="average", commit="abc1234", at="2026-01-01T00:00:00+00:00", users=6000, minutes=10, quick=False,
    expected=("track",),
    standing=Standing(sessions=6000, in_flight=12, requests_per_s=150, signatures_per_s=20),
    latencies=(ROW,),
    generators=(Generator(pid=1, busy=0.5, lag_p99_ms=10), Generator(pid=2, busy=0.4, lag_p99_ms=10)),
    resources=Resources(
        pools={"read": 0.2, "write": 0.3}, loop_lag_p99_ms=5, cores={"api": 0.5, "signer": 0.4}, rss_mb={"api": 200},
        descriptors={"api": 7000}, dead_rows=10, database_sessions=30, stalled=0.1,
    ),
    checked=Checked(opened=1200),
    kept=Kept(acknowledged=3000),
    drifts=(Drift(what="tickets", count=10, http_ms=1000, database_ms=1010),),
    longest_wait_s=3.2,
    durability={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"},
    machine=MACHINE,
)  # fmt: skip


def changed(**parts):
    return msgspec.structs.replace(GOOD, **parts)


def with_row(**parts):
    return changed(latencies=(msgspec.structs.replace(ROW, **parts),))


def using(**parts):
    return changed(resources=msgspec.structs.replace(GOOD.resources, **parts))


def keeping(**parts):
    return changed(kept=msgspec.structs.replace(GOOD.kept, **parts))


def generating(**parts):
    return changed(generators=(Generator(**{"pid": 7, "busy": 0.1, "lag_p99_ms": 1, **parts}),))


def test_a_run_without_a_fault_passes():
    verdict = judge(GOOD)
    assert (verdict.word, verdict.findings) == ("PASS", ())


PLANTED = {
    "a lost PDF": (changed(checked=Checked(opened=1200, lost=["ab"])), "FAIL", "FAIL lost: 1 of 1200"),
    "a doubled PDF": (changed(checked=Checked(opened=1200, doubled=["ab"])), "FAIL", "FAIL doubled: 1 of 1200"),
    "an altered PDF": (changed(checked=Checked(opened=1200, invalid=["ab"])), "FAIL", "FAIL invalid: 1 of 1200"),
    "a reordered journal": (keeping(reordered=("d1",)), "FAIL", "FAIL journals out of order: 1 of 3000"),
    "an acknowledged write lost": (keeping(missing=("k",)), "FAIL", "FAIL acknowledged and not there: 1"),
    "an effect nobody asked for": (keeping(unasked=("k",)), "FAIL", "FAIL there and never asked for: 1"),
    "a ticket without an end": (keeping(unended=("a",)), "FAIL", "FAIL tickets that came to no end: 1, the first a"),
    "a saturated generator": (
        generating(busy=0.86), "VOID", "VOID generator 7 used 86% of its core",
    ),
    "a late generator": (
        generating(lag_p99_ms=101), "VOID", "VOID generator 7: its own loop was 101 ms",
    ),
    "a user who broke": (
        generating(missing=1), "VOID", "VOID generator 7: 1 users ended",
    ),
    "no generator": (changed(generators=()), "VOID", "VOID no generator told how it was"),
    "no samples": (with_row(count=0), "FAIL", "FAIL track: no samples"),
    "a slow tail": (with_row(p99_ms=1500), "FAIL", "FAIL track: p99 1500 ms, at most 1000 ms (1.5 x)"),
    "a slow row, machine-bound": (with_row(p95_ms=600, stall=0.3), "FAIL", "(2.0 x) (bound by the machine)"),
    "errors": (with_row(errors=2), "FAIL", "FAIL errors: 2 of 1000"),
    "a full pool": (using(pools={"read": 0.81}), "FAIL", "FAIL pool read: 81% in use"),
    "a late loop": (using(loop_lag_p99_ms=50), "FAIL", "FAIL event loop of the API 50 ms late"),
    "a row none of whose answers was good": (
        with_row(errors=1000, p50_ms=0, p95_ms=0, p99_ms=0), "FAIL", "FAIL track: none of 1000 answers was good",
    ),
    "a slow clients' row without samples": (
        changed(latencies=(ROW, msgspec.structs.replace(ROW, slow=True, count=0))), "FAIL",
        "FAIL track, slow clients: no samples",
    ),
    "a row nobody expected, without samples": (
        changed(latencies=(ROW, msgspec.structs.replace(ROW, op="log in", count=0))), "FAIL",
        "FAIL log in: no samples",
    ),
    "statements past their route's time": (using(cut=3), "FAIL", "FAIL statements that passed their route's time: 3"),
    "a time with nothing to hold it against": (
        changed(drifts=(Drift(what="tickets", count=0, http_ms=0, database_ms=0),)), "FAIL", "FAIL tickets: no samples",
    ),
    "times that disagree where the machine is shared": (
        changed(drifts=(Drift(what="tickets", count=9, http_ms=1000, database_ms=1030, stall=0.3),)), "FAIL",
        "30.0 ms apart (bound by the machine)",
    ),
    "times that disagree": (
        changed(drifts=(Drift(what="tickets", count=9, http_ms=1000, database_ms=1030),)), "FAIL", "30.0 ms apart",
    ),
    "durability off": (changed(durability={"fsync": "off"}), "VOID", "VOID durability is off: fsync"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_has_its_line(fault):
    evidence, word, line = PLANTED[fault]
    verdict = judge(evidence)
    assert verdict.word == word
    told = report.text(evidence, verdict)
    assert [one for one in told.splitlines() if line in one], told
    assert told.splitlines()[-1] == word


def test_a_load_that_is_to_break_is_not_blamed_for_errors_but_for_a_lost_signature():
    broken = changed(breaks=True, latencies=(msgspec.structs.replace(ROW, errors=500, p95_ms=9000),))
    assert judge(broken).word == "PASS"
    assert judge(msgspec.structs.replace(broken, checked=Checked(opened=1, lost=["x"]))).word == "FAIL"


def test_times_agree_within_a_fiftieth_or_five_milliseconds():
    assert Drift(what="x", count=1, http_ms=14, database_ms=10).agrees
    assert Drift(what="x", count=1, http_ms=1020, database_ms=1000).agrees
    assert not Drift(what="x", count=1, http_ms=16, database_ms=10).agrees


def test_a_run_is_written_into_the_history_and_held_against_the_last_of_its_kind(tmp_path):
    text, outcome = conclude(GOOD, tmp_path)
    assert outcome.verdict == "PASS"
    assert text.startswith("ĐẠT: 6,000 người cùng làm việc; chờ ký lâu nhất 3.2 giây")
    worse = changed(at="2026-02-01T00:00:00+00:00", latencies=(msgspec.structs.replace(ROW, p95_ms=80),))
    text, outcome = conclude(worse, tmp_path)
    assert outcome.verdict == "FAIL"
    assert "FAIL regression: track: p95 80.0 against 50.0 of abc1234 (+60%)" in text
    assert [one.word for one in history.read(tmp_path / "history.jsonl")] == ["PASS", "FAIL"]
    conclude(changed(quick=True), tmp_path)
    assert len(history.read(tmp_path / "history.jsonl")) == 2


def test_every_row_tells_its_stall_and_who_was_bound_by_the_machine():
    shared = changed(
        latencies=(ROW, msgspec.structs.replace(ROW, op="work list", stall=0.34)),
        drifts=(Drift(what="tickets", count=1, http_ms=30, database_ms=10, stall=0.5),),
    )
    lines = report.text(shared, judge(shared)).splitlines()
    assert next(one for one in lines if one.startswith("track ")).endswith("0%")
    assert next(one for one in lines if one.startswith("work list ")).endswith("34% machine-bound")
    assert "  tickets: 30.0 and 10.0 ms over 1, stall 50% machine-bound" in lines


def test_a_regression_of_more_than_a_tenth_fails_also_where_every_threshold_holds():
    worse = changed(at="2026-01-02T00:00:00+00:00", latencies=(msgspec.structs.replace(ROW, p95_ms=56),))
    found = compare(worse, GOOD)
    assert [one.text for one in found] == ["regression: track: p95 56.0 against 50.0 of abc1234 (+12%)"]
    assert report.text(worse, judge(worse), found).splitlines()[-1] == "FAIL"
    assert compare(with_row(p95_ms=54), GOOD) == ()
    fewer = changed(standing=msgspec.structs.replace(GOOD.standing, signatures_per_s=17))
    assert "signatures_per_s 17.0 against 20.0" in compare(fewer, GOOD)[0].text


def test_the_history_finds_the_last_run_of_a_kind_that_counts(tmp_path):
    path = tmp_path / "history.jsonl"
    for word, at, users in (("PASS", "2026-01-01", 6000), ("VOID", "2026-01-02", 6000), ("PASS", "2026-01-03", 1500)):
        history.add(word, changed(at=at, users=users), path)
    entries = history.read(path)
    assert history.last_like(entries, changed(at="2026-01-09")).evidence.at == "2026-01-01"
    assert history.last_like(entries, changed(at="2026-01-09", shape="day")) is None


# --- from what was written down to figures ---


def sample(at: float, stalled_s: float, busy_s: float = 0.0, signatures: int = 0) -> Sample:
    metrics = {
        'motcua_pool_busy_seconds_total{pool="read"}': busy_s,
        'motcua_pool_size{pool="read"}': 8.0,
        'motcua_event_loop_lag_seconds_bucket{le="0.005"}': at * 10,
        'motcua_event_loop_lag_seconds_bucket{le="+Inf"}': at * 10,
        'motcua_http_seconds_sum{route="/track/{code}"}': at * 0.01,
        'motcua_http_seconds_count{route="/track/{code}"}': at,
    }  # fmt: skip
    part = Part(cpu_s=at / 2, rss_mb=100, descriptors=10)
    return Sample(at=at, stalled_us=int(stalled_s * 1e6), parts={"api": part}, metrics=metrics, signatures=signatures)


def test_a_rows_stall_is_that_of_its_slowest_part():
    stalls = gather.Stalls([sample(100, 0), sample(101, 0), sample(102, 0.5)])
    quick = [Asked(at=100.2, op="track", ms=10, status=200, size=1, slow=False)] * 19
    late = Asked(at=101.2, op="track", ms=400, status=200, size=1, slow=False)
    (row,) = gather.latencies([*quick, late], stalls)
    assert (row.count, row.errors, row.p50_ms) == (20, 0, 10)
    assert row.stall == pytest.approx(0.5)


def test_errors_and_shed_answers_are_counted_apart_and_slow_clients_have_their_row():
    stalls = gather.Stalls([])
    answers = ((200, False), (503, False), (500, False), (200, True))
    asked = [Asked(at=1, op="track", ms=5, status=status, size=0, slow=slow) for status, slow in answers]
    fast, slow = gather.latencies(asked, stalls)
    assert (fast.count, fast.errors, fast.shed, fast.slow) == (3, 2, 1, False)
    assert (slow.count, slow.slow) == (1, True)


def test_resources_are_what_was_used_between_two_looks():
    used = gather.resources([sample(100, 0, busy_s=0), sample(110, 5, busy_s=16)])
    assert used.pools == {"read": pytest.approx(0.2)}
    assert used.cores == {"api": pytest.approx(0.5)}
    assert (used.loop_lag_p99_ms, used.stalled) == (5.0, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("pauses_s", "best"), [((0,), 10.0), ((0, 300), 10.0), ((200, 0, 300), 10.0), ((-90,), 10.0), ((-119,), 10.0)]
)
def test_the_rate_of_signing_is_that_of_the_best_two_minutes(pauses_s, best):
    """Ten a second for two minutes at a time, with pauses before and behind; or for less, and nothing more."""
    at, signed, looks = 0.0, 0, [sample(0, 0)]
    for pause in pauses_s:
        for _ in range(0, max(pause, 0), 5):
            at += 5
            looks.append(sample(at, 0, signatures=signed))
        for _ in range(0, 120 + min(pause, 0), 5):
            at, signed = at + 5, signed + 50
            looks.append(sample(at, 0, signatures=signed))
    assert gather._best(looks) == pytest.approx(best, rel=0.1)


def test_answers_are_held_against_what_the_api_counted_of_the_same_routes():
    first, last = sample(100, 0), sample(200, 0)
    for route in ("/signing-tool/transactions", "/signature-batches/{id}/events", "/metrics"):
        last.metrics[f'motcua_http_seconds_sum{{method="GET",route="{route}"}}'] = 900.0
        last.metrics[f'motcua_http_seconds_count{{method="GET",route="{route}"}}'] = 100.0
    track = Asked(at=150, op="track", ms=12, status=200, size=1, slow=False)
    others = (
        Asked(at=150, op="counter item sealed", ms=1500, status=200, size=0, slow=False),
        Asked(at=150, op="ticket", ms=700, status=200, size=0, slow=False),
        Asked(at=150, op="errands", ms=700, status=200, size=0, slow=True),
        Asked(at=99, op="track", ms=700, status=200, size=0, slow=False),
    )
    drift = gather.server_drift([track, track, *others], [first, last])
    assert (drift.count, drift.http_ms, drift.database_ms) == (2, 12, pytest.approx(10))


def test_a_generator_is_judged_by_its_busiest_ten_seconds():
    (one,) = gather.generators(
        [Health(pid=3, busy=[0.1] * 20 + [0.9] * 10 + [0.1] * 20, lag_ms=[1.0] * 98 + [200.0] * 2)]
    )
    assert (one.busy, one.lag_p99_ms) == (pytest.approx(0.9), 200.0)


def test_metrics_are_read_as_the_page_has_them():
    page = '# TYPE x gauge\nmotcua_pool_size{pool="read"} 8.0\nmotcua_other 3\nmotcua_http_in_flight 2.0\n'
    assert read_metrics(page) == {'motcua_pool_size{pool="read"}': 8.0, "motcua_http_in_flight": 2.0}


# --- model and shapes ---


def test_the_model_names_only_operations_with_a_threshold_and_adds_up():
    assert {op for persona in PERSONAS for op in persona.asks} <= set(OPERATIONS)
    assert sum(persona.share for persona in PERSONAS) == pytest.approx(100)
    assert all(persona.why for persona in PERSONAS)
    staffed = {"phone-signatory": 198, "token-signatory": 99, "clerk": 99, "head": 99}
    assert cast(12_300, staffed, ())["phone-signatory"] == 198
    assert min(cast(12, staffed, ()).values()) == 1
    storm = ("phone-signatory", "token-signatory", "clerk")
    assert cast(396, staffed, storm) == {"phone-signatory": 198, "token-signatory": 99, "clerk": 99}
    assert cast(500, staffed, shapes.SHAPES["log-ins"].only) == {"entering": 475, "late-phone": 25}
    assert cast(170, staffed, ("portal",)) == {"portal": 170}
    assert sorted(map(model.lot, range(100))) == list(range(100))


@pytest.mark.parametrize("shape", shapes.SHAPES.values(), ids=lambda shape: shape.name)
def test_every_shape_reaches_its_peak_holds_it_and_ends(shape):
    seconds = shapes.duration_s(shape, 1)
    levels = [shapes.level_at(shape, 100, 1, at) for at in range(int(seconds) + 1)]
    assert max(level.users for level in levels if level) == round(100 * max(stage.level for stage in shape.stages))
    assert shapes.level_at(shape, 100, 1, seconds + 1) is None
    began, ended = shapes.peak_of(shape, 1)
    assert 0 <= began < ended <= seconds + 1e-6


def test_what_is_judged_is_the_peak_and_of_the_morning_the_coming_itself():
    assert shapes.peak_of(shapes.SHAPES["average"], 10) == (120, 720)
    assert shapes.peak_of(shapes.SHAPES["morning"], 10) == (0, 660)
    began, ended = shapes.peak_of(shapes.SHAPES["merger-day"], 10)
    assert (began, ended) == (3 * 120 + 2 * 120, 3 * 120 + 2 * 120 + 600)


def test_the_model_makes_the_published_day():
    """12,300 users are about 300 requests a second: one in 37 s from each, by each persona's requests in an act."""
    rate = sum(p.share / 100 * p.requests / (sum(p.think_s) / 2 * 1.15) for p in PERSONAS)
    assert 250 < 12_300 * rate < 400


def test_the_command_line_knows_every_shape():
    assert (*shapes.SHAPES, "serve") == measuring.SHAPES


def test_the_merger_day_is_the_published_one():
    shape = shapes.SHAPES["merger-day"]
    assert [round(shape.peak * stage.level) for stage in shape.stages] == [1500, 6000, 12300, 6000]
    assert (shapes.SHAPES["before"].peak, shapes.SHAPES["average"].peak) == (1500, 6000)


# --- capacity ---


def test_capacity_says_from_which_run_and_how_far_it_carries():
    need = capacity.plan(3_600_000, [history.Entry(word="PASS", evidence=GOOD)])
    assert (need.users_average, need.users_peak, need.confidence) == (6000, 12300, "low")
    assert need.requests_per_s == pytest.approx(12300 * 150 / 6000)
    assert need.cores == 3  # 0.9 cores for 6,000 users, seven tenths of each core planned for
    assert "abc1234" in need.runs[0]
    held = changed(standing=msgspec.structs.replace(GOOD.standing, sessions=12300))
    entries = [history.Entry(word="PASS", evidence=held)] * 3
    assert capacity.plan(3_600_000, entries).confidence == "high"
    with pytest.raises(capacity.NoRunsError):
        capacity.plan(1, [history.Entry(word="FAIL", evidence=GOOD)])


def test_capacity_by_command(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    assert capacity.main(["--inhabitants", "1000000", "--history", str(path)]) == 1
    history.add("PASS", GOOD, path)
    assert capacity.main(["--inhabitants", "1000000", "--history", str(path)]) == 0
    out = capsys.readouterr().out
    assert "3,417" in out
    assert "confidence: high" not in out
    assert "assumed: 3,600,000" in out


def test_the_page_is_whole_in_itself_and_tells_a_director():
    page = report.page(GOOD, judge(GOOD))
    for words in ("Cùng làm việc một lúc", "Chờ ký lâu nhất", "mất 0, trùng 0, hỏng 0", "Sẽ hỏng trước tiên", "ĐẠT"):
        assert words in page
    assert "http" not in page.replace("http_ms", "")
    assert "src=" not in page


def test_levels_of_the_processes_are_added_up():
    levels = [gather.Level(1.0, 11, 5, 1), gather.Level(1.2, 22, 6, 2), gather.Level(2.0, 11, 9, 0)]
    assert [(one.users, one.in_flight) for one in gather.together(levels)] == [(5, 1), (11, 3), (15, 2)]


# --- what a shape promises beside its thresholds ---


def course(*stretches):
    """Ten requests a second, each stretch so many seconds long with so many milliseconds."""
    asked, at = [], 1000.0
    for seconds, ms, status in stretches:
        asked += [
            Asked(at=at + n / 10, op="track", ms=ms, status=status, size=0, slow=False) for n in range(seconds * 10)
        ]
        at += seconds
    return asked


def test_recovery_after_a_spike_is_measured_and_gated():
    quick = course((60, 50, 200), (60, 400, 200), (20, 200, 200), (60, 55, 200))
    assert courses.recovery_s(quick, (1060.0, 1120.0)) == 20
    late = course((60, 50, 200), (60, 400, 200), (90, 200, 200), (60, 55, 200))
    ((kind, words),) = courses.findings("spike", late, [], (1000.0, 1270.0), (1060.0, 1120.0))
    assert kind == "FAIL"
    assert "after 90 s" in words
    assert judge(changed(promises=((kind, words),))).word == "FAIL"
    never = course((60, 50, 200), (60, 400, 200), (90, 200, 200))
    assert courses.recovery_s(never, (1060.0, 1120.0)) is None


def test_a_soak_is_level_or_fails():
    assert courses.findings("soak", course((600, 50, 200)), [], (1000.0, 1600.0), (0, 0))[0][0] == "NOTE"
    worse = course((300, 50, 200), (300, 60, 200))
    assert courses.findings("soak", worse, [], (1000.0, 1600.0), (0, 0), {"api": 0.3}) == [
        ("FAIL", "p95 of the end against minutes 10 to 20: +20%, at most +10 %"),
        ("FAIL", "memory of api grew by 30% after minute 10"),
    ]


def test_the_morning_tells_bytes_per_user_and_bears_no_error_of_ours():
    visits = [Asked(at=1000 + n, op="first visit", ms=5, status=200, size=3000, slow=False) for n in range(20)]
    looks = [Asked(at=1000 + n, op="track", ms=5, status=200, size=1000, slow=False) for n in range(10)]
    users = [(0.0, 5.0), (9.0, 10.0)]
    told = courses.findings("morning", [*visits, *looks], users, (1000.0, 1100.0), (0, 0))
    assert told == [
        ("NOTE", "bytes of bodies per user: first visit 6.0 kB, all 7.0 kB (10 users)"),
        ("NOTE", "answers of 500 and above: 0 of 30, at most 0"),
    ]
    broken = Asked(at=1001, op="track", ms=5, status=503, size=0, slow=False)
    assert courses.findings("morning", [*looks, broken], users, (1000.0, 1100.0), (0, 0))[1][0] == "FAIL"


def test_memory_is_told_as_a_slope():
    def look(at: float, rss_mb: float) -> Sample:
        parts = {"api": Part(cpu_s=0, rss_mb=rss_mb, descriptors=0)}
        return Sample(at=at, stalled_us=0, parts=parts, metrics={})

    looks = [look(60.0 * minute, 100 if minute < 20 else 100 + (minute - 20)) for minute in range(61)]
    assert gather.slopes(looks) == {"api": pytest.approx(60)}
    told = courses.findings("soak", course((600, 50, 200)), [], (1000.0, 1600.0), (0, 0), {}, gather.slopes(looks))
    assert ("NOTE", "memory, MB an hour after the first third: api +60") in told


def test_work_past_its_routes_time_is_counted_across_a_restart():
    looks = [sample(100 + n, 0) for n in range(4)]
    for look, count in zip(looks, (3.0, 5.0, 0.0, 1.0), strict=True):
        look.metrics['motcua_pool_cut_total{pool="read",work="citizens"}'] = count
    assert gather.resources(looks).cut == 3


# --- where the time of a signature went ---


def test_stages_of_all_key_holders_are_added_up_and_held_against_the_rows():
    page = """# TYPE motcua_signature_stage_seconds histogram
motcua_signature_stage_seconds_bucket{holder="sp769",le="0.05",stage="prepare"} 1.0
motcua_signature_stage_seconds_sum{holder="sp769",stage="prepare"} 4.0
motcua_signature_stage_seconds_count{holder="sp769",stage="prepare"} 2.0
motcua_signature_stage_seconds_sum{holder="software",stage="prepare"} 2.0
motcua_signature_stage_seconds_count{holder="software",stage="prepare"} 1.0
"""
    after = stages.read_stages(page)
    assert after["prepare"] == (6.0, 3.0)
    nothing = stages.read_stages("")
    rows = [dict.fromkeys(stages.STAGES, 0.0) | {"prepare": seconds} for seconds in (1.0, 2.0, 3.0)]
    prepare, *others = stages.by_stage(rows, nothing, after)
    assert (prepare.count, prepare.http_ms, prepare.database_ms, prepare.agrees) == (3, 2000, 2000, True)
    assert all(not one.count for one in others), "what the signer has not counted cannot agree"
    assert not stages.by_stage([*rows, rows[0]], nothing, after)[0].count, "one more row than it has counted"
    slower = [row | {"prepare": row["prepare"] * 1.03} for row in rows]
    assert not stages.by_stage(slower, nothing, after)[0].agrees


def test_a_ticket_is_timed_by_its_askers_clock_from_the_answer_to_the_end_it_saw():
    ledger = [
        Acknowledged(op="sign these", who="x", key="k", began=9.0, ended=10.0, status=2, id="t1", items=3),
        Acknowledged(op="submit online", who="x", key="l", began=9.0, ended=10.0, status=2, id="d1"),
    ]
    ended = Finished(ticket="t1", asked_at="", finished_at="", recorded={}, outcomes={}, seen=70.5)
    seen = stages.seen_s(ledger, [ended])
    assert seen == {"t1": 60.5}
    drift = stages.as_seen({"t1": 60.0, "t2": 5.0}, seen)
    assert (drift.count, drift.agrees) == (1, True)
    assert not stages.as_seen({"t1": 50.0}, seen).agrees
    assert stages.as_seen({}, seen).count == 0


# --- the storm made to fit ---


def test_desks_are_measured_out_so_that_the_measured_rate_clears_them():
    assert storm.each(20.0, 15, 297, 150) == 21  # 18,000 signatures, seven tenths of them, two a result
    assert storm.each(1000.0, 15, 297, 150) == 150
    assert storm.each(0.1, 0.5, 297, 150) == 1


def test_a_storm_goes_by_the_last_one_that_counts_on_such_a_machine():
    assert storm.rate([], 2)[0] == storm.ASSUMED_PER_S
    told = [("PASS", "signing-storm", 11.0), ("VOID", "signing-storm", 12.0), ("PASS", "day", 13.0)]
    entries = [
        history.Entry(
            word=word,
            evidence=changed(shape=shape, standing=msgspec.structs.replace(GOOD.standing, best_signatures_per_s=rate)),
        )
        for word, shape, rate in told
    ]
    assert storm.rate(entries, 2) == (11.0, "the run of abc1234, 2026-01-01T00:00:00+00:00")
    assert storm.rate(entries, 8)[0] == storm.ASSUMED_PER_S


def test_a_storm_whose_desks_are_not_cleared_fails_and_the_whole_day_is_told_as_extrapolated():
    desks = storm.Desks(
        desks=2, each=2, people=(), per_s=10, source="assumed", chains=tuple(UUID(int=n) for n in range(4))
    )
    good = storm.findings(desks, (3, 1), 20.0)
    assert [kind for kind, _ in good] == ["NOTE"] * 3
    assert good[-1][1] == "extrapolated, not run: 44,550 results would take 1:14:15 at 20.0 signatures/s"
    assert storm.findings(desks, (3, 0), 20.0)[1] == (
        "FAIL", "of 4 results on the desks 3 are signed and sealed, 0 refused by their signatory"
    )  # fmt: skip


def test_the_knee_is_where_it_is_no_longer_borne():
    users = [(float(second), float(second * 10)) for second in range(120)]
    found = courses.knee(course((60, 50, 200), (30, 1500, 200)), users, 1000.0)
    assert (found.at_s, found.users) == (60.0, 700)
    errors = courses.knee(course((60, 50, 200), (30, 50, 503)), users, 1000.0)
    assert errors.errors == 1.0
    assert courses.knee(course((60, 50, 200)), users, 1000.0) is None


def test_a_fault_that_is_felt_where_it_was_not_to_be_fails():
    fault = faults.Happened(
        name="signer killed",
        expected="nobody feels it",
        began=1060.0,
        ended=1090.0,
        cooled=1120.0,
        unaffected=("track",),
    )
    good = faults.judge([fault], course((120, 50, 200)), lambda _: 300)
    assert [kind for kind, _ in good] == ["NOTE"]
    felt = faults.judge([fault], course((60, 50, 200), (30, 900, 200), (30, 50, 200)), lambda _: 300)
    assert felt[1] == ("FAIL", "signer killed: track p95 900 ms while it lasted; 50 ms before it")
    failed = faults.judge([fault], course((60, 50, 200), (30, 50, 503)), lambda _: 300)
    assert failed[-1][0] == "FAIL"
    assert "300 answers" in failed[-1][1]


def test_a_batch_that_waits_longer_than_its_fair_share_is_found():
    fair = [(0.0, 10.0, 10)] * 4
    assert courses.shares(fair) == [pytest.approx(1.0)] * 4
    assert courses.fairness(fair)[0][0] == "NOTE"
    starved = [*fair, (0.0, 10.0, 2)]
    assert courses.shares(starved)[-1] == pytest.approx(42 / 5 / 2)
    assert courses.fairness(starved)[0] == ("FAIL", "batches against the fair share: p95 4.2 x, at most 2 x")


def test_a_single_batch_that_waits_is_found_among_many_and_a_quick_one_has_not_waited():
    many = [(0.0, 20.0, 10)] * 40
    late, quick = (0.0, 20.0, 1), (0.0, 9.0, 1)
    kinds = [kind for kind, _ in courses.fairness([*many, late])]
    assert kinds == ["NOTE", "FAIL"]
    assert [kind for kind, _ in courses.fairness([*many, quick])] == ["NOTE", "NOTE"]


def test_every_thread_is_found_so_that_a_whole_process_can_be_held_to_a_processor():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert {os.getpid(), thread.native_id} <= set(threads_of([os.getpid(), 2**22 + 1]))
    finally:
        stop.set()
        thread.join()


def happened(**parts):
    told = {"name": "x", "expected": "y", "rested": 1000.0, "began": 1060.0, "ended": 1090.0, "cooled": 1150.0}
    return faults.Happened(**{**told, "unaffected": ("track",), **parts})


def test_a_fault_that_leaves_nothing_unaffected_must_be_over_in_time():
    away = course((60, 50, 200), (20, 50, 503), (70, 50, 200))
    over = happened(over_s=30.0)
    assert [kind for kind, _ in faults.judge([over], away, lambda _: 300)] == ["NOTE"]
    longer = course((60, 50, 200), (40, 50, 503), (50, 50, 200))
    kind, words = faults.judge([over], longer, lambda _: 300)[-1]
    assert (kind, words.endswith("failed 30 s after it began")) == ("FAIL", True)
    short = faults.judge([happened(over_s=100.0)], longer, lambda _: 300)
    assert [kind for kind, _ in short] == ["NOTE", "NOTE"]


def test_what_the_rows_say_after_a_fault_and_silence_are_failures_and_what_was_left_out_is_told():
    asked = course((150, 50, 200))
    assert faults.judge([happened(wrong="2 key uses")], asked, lambda _: 300)[-1] == ("FAIL", "x: 2 key uses")
    assert faults.judge([happened(unaffected=("journal",))], asked, lambda _: 300)[-1] == (
        "FAIL", "x: nobody asked while it lasted, so nothing is known",
    )  # fmt: skip
    assert faults.judge([happened(left_out="no strace")], asked, lambda _: 300) == [("NOTE", "x: left out, no strace")]
    felt = faults.judge([happened()], course((60, 200, 200), (30, 900, 200), (60, 50, 200)), lambda _: 300)
    assert felt[-1] == ("FAIL", "x: track p95 900 ms while it lasted; 200 ms before it")


def test_faults_are_chosen_by_name():
    assert faults.chosen((), everything=False) == ()
    assert faults.chosen((), everything=True) == faults.FAULTS
    (one,) = faults.chosen(("HSM gone",), everything=True)
    assert one.name == "HSM gone"
    with pytest.raises(ValueError, match="no such fault: coffee gone"):
        faults.chosen(("coffee gone",), everything=False)
    assert {op for fault in faults.FAULTS for op in fault.unaffected} <= set(OPERATIONS)
    assert all(fault.expected for fault in faults.FAULTS)


def test_memory_and_processors_that_are_used_up_fail_a_run():
    assert "memory: the kernel killed 1" in judge(using(killed=1)).findings[0].text
    worn = judge(using(cores={"api": 1.0, "postgres": 0.9}))
    assert [one.text for one in worn.findings] == ["processors: 95% used by the product, at most 90%"]
    assert worn.word == "FAIL"


# --- the open model ---


class Answers:
    """Answers every step of an act as a product does on which everything is there."""

    def __init__(self, who) -> None:
        self.who, self.asked = who, []

    def perform(self, act):
        answer = None
        try:
            while True:
                step = act.send(answer)
                answer = self.of(step)
                if isinstance(step, acts.Ask | acts.Follow):
                    self.asked.append(step)
        except StopIteration:
            return self.asked

    def of(self, step):
        items = [{"id": "r", "sha256": "a", "dossier_code": "D"}] * 10
        errands = [{"transaction_id": "t", "ticket": "T", "items": [{"request_id": f"{n}"} for n in range(10)]}]
        told = {"errands": errands, "errand file": b"%PDF", "impatient": {}}
        if not isinstance(step, acts.Ask):
            return b"%PDF" if isinstance(step, acts.Token) else {}
        return told.get(step.op, {"items": items, "code": "D", "secret": "s", "ticket": "T", "token": "k"})


def test_an_act_asks_on_average_what_the_model_says_so_that_the_open_model_keeps_its_rate():
    seat = Seat(
        login="tiepnhan.x", token="k", totp_secret="A" * 32, source="127.99.1.1", centre_code="C", ward_id="w",
        territory="t",
    )  # fmt: skip
    seats = {persona.name: [seat] for persona in model.PERSONAS if persona.official}
    plan = Plan(
        url="http://127.0.0.1:1", shape="open", users=12_300, minutes=1, ramp_s=1, haste=1, workers=2, seed=1, out="/",
        password="p", procedure="1", seats=seats, sources=["127.99.1.1"], codes=["D"], documents={"w": ["d"]},
        largest_file=200_000,
    )  # fmt: skip
    rates = acts_per_s(1_000)
    assert sum(rates[one.name] * one.requests for one in PERSONAS) == pytest.approx(1_000)
    for persona in PERSONAS:
        who, asked = Visitor(plan, persona.name, 0), 0
        for _ in range(300):
            who._last_step = 0
            asked += len(Answers(who).perform(acts.next_act(who)))
        assert asked / 300 == pytest.approx(persona.requests, rel=0.15), persona.name


@pytest.mark.parametrize(("stage", "right"), [("failed", True), ("recorded", False)])
def test_a_late_telephone_signs_nothing_until_it_is_set_right(stage, right):
    seat = Seat(
        login="chutich.x", token="k", totp_secret="A" * 32, source="127.99.1.1", centre_code="C", ward_id="w",
        territory="t",
    )  # fmt: skip
    plan = Plan(
        url="http://127.0.0.1:1", shape="log-ins", users=500, minutes=1, ramp_s=1, haste=1, workers=2, seed=1, out="/",
        password="p", procedure="1", seats={"late-phone": [seat]}, sources=["127.99.1.1"], codes=["D"], documents={},
    )  # fmt: skip
    who = Visitor(plan, "late-phone", 0)

    class Told(Answers):
        def of(self, step):
            return {"items": [{"stage": stage}]} if isinstance(step, acts.Follow) else super().of(step)

    seen, told = [], Told(who)
    answer, act = None, acts.next_act(who)
    with contextlib.suppress(StopIteration):
        while True:
            seen.append(act.send(answer))
            answer = told.of(seen[-1])
    orders = [step for step in seen if isinstance(step, acts.Ask) and step.effect]
    assert [order.op for order in orders] == ["sign by a late clock", "sign these"]
    assert orders[0].body["code"] != orders[1].body["code"] == TOTP(seat.totp_secret).now()
    assert [step.right for step in seen if isinstance(step, acts.Took)] == [right]


def test_what_was_due_and_did_not_come_fails_the_open_model():
    written = gather.Written(
        asked=course((100, 50, 200)), ledger=[], intents=[], twins=[], finished=[], levels=[],
        healths=[Health(pid=1, busy=[], lag_ms=[], stood=30)],
    )  # fmt: skip
    assert [kind for kind, _ in gather.arrivals(written, 20, 10.0, (1000.0, 1100.0))] == ["NOTE", "NOTE"]
    written.healths[0].left_out = 3
    told = gather.arrivals(written, 20, 20.0, (1000.0, 1100.0))
    assert [kind for kind, _ in told] == ["FAIL", "NOTE", "FAIL"]
    assert "10 requests/s came of 20" in told[0][1]


def test_both_models_are_told_side_by_side(tmp_path):
    conclude(GOOD, tmp_path)
    opened = changed(rate=1_000.0, shape="open", at="2026-03-01T00:00:00+00:00")
    text, _ = conclude(opened, tmp_path)
    assert "  track: open 50.0, closed 50.0 ms" in text
    assert report._DIFFERENCE in text
    alone, _ = conclude(opened, tmp_path / "elsewhere")
    assert "of the other model no run" in alone


# --- what is outside ---


def test_a_cut_holds_streams_or_a_ward():
    everything = Cut(streams=True)
    assert everything.holds("127.99.1.1", stream=True)
    assert not everything.holds("127.99.1.1", stream=False)
    ward = Cut(source="127.99.1.1")
    assert ward.holds("127.99.1.1", stream=False)
    assert not ward.holds("127.99.2.1", stream=True)


def test_a_disk_is_slow_or_full_by_order(tmp_path):
    orders, place = tmp_path / "orders", site._DISK
    code = f"import os; f = open({str(tmp_path / 'file')!r}, 'w'); os.fsync(f.fileno())"
    environment = {**os.environ, "PYTHONPATH": str(place), "MOTCUA_LOAD_DISK": str(orders)}

    def sync():
        words = [sys.executable, "-c", code]
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    assert sync().returncode == 0
    orders.write_text("full")
    assert "No space left on device" in sync().stderr
    orders.write_text("slow 1")
    began = time.monotonic()
    assert sync().returncode == 0
    assert time.monotonic() - began > 1
