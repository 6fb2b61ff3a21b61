"""The model of the load, as data: who comes, how often, how long they think, what they send; each with its reason.

All of it is printed with every result. Where the public record gives a figure it is used; everything else is a
judgement and says so. The two figures of the record are 6,000 connections on average and 12,300 at peak.
"""

from collections.abc import Mapping
from typing import Final

import msgspec


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of user."""

    name: str
    vi: str
    en: str
    share: float
    """Part of all users, in percent."""
    think_s: tuple[float, float]
    """Seconds between two acts, evenly spread; 40 on average over everybody."""
    why: str
    asks: tuple[str, ...]
    """Operations of which there must be samples where this persona takes part."""
    requests: float = 1.0
    """What one act asks for, on average: by it the open model turns requests a second into acts."""
    official: bool = False
    """Has an account, and comes in by a session."""


PERSONAS: Final = (
    Persona(
        name="tracker", vi="Công dân tra cứu hồ sơ", en="citizen who tracks", share=30, think_s=(30, 70),
        why="citizens make the peak, and most of them look where their dossier is (judgement)",
        asks=("first visit", "track"),
    ),
    Persona(
        name="submitter", vi="Công dân nộp hồ sơ trực tuyến kèm tệp", en="citizen who submits with files", share=8,
        think_s=(40, 120), why="filling in a form takes minutes; about one in five citizens submits (judgement)",
        requests=3,
        asks=("submit online", "hand a file in", "track with secret"),
    ),
    Persona(
        name="portal", vi="Cổng dịch vụ công gửi hồ sơ", en="portal client with idempotency keys", share=1,
        think_s=(5, 15), why="the national portal hands in by few connections, one in ten twice (an outage's repeat)",
        requests=1.1,
        asks=("submit online",),
    ),
    Persona(
        name="officer", vi="Công chức tiếp nhận, thụ lý", en="officer", share=40, think_s=(40, 120),
        why="mostly staff: about 60 accounts a ward x 99; list, dossier and journal are three requests an act",
        official=True, requests=2.6,
        asks=("work list", "dossier", "journal", "receive", "hand over"),
    ),
    Persona(
        name="phone-signatory", vi="Lãnh đạo ký bằng điện thoại", en="phone signatory", share=3, think_s=(35, 75),
        why="2 of 3 a ward x 99 = 198; a one-time code is good once in 30 s, so nobody signs more often",
        official=True, requests=3,
        asks=("to-sign list", "sign these", "ticket"),
    ),
    Persona(
        name="token-signatory", vi="Lãnh đạo ký bằng USB token", en="own-token signatory", share=1, think_s=(35, 75),
        why="the third of each ward, 99: fetches each file, signs it in 1 to 3 s, hands it or its value back",
        official=True, requests=20,
        asks=("to-sign list", "sign by token", "errands", "errand file", "file back", "values back"),
    ),
    Persona(
        name="clerk", vi="Văn thư cấp số, ký số của cơ quan", en="clerk", share=3, think_s=(35, 65),
        why="one to three a ward; each sealing needs a fresh one-time code",
        official=True, requests=3,
        asks=("to-sign list", "seal these"),
    ),
    Persona(
        name="head", vi="Giám đốc Trung tâm theo dõi", en="head who watches", share=2, think_s=(30, 90),
        why="one a centre, counts and late lists; the limit of reports is one a second an agency",
        official=True, requests=2,
        asks=("head counts", "late list"),
    ),
    Persona(
        name="reader", vi="Người đọc PDF", en="reader of PDFs", share=7, think_s=(20, 60),
        why="documents could not be read in that July, so somebody reads all the time",
        official=True,
        asks=("read PDF",),
    ),
    Persona(
        name="impatient", vi="Người sốt ruột, bấm F5", en="the impatient", share=5, think_s=(30, 60),
        why="presses F5 after five seconds, up to five times, and drops the first connection",
        requests=1.1,
        asks=("impatient",),
    ),
)  # fmt: skip

STORMS: Final = (
    Persona(
        name="entering", vi="Cán bộ đăng nhập lại", en="those who log in again", share=95, think_s=(20, 60),
        why="all sessions have ended at once: 25 % mistype, 5 % are locked, nobody else may feel it",
        official=True, requests=1.7, asks=("log in", "log in in vain", "work list"),
    ),
    Persona(
        name="late-phone", vi="Lãnh đạo có điện thoại chạy chậm 90 giây", en="signatory whose telephone is 90 s late",
        share=5, think_s=(35, 75),
        why="the code of a clock that is 90 s late signs nothing; told so, they set it right and sign",
        official=True, requests=5, asks=("to-sign list", "sign by a late clock", "late clock refused", "sign these"),
    ),
)  # fmt: skip
"""Those who come in a shape of their own only."""
BY_NAME: Final[Mapping[str, Persona]] = {persona.name: persona for persona in (*PERSONAS, *STORMS)}
LATE_CLOCK_S: Final = 90
WRONG_PASSWORDS, LOCKED = 25, 5
"""Of a hundred who log in again: how many always mistype, and how many accounts are locked."""
FILES_BACK: Final = 0.5
"""Of what own tokens sign: the part that comes back as a whole file, as VGCA's tool does; the rest as raw values."""
TOKEN_LINE: Final = (0.02, 20_000_000 / 8 / 30)
"""Own tokens: round-trip time in seconds, and a thirtieth of a ward's line of 20 Mbit/s, in bytes a second."""

