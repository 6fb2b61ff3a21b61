"""`motcua bench audit` in its shortest form: it measures with durability on, seals what it wrote, and prints ratios."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_benchmark_of_the_audit_prints_its_ratios():
    words = [sys.executable, "-m", "loadtests.bench.audit", "--json", "--rounds", "1", "--seconds", "0.3"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["durability"].values()) == {"on"}
    assert set(found["transactions_per_s"]) == {"floor", "ours", "peer"}
    assert all(value > 0 for one in found["transactions_per_s"].values() for value in one.values())
    assert set(found["ours_to_peer"]) == {"alone", "together", "beside_slow"}
    assert found["unsealed_after_2_s"] == 0
