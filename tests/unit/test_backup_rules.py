"""What a backup reaches, which WAL it lacks, what libpq is told, which migrations are due: rules without a server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.backup.checking import choose
from api.backup.faults import BackupError
from api.backup.place import Manifest, Place, first_gap, segment_number, segment_of, write_manifest
from api.backup.programs import for_libpq, last_words
from api.db.migrate import due

MB16 = 16 << 20
NOON = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


def manifest(name: str, ended_at: datetime) -> Manifest:
    return Manifest(
        name=name, motcua="0.1.0", server="18.6", system_id="7", superuser="admin", database="motcua",
        segment_bytes=MB16, start_segment="000000010000000000000002", end_lsn="0/2000158", began_at=ended_at,
        ended_at=ended_at, migrations=("0001",), counts={"documents": 0}, base_bytes=1, files_sha256="", missing=(),
        documents_sha256="",
    )  # fmt: skip


@pytest.fixture
def place(tmp_path) -> Place:
    """A backup with a base at 12:00 and one at 13:00, followed until 13:30."""
    place = Place(tmp_path / "backup")
    place.lay("7", "00000001")
    for name, ended_at in (("a", NOON), ("b", NOON + timedelta(hours=1))):
        (place.bases / name).mkdir()
        write_manifest(place.bases / name, manifest(name, ended_at))
    place.note_followed(NOON + timedelta(minutes=90))
    return place


@pytest.mark.parametrize(
    ("minutes", "base"), [(0, "a"), (30, "a"), (59, "a"), (60, "b"), (75, "b"), (90, "b")]
)  # fmt: skip
def test_the_newest_base_before_the_moment_is_chosen(place, minutes, base):
    chosen = choose(place, NOON + timedelta(minutes=minutes))
    assert (chosen.manifest.name, chosen.target) == (base, NOON + timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-1, 91])
def test_a_moment_outside_is_refused_with_the_span(place, minutes):
    with pytest.raises(BackupError, match=r"2026-11-24T05:00:00\+00:00 … 2026-11-24T06:30:00\+00:00"):
        choose(place, NOON + timedelta(minutes=minutes))


def test_without_a_moment_the_last_whole_one_is_meant(place):
    assert choose(place, None).target == NOON + timedelta(minutes=90)
    (place.root / "follow.json").unlink()
    chosen = choose(place, None)
    assert (chosen.manifest.name, chosen.target) == ("b", None)
    assert choose(place, None, "a").manifest.name == "a"


def test_a_changed_manifest_is_found_by_its_own_digest(place):
    path = place.bases / "a" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"0/2000158", b"0/2000159"))
    with pytest.raises(BackupError, match="damaged"):
        place.manifest("a")


def test_a_directory_of_another_history_is_refused(place):
    for owner in (("8", "00000001"), ("7", "00000002")):
        with pytest.raises(BackupError, match="before it was restored"):
            place.lay(*owner)
    with pytest.raises(BackupError, match="standby"):
        place.lay("7", "")


def test_what_is_not_finished_does_not_count(place):
    (place.bases / "c.partial").mkdir()
    (place.bases / "d").mkdir()
    assert place.names() == ["a", "b"]


def test_a_hole_is_found_whatever_the_timeline():
    names = [f"0000000{line}0000000{log}000000{seg}" for line, log, seg in ((1, 0, "FE"), (1, 0, "FF"), (2, 1, "00"))]
    start = segment_of("0/FE000028", MB16)
    assert segment_number(names[2], MB16) == segment_of("1/0", MB16) == start + 2
    assert first_gap([*names, "000000020000000100000001.partial"], start, MB16) is None
    assert first_gap([names[0], names[2]], start, MB16) == start + 1
    assert first_gap(names[1:], start, MB16) == start
    assert first_gap([], start, MB16) is None


def test_no_password_stands_among_arguments():
    told = for_libpq("postgresql://o%40x:p%2Fw@db.example:6432/m?sslmode=verify-full&passfile=/run/p", "pg_basebackup")
    assert told == {
        "PGHOST": "db.example", "PGPORT": "6432", "PGUSER": "o@x", "PGPASSWORD": "p/w", "PGDATABASE": "m",
        "PGSSLMODE": "verify-full", "PGPASSFILE": "/run/p", "PGAPPNAME": "motcua pg_basebackup",
    }  # fmt: skip
    assert for_libpq("postgresql://admin@/motcua?host=/run/pg&port=5432", "x")["PGHOST"] == "/run/pg"


def test_the_last_words_are_those_that_say_why():
    said = (
        "1/2 kB (50%), 0/1 tablespace\rpg_basebackup: error: could not write: No space left\npg_basebackup: removing\n"
    )
    assert last_words(said) == "pg_basebackup: error: could not write: No space left"


FILES = [Path(f"{name}.sql") for name in ("0001_pre_a", "0002_post_a", "0003_pre_b", "0004_post_b", "0005_post_b")]


@pytest.mark.parametrize(
    ("applied", "post", "numbers"),
    [
        ([], False, "1 2 3 4 5"),
        (["0001"], False, "2 3"),
        (["0001", "0002", "0003"], False, ""),
        (["0001", "0002", "0003"], True, "4 5"),
        (["0001", "0002", "0003", "0004"], True, "5"),
    ],
)
def test_the_last_post_files_wait_until_told(applied, post, numbers):
    assert [str(int(file.name[:4])) for file in due(FILES, applied, post=post)] == numbers.split()