WATCH_S: Final = 300.0
"""How long somebody stays with a ticket of theirs."""
BATCH: Final = 10
"""Documents in one ask: 297 signatories who each take a minute and a half then make 20 signatures a second."""
STORM_BATCH: Final = 50
"""In the signing storm: what one confirmation may hold at the key holder's default."""

NOT_SIMULATED: Final[Mapping[str, str]] = {
    "Luồng sự kiện của danh sách việc / a stream of the work list": "chỉ có luồng của lượt ký / tickets only",
    "Hệ thống văn bản, LGSP / document system, LGSP": "chưa có phần nối / those slices are not built yet",
    "Mạng ngoài máy này / a network beyond this machine": "mọi thứ qua loopback / all is loopback",
    "Sáu thẻ một trình duyệt / six tabs of one browser": "cần trình duyệt thật / wants a real browser",
    "Báo cáo buổi trưa, công bố thủ tục / noon's reports, publishing": "chưa có báo cáo / there are no reports yet",
}
"""What the first page lists as left out, and why."""

SLOW_SHARE: Final = 0.20
SLOW_RTT_S: Final = (0.2, 0.5)
SLOW_BYTES_PER_S: Final = (62_500, 625_000)
"""One user in five has 200 to 500 ms round-trip time and 0.5 to 5 Mbit/s, by paced reads and writes of the client."""

RESUMES: Final = 0.9
"""Staff who come back with yesterday's session; the others log in by password, which costs the server an argon2."""


class FileSize(msgspec.Struct, frozen=True, kw_only=True):
    """One class of files that citizens send: its part of all, and its size in bytes."""

    name: str
    share: float
    least: int
    most: int
    why: str


FILES: Final = (
    FileSize(name="born digital", share=0.60, least=40_000, most=80_000, why="60 KB in the middle"),
    FileSize(name="scan", share=0.37, least=500_000, most=4_000_000, why="1 to 30 pages of 200 dpi, median 2 MB"),
    FileSize(name="long scan", share=0.03, least=8_000_000, most=30_000_000, why="the tail, up to 30 MB"),
)


class Phones(msgspec.Struct, frozen=True, kw_only=True):
    """What the people with the phones do once they are asked, as parts of all."""

    delay_s: tuple[float, float] = (5.0, 180.0)
    expire: float = 0.10
    refuse: float = 0.05
    twice: float = 0.05
    """Tap twice: the answer comes twice."""
    lost: float = 0.05
    """Lose the network between tap and answer: no call back, the poll finds it."""


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """How the timestamping authority behaves: what was measured of real ones, spread evenly over the logarithm."""

    delay_s: tuple[float, float] = (2.0, 131.0)
    down: bool = False


PROFILES: Final = "2"
"""The version of what is outside: raised with every change of how phones, authority or remote signer behave."""


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """What one operation may take, in milliseconds; work of others and of persons is not counted in it."""

    p95_ms: float
    p99_ms: float
    writes: bool = False
    optional: bool = False
    """A row without samples is a failure, unless the shape may pass without it."""


