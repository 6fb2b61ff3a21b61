"""`python -m signing bench` in its quick form: every row is measured, and what it signs is valid."""

import json

import pytest

from loadtests.peers.signers import __main__ as signers
from signing.__main__ import main
from signing.bench.peers import Peer


@pytest.mark.alone
def test_the_benchmark_runs_and_tells_every_row(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--quick", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["name"].removesuffix(" 61 kB"): row for row in told["rows"]}
    assert set(rows) == {
        "invisible RSA-2048", "invisible P-256", "planned RSA-2048", "planned P-256",
        "visible", "whole path", "verify", "verify own", "token RSA-2048",
    }  # fmt: skip
    assert all(row["ours_ms"] > 0 for row in rows.values())
    assert rows["invisible RSA-2048"]["plain_ms"] > 5 * rows["invisible RSA-2048"]["ours_ms"]
    assert rows["visible"]["plain_ms"] > 5 * rows["visible"]["ours_ms"]
    assert rows["whole path"]["unit"] == "per second"
    assert set(rows["planned P-256"]["parts_ms"]) == {"prepared", "signed", "value verified"}
    assert told["machine"] > 0
    assert told["peers"] == []
    assert "peers" in told["left_out"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alone
def test_other_makers_signers_are_measured_where_they_are_and_named_where_they_are_not(capsys, tmp_path):
    """MuPDF's is the one that the tests have anyway."""

    def unheard(_):
        raise RuntimeError("npm: not found")

    present = next(pair for pair in signers.PEERS if pair[0].name.startswith("mutool"))
    broken = Peer(name="a broken one", leaves_out="everything", keys=("rsa",))
    peers = (present, (Peer(name="an absent one", leaves_out="-"), unheard), (broken, lambda _: ("false",)))
    assert [one.missing for one in signers.fetch(tmp_path, peers)] == ["", "npm: not found", ""]
    capsys.readouterr()
    assert main(["bench", "--quick", "--json", "--peers", str(tmp_path)]) == 0
    told = {row["name"]: row for row in json.loads(capsys.readouterr().out)["peers"]}
    for key in ("RSA-2048", "P-256"):
        row = told[f"mutool sign (Debian), a process each, {key}, 61 kB"]
        assert not row["valid"]  # it signs by SHA-1, which pyHanko refuses
        assert row["ms"] > 0
        assert row["times_ours"] > 1
    assert told["an absent one"]["missing"] == "npm: not found"
    assert told["a broken one, RSA-2048, 61 kB"]["missing"] == "no answer"


def test_the_table_can_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--quick"]) == 0
    told = capsys.readouterr().out
    assert "invisible B-B, RSA-2048" in told
    assert "x floor" in told
