"""`python -m signing bench` in its quick form: every row is measured, and what it signs is valid."""

import json

import pytest

from signing.__main__ import main


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
    assert told["machine"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_table_can_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--quick"]) == 0
    told = capsys.readouterr().out
    assert "invisible B-B, RSA-2048" in told
    assert "x floor" in told