_READ: Final = Threshold(p95_ms=300, p99_ms=1000)
_WRITE: Final = Threshold(p95_ms=500, p99_ms=2000, writes=True)
OPERATIONS: Final[Mapping[str, Threshold]] = {
    "first visit": _READ,
    "track": _READ,
    "track with secret": _READ,
    "submit online": _WRITE,
    "hand a file in": Threshold(p95_ms=2000, p99_ms=5000, writes=True),
    "log in": Threshold(p95_ms=1000, p99_ms=3000, writes=True, optional=True),
    "log in in vain": Threshold(p95_ms=1000, p99_ms=3000, optional=True),
    "work list": _READ,
    "dossier": _READ,
    "journal": _READ,
    "receive": _WRITE,
    "hand over": _WRITE,
    "to-sign list": _READ,
    "sign these": _WRITE,
    "sign by token": _WRITE,
    "sign by a late clock": _WRITE,
    "errands": _READ,
    "errand file": Threshold(p95_ms=500, p99_ms=2000),
    "file back": Threshold(p95_ms=3000, p99_ms=5000, writes=True),
    "values back": Threshold(p95_ms=3000, p99_ms=5000, writes=True),
    "ticket": Threshold(p95_ms=300, p99_ms=1000, optional=True),
    "seal these": _WRITE,
    "head counts": Threshold(p95_ms=500, p99_ms=1500),
    "late list": Threshold(p95_ms=500, p99_ms=1500),
    "read PDF": Threshold(p95_ms=500, p99_ms=2000),
    "verify": Threshold(p95_ms=500, p99_ms=2000, optional=True),
    "impatient": _READ,
    "counter item sealed": Threshold(p95_ms=10_000, p99_ms=20_000, optional=True),
    "late clock refused": Threshold(p95_ms=10_000, p99_ms=20_000, optional=True),
    "signed after the tap": Threshold(p95_ms=10_000, p99_ms=30_000, optional=True),
}
"""By operation; one that is not named here may not be asked. What is handed back waits up to 2 s for the signer."""

FIXED: Final = ("phone-signatory", "token-signatory", "clerk", "head")
"""Of these there are only so many in the province."""


def cast(users: int, seats: Mapping[str, int], only: tuple[str, ...]) -> dict[str, int]:
    """Return how many of each persona there are at the peak of so many users: at least one, and no more than seats.

    What is left over by rounding are officers.
    """
    found: dict[str, int] = {}
    those = [BY_NAME[name] for name in only] or PERSONAS
    whole = sum(persona.share for persona in those)
    for persona in those:
        wanted = max(1, int(users * persona.share / whole))
        if persona.name in FIXED:
            wanted = min(seats[persona.name], seats[persona.name] if only else wanted)
        found[persona.name] = wanted
    if "officer" in found:
        found["officer"] += max(0, users - sum(found.values()))
    return found


def lot(number: int) -> int:
    """Return the lot of 0 to 99 that somebody draws, so that a few users are of all kinds as well."""
    return number * 37 % 100


ERRORS_MOST: Final = 0.001
"""Part of all answers that may be errors in a shape that promises to hold."""


def told() -> list[str]:
    """Return the model as lines that are printed with every result."""
    lines = [f"profiles of what is outside: version {PROFILES}"]
    lines += [f"{p.en}: {p.share:g} %, thinks {p.think_s[0]:g}-{p.think_s[1]:g} s; {p.why}" for p in PERSONAS]
    lines += [f"file, {f.name}: {f.share:.0%}, {f.least:,}-{f.most:,} bytes; {f.why}" for f in FILES]
    phones = Phones()
    lines.append(
        f"phones: confirm after {phones.delay_s[0]:g}-{phones.delay_s[1]:g} s, {phones.expire:.0%} expire, "
        f"{phones.refuse:.0%} refuse, {phones.twice:.0%} tap twice, {phones.lost:.0%} lose the network"
    )
    least, most = Authority().delay_s
    lines.append(f"timestamping authority: answers after {least:g}-{most:g} s; every sealed document owes B-T")
    lines.append(
        f"slow clients: {SLOW_SHARE:.0%}, {SLOW_RTT_S[0] * 1000:.0f}-{SLOW_RTT_S[1] * 1000:.0f} ms, "
        f"{SLOW_BYTES_PER_S[0] * 8 / 1e6:g}-{SLOW_BYTES_PER_S[1] * 8 / 1e6:g} Mbit/s, by paced reads and writes"
    )
    lines.append(f"sessions: {RESUMES:.0%} of the staff resume, the others log in by password")
    return lines
