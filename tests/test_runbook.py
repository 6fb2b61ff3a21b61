"""What operators are given: the run book's commands, the alerts and what they lead to, the dashboard as it is drawn."""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from api.cli import _parser

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8")
RULES = yaml.safe_load((DEPLOY / "alerts" / "motcua.yml").read_text(encoding="utf-8"))
PROVEN = yaml.safe_load((DEPLOY / "alerts" / "motcua_test.yml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SECTIONS = dict(re.findall(r'^## [^\n]+\n<a id="([a-z-]+)"></a>\n(.*?)(?=^## |\Z)', RUNBOOK, re.MULTILINE | re.DOTALL))
OUTSIDE = {"df", "psql", "timedatectl", "chronyc"}
"""Programs of the machine that the run book uses."""
PROMTOOL = shutil.which("promtool") or REPOSITORY / "var" / "tools" / "promtool"


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_run_book_is_understood():
    told = commands()
    assert len(told) > 25
    assert {words[0] for words in told} == {"motcua"} | OUTSIDE
    for words in told:
        if words[0] == "motcua":
            _parser().parse_args(words[1:])


def test_a_command_that_does_not_exist_is_noticed():
    with pytest.raises(SystemExit):
        _parser().parse_args(["jobs", "forget", "x"])


def test_every_heading_says_what_to_do_and_what_never_to():
    assert len(re.findall(r"^## ", RUNBOOK, re.MULTILINE)) == len(SECTIONS) > 15
    for anchor, text in SECTIONS.items():
        assert "\nNever: " in text, anchor
        assert re.match(r"\n\*\*[A-Z][^*]+\.\*\*", text), f"{anchor}: no English title"


def test_every_alert_leads_to_the_run_book_and_speaks_both_languages():
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert (page, anchor in SECTIONS) == ("RUNBOOK.md", True), alert["alert"]
        vi, _, en = alert["annotations"]["summary"].partition(" / ")
        assert re.search(r"[à-ỹđ]", vi.lower()), alert["alert"]
        assert en, alert["alert"]
        assert alert["labels"]["severity"] in {"page", "warn", "info"}


def test_every_alert_is_proven_to_fire_and_to_be_quiet():
    fires, quiet = set(), set()
    for case in (case for test in PROVEN["tests"] for case in test["alert_rule_test"]):
        (fires if case["exp_alerts"] else quiet).add(case["alertname"])
    assert fires == quiet == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("what", [("check", "rules", "motcua.yml"), ("test", "rules", "motcua_test.yml")])
def test_promtool_judges_the_rules(what):
    done = subprocess.run([PROMTOOL, *what], cwd=DEPLOY / "alerts", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_is_awake(tmp_path):
    """A rule whose threshold was moved no longer passes its proof."""
    for name in ("motcua.yml", "motcua_test.yml"):
        text = (DEPLOY / "alerts" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(
            text.replace("motcua_ticket_oldest_seconds > 300", "motcua_ticket_oldest_seconds > 3000")
        )
    words = [PROMTOOL, "test", "rules", "motcua_test.yml"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "SignatureOpenTooLong" in done.stdout + done.stderr


def test_the_dashboard_is_as_it_is_drawn():
    spec = importlib.util.spec_from_file_location("draw", DEPLOY / "dashboards" / "draw.py")
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    kept = (DEPLOY / "dashboards" / "motcua.json").read_text(encoding="utf-8")
    assert kept == draw.text(), "run python deploy/dashboards/draw.py"
    drawn = json.loads(kept)
    assert len({panel["id"] for panel in drawn["panels"]}) == len(drawn["panels"])
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in drawn["panels"]}
    assert len(places) == len(drawn["panels"])
