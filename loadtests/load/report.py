"""The report: as text for a terminal, and as one self-contained page whose first screen is for a director."""

from collections.abc import Sequence
from html import escape
from typing import Final

from loadtests.load import statements
from loadtests.load.model import OPERATIONS
from loadtests.load.verdict import STALL_MOST, Drift, Evidence, Finding, Latency, Verdict

_WORD_VI: Final = {"PASS": "ĐẠT", "FAIL": "KHÔNG ĐẠT", "VOID": "KHÔNG TÍNH (máy sinh tải quá tải)"}


_OPEN: Final = "an open model: requests come when they are due, whoever still waits for an answer"
_CLOSED: Final = "a closed model (Locust): each user waits for an answer and thinks before asking again"
_DIFFERENCE: Final = (
    "a slow server is asked less by users who wait for it, so the closed model tells what people feel and hides a "
    "queue; the open one goes on asking, counts from when a request was due, and shows it"
)


def text(
    evidence: Evidence, verdict: Verdict, against: Sequence[Finding] = (), other: Evidence | None = None, *,
    model: bool = True,
) -> str:  # fmt: skip
    """Return the whole report as lines; `other` is a run of the other model to tell beside it."""
    checked, kept, machine = evidence.checked, evidence.kept, evidence.machine
    lines = [
        summary(evidence, verdict_line(verdict, against)),
        f"{evidence.shape}: {evidence.users} users, peak held {evidence.minutes:g} minutes, {evidence.commit}, "
        f"{evidence.at}" + (" (a trial: too short to measure anything)" if evidence.quick else ""),
        standing(evidence),
        f"machine: {machine.cores} cores, {machine.memory_gb:.0f} GB, factor {machine.factor:.2f} "
        f"(cpu loop {machine.cpu_s:.2f} s, fsync {machine.fsync_ms:.1f} ms), load before {machine.load_before:.1f}",
        *([f"pinned: {evidence.pinned}"] if evidence.pinned else []),
        "durability: " + ", ".join(f"{name}={value}" for name, value in evidence.durability.items()),
        f"signatures: {checked.opened} opened; lost {len(checked.lost)}, doubled {len(checked.doubled)}, "
        f"invalid {len(checked.invalid)}; longest wait to sign {evidence.longest_wait_s:.1f} s",
        f"ledger: {kept.acknowledged} acknowledged, {len(kept.missing)} missing, {len(kept.unasked)} unasked, "
        f"{len(kept.reordered)} journals out of order, {len(kept.unended)} tickets open",
        used(evidence),
        "generators: "
        + "; ".join(f"{g.pid}: {g.busy:.0%} of a core, loop {g.lag_p99_ms:.0f} ms late" for g in evidence.generators),
        _OPEN if evidence.rate else _CLOSED,
        "behind TLS"
        if evidence.tls
        else f"without TLS; {evidence.tls_cost or 'its cost was not measured in this run'}",
        f"profiles of what is outside: version {evidence.profiles}",
        "",
        f"{'':28}{'count':>8}{'errors':>8}{'p50 ms':>9}{'p95 ms':>9}{'of':>8}{'p99 ms':>9}{'of':>8}{'stall':>8}",
    ]
    lines += [_row(row) for row in evidence.latencies]
    lines += ["", *_beside(evidence, other)]
    lines += ["", "by HTTP and by what the server kept:"]
    lines += [_drift(one) for one in evidence.drifts]
    lines += ["", "what PostgreSQL spent its time on:"]
    lines += [f"  {statements.told(one)}" for one in evidence.statements]
    lines += ["", "not simulated:"] + [f"  {what}: {why}" for what, why in evidence.not_simulated.items()]
    if model:
        lines += ["", "the model:"] + [f"  {line}" for line in evidence.model]
    lines += ["", *(f"{one.kind} {one.text}" for one in (*verdict.findings, *against)), verdict_line(verdict, against)]
    return "\n".join(lines) + "\n"


def _beside(evidence: Evidence, other: Evidence | None) -> list[str]:
    """Both models side by side, and why they differ."""
    if other is None:
        return [f"of the other model no run that counts is in the history yet; {_DIFFERENCE}"]
    told = f"{other.shape}, {other.commit}, {other.at}: {standing(other)}"
    there = {row.op: row for row in other.latencies if not row.slow}
    names = ("open", "closed") if evidence.rate else ("closed", "open")
    both = [
        f"  {row.op}: {names[0]} {row.p95_ms:.1f}, {names[1]} {there[row.op].p95_ms:.1f} ms"
        for row in evidence.latencies
        if not row.slow and row.op in there
    ]
    return [f"p95 beside the other model's ({told}):", *both, _DIFFERENCE]


def verdict_line(verdict: Verdict, against: Sequence[Finding] = ()) -> str:
    """Return the one word."""
    return "FAIL" if verdict.word == "PASS" and against else verdict.word


def summary(evidence: Evidence, word: str) -> str:
    """Return what a director wants to know, in one Vietnamese line."""
    checked = evidence.checked
    return (
        f"{_WORD_VI[word]}: {evidence.standing.sessions:,} người cùng làm việc; chờ ký lâu nhất "
        f"{evidence.longest_wait_s:.1f} giây; {checked.opened:,} chữ ký đã kiểm, mất {len(checked.lost)}, "
        f"trùng {len(checked.doubled)}, hỏng {len(checked.invalid)}; sẽ hỏng trước tiên: {breaks_first(evidence)[0]}"
    )


def standing(evidence: Evidence) -> str:
    """Return the four figures that are told together."""
    now = evidence.standing
    return (
        f"{now.sessions} sessions, {now.in_flight:.1f} requests in flight, {now.requests_per_s:.1f} requests/s, "
        f"{now.signatures_per_s:.2f} signatures/s ({now.best_signatures_per_s:.2f} in the best two minutes)"
    )


def used(evidence: Evidence) -> str:
    """Return what the product used."""
    r = evidence.resources
    pools = ", ".join(f"{name} {part:.0%}" for name, part in sorted(r.pools.items()))
    cores = ", ".join(f"{name} {value:.2f}" for name, value in sorted(r.cores.items()))
    memory = ", ".join(f"{name} {value:.0f} MB" for name, value in sorted(r.rss_mb.items()))
    return (
        f"used: pools {pools}; API loop {r.loop_lag_p99_ms:.1f} ms late (p99); cores {cores}; {memory}; "
        f"descriptors {sum(r.descriptors.values())}; dead rows {r.dead_rows}; sessions {r.database_sessions}; "
        f"past their route's time {r.cut}; "
        f"stalled {r.stalled:.0%}"
    )


def _row(row: Latency) -> str:
    most = OPERATIONS[row.op]
    name = f"{row.op} (slow)" if row.slow else row.op
    bound = " machine-bound" if row.stall > STALL_MOST else ""
    return (
        f"{name:28}{row.count:>8}{row.errors:>8}{row.p50_ms:>9.1f}{row.p95_ms:>9.1f}{most.p95_ms:>8.0f}"
        f"{row.p99_ms:>9.1f}{most.p99_ms:>8.0f}{row.stall:>8.0%}{bound}"
    )


def _drift(one: Drift) -> str:
    bound = " machine-bound" if one.stall > STALL_MOST else ""
    return (
        f"  {one.what}: {one.http_ms:.1f} and {one.database_ms:.1f} ms over {one.count}, stall {one.stall:.0%}{bound}"
    )


def breaks_first(evidence: Evidence) -> tuple[str, str]:
    """Return what is nearest to its bound, in Vietnamese and English: what would break first."""
    r = evidence.resources
    busiest = max(r.cores.items(), key=lambda one: one[1], default=("-", 0.0))
    near = {
        ("bộ xử lý của máy", "the machine's processors"): sum(r.cores.values()) / max(evidence.machine.cores, 1),
        (f"một nhân cho {busiest[0]}", f"one core for {busiest[0]}"): busiest[1] if busiest[0] == "api" else 0.0,
        ("vòng sự kiện của API", "the API's event loop"): r.loop_lag_p99_ms / 20.0,
        **{(f"bể kết nối {name}", f"the {name} pool"): part / 0.8 for name, part in r.pools.items()},
    }
    (vi, en), share = max(near.items(), key=lambda one: one[1])
    return f"{vi} ({share:.0%} giới hạn)", f"{en} ({share:.0%} of its bound)"


def page(evidence: Evidence, verdict: Verdict, against: Sequence[Finding] = (), other: Evidence | None = None) -> str:
    """Return the page; it needs nothing from anywhere."""
    word = verdict_line(verdict, against)
    checked, machine = evidence.checked, evidence.machine
    wrong = f"mất {len(checked.lost)}, trùng {len(checked.doubled)}, hỏng {len(checked.invalid)}"
    where = f"hệ số máy {machine.factor:.2f}; mọi thứ trên cùng một máy, kể cả phần sinh tải"
    tapped = "từ lúc bấm xác nhận trên điện thoại đến khi chữ ký đã ghi"
    facts = (
        ("Cùng làm việc một lúc", f"{evidence.standing.sessions:,} người", standing(evidence)),
        ("Chờ ký lâu nhất", f"{evidence.longest_wait_s:.1f} giây", tapped),
        ("Chữ ký đã kiểm từng cái", f"{checked.opened:,}", wrong),
        ("Sẽ hỏng trước tiên", *breaks_first(evidence)),
        ("Trên máy", f"{machine.cores} nhân, {machine.memory_gb:.0f} GB", where),
    )
    cards = "".join(
        f"<div class=card><h3>{escape(a)}</h3><b>{escape(b)}</b><p>{escape(c)}</p></div>" for a, b, c in facts
    )
    left = "".join(f"<li><b>{escape(what)}</b>: {escape(why)}</li>" for what, why in evidence.not_simulated.items())
    done = "".join(f"<li>{escape(line)}</li>" for line in evidence.model)
    found = "".join(f"<li class={one.kind}>{one.kind} {escape(one.text)}</li>" for one in (*verdict.findings, *against))
    plots = "".join(plot(name, points) for name, points in evidence.series.items() if points)
    trial = "<p class=trial>Chạy thử rất ngắn: các con số không có giá trị đo.</p>" if evidence.quick else ""
    return f"""<!doctype html><html lang=vi><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Motcua {escape(evidence.shape)}: {word}</title><style>{_STYLE}</style>
<h1 class={word}>{escape(_WORD_VI[word])}: {escape(evidence.shape)}, {evidence.users:,} người dùng</h1>{trial}
<div class=cards>{cards}</div>
<h2>Không mô phỏng</h2><ul>{left}</ul>
<h2>Phát hiện / findings</h2><ul>{found or "<li>không có / none</li>"}</ul>
<h2>Diễn biến / course</h2>{plots}
<h2>Chi tiết / details</h2><pre>{escape(text(evidence, verdict, against, other, model=False))}</pre>
<h2>Đã mô phỏng / the model</h2><ul>{done}</ul></html>
"""


_STYLE: Final = """body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:1em}
.card{border:1px solid #bbb;border-radius:6px;padding:1em}
.card h3{margin:0;font-weight:400}.card b{font-size:1.6em}.card p{margin:0;color:#555;font-size:.85em}
h1.PASS{color:#06662b}h1.FAIL,li.FAIL{color:#a40000}h1.VOID,li.VOID{color:#8a5a00}.trial{color:#8a5a00}
pre{overflow:auto;background:#f5f5f5;padding:1em;font-size:.8em}svg{width:100%;height:150px;border:1px solid #ddd}"""
_WIDTH, _HEIGHT, _LEFT = 1000, 150, 60


def plot(name: str, points: Sequence[tuple[float, float]]) -> str:
    """Draw one series as SVG: a line over seconds, with its greatest value and its last second named."""
    most = max((value for _, value in points), default=0.0) or 1.0
    least_at, last_at = points[0][0], max(points[-1][0], points[0][0] + 1)
    drawn = " ".join(
        f"{_LEFT + (at - least_at) / (last_at - least_at) * (_WIDTH - _LEFT - 10):.1f},"
        f"{_HEIGHT - 20 - value / most * (_HEIGHT - 40):.1f}"
        for at, value in points
    )
    return (
        f'<h3>{escape(name)}</h3><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{escape(name)}">'
        f"<text x=4 y=24 font-size=13>{most:,.4g}</text><text x=4 y={_HEIGHT - 20} font-size=13>0</text>"
        f"<text x={_WIDTH - 60} y={_HEIGHT - 4} font-size=13>{last_at:,.0f} s</text>"
        f'<polyline fill=none stroke=#14507a stroke-width=2 points="{drawn}"/></svg>'
    )
