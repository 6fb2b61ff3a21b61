"""Every route of the app, tried without a token, with an ended one, with another agency's, and with a citizen's.

The table says what each route is; a route that stands in none of its rows fails the test. The bodies are the
examples of the API's own description, with the ids of a dossier that another ward has carried to its end.
"""

import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from api.app import create_app
from api.embedded.walk import CITIZEN, PROCEDURE
from api.http.auth.guards import handlers_of
from tests.office import new_key, settings_for
from tests.site import NOWHERE, Site, made, opened, refused, walked

Route = tuple[str, str]

OPEN: set[Route] = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/schema"), ("GET", "/schema/openapi.json"),
    ("GET", "/schema/{path}"), ("POST", "/session"), ("GET", "/procedures"), ("GET", "/procedures/{code}"),
    ("GET", "/agencies"), ("POST", "/holders/{holder}/answers"), ("GET", "/holders/{holder}/page"),
    ("GET", "/verify/{code}"), ("POST", "/verify"),
    ("GET", "/verify/checks/{check_id}"), ("GET", "/track/{code}"), ("POST", "/online"),
}  # fmt: skip
"""Anybody may ask; what is told depends on nobody's session."""
SECRET: set[Route] = {
    ("GET", "/track/{code}/results/{result_id}/file"), ("POST", "/track/{code}/uploads"),
    ("GET", "/track/{code}/uploads/{upload_id}"),
}  # fmt: skip
"""The citizen's own, by code and secret."""
OWN: set[Route] = {
    ("GET", "/session"), ("PUT", "/session"), ("PUT", "/session/password"), ("DELETE", "/session"),
    ("GET", "/signature-requests"), ("GET", "/signature-batches"), ("GET", "/desk/officer"), ("GET", "/desk/dispatch"),
    ("GET", "/desk/head"), ("GET", "/desk/head/late"), ("GET", "/series"), ("POST", "/dossiers"),
    ("POST", "/dossiers/imported"), ("POST", "/prints"), ("POST", "/procedures/{code}/versions"), ("GET", "/accounts"),
    ("GET", "/desk/holders"), ("GET", "/factors/signed"), ("POST", "/factors/lost"), ("POST", "/factors/enrolments"),
    ("GET", "/proposals"), ("POST", "/proposals"), ("POST", "/proposals/challenge"), ("GET", "/certificates"),
    ("POST", "/signature-batches/challenge"), ("GET", "/sessions"),
    ("GET", "/signing-tool/transactions"),
}  # fmt: skip
"""About whoever asks: everybody gets their own, and nothing of anybody else."""
HELD: set[Route] = {
    ("GET", "/dossiers/{code}"), ("GET", "/dossiers/{code}/journal"), ("GET", "/dossiers/{code}/forms/{form}"),
    ("GET", "/dossiers/{code}/deliveries"), ("POST", "/dossiers/{code}/deliveries"),
    ("POST", "/dossiers/{code}/steps/{action}"), ("POST", "/tasks/{task_id}/answer"),
    ("POST", "/tasks/{task_id}/assign"), ("POST", "/tasks/{task_id}/claim"), ("POST", "/tasks/{task_id}/hand-over"),
    ("POST", "/tasks/{task_id}/release"), ("GET", "/documents/{document_id}/chains"),
    ("POST", "/documents/{document_id}/chains"), ("POST", "/signature-requests/{request_id}/decline"),
    ("POST", "/signature-requests/{request_id}/pass-on"), ("POST", "/signature-requests/{request_id}/release"),
    ("POST", "/signature-requests/{request_id}/send-back"), ("POST", "/signature-requests/{request_id}/take-back"),
    ("POST", "/signature-requests/reassign"), ("POST", "/signature-batches"), ("POST", "/signature-batches/plan"),
    ("GET", "/signature-batches/{batch_id}"), ("GET", "/signature-batches/{batch_id}/events"),
    ("GET", "/uploads/{upload_id}"), ("POST", "/uploads"), ("POST", "/results/{result_id}/documents"),
    ("GET", "/dossiers/{dossier_id}/results"), ("POST", "/dossiers/{dossier_id}/results"),
    ("GET", "/documents/{document_id}"), ("POST", "/documents/{document_id}/drafts"), ("GET", "/drafts/{draft_id}"),
    ("GET", "/documents/{document_id}/file"), ("GET", "/revisions/{revision_id}/file"),
    ("GET", "/prints/{print_id}"), ("GET", "/prints/{print_id}/file"), ("GET", "/series/{series_id}/register"),
    ("POST", "/numbers/{number_id}/void"), ("POST", "/signature-requests/{request_id}/number"),
    ("GET", "/accounts/{account_id}/signed"),
    ("POST", "/accounts/{account_id}/lock"), ("POST", "/accounts/{account_id}/lost"),
    ("PUT", "/accounts/{account_id}/password"), ("GET", "/proposals/{proposal_id}"),
    ("GET", "/proposals/{proposal_id}/challenge"), ("POST", "/proposals/{proposal_id}/approval"),
    ("POST", "/proposals/{proposal_id}/refusal"), ("GET", "/factors/enrolments/{enrolment_id}"),
    ("GET", "/factors/enrolments/{enrolment_id}/challenge"), ("POST", "/factors/enrolments/{enrolment_id}/passkey"),
    ("POST", "/factors/enrolments/{enrolment_id}/confirmation"), ("DELETE", "/sessions/{session_id}"),
    ("GET", "/signing-tool/transactions/{transaction_id}/items/{request_id}/{what}"),
    ("GET", "/holders/{holder}/page/taken"),
    ("POST", "/signing-tool/transactions/{transaction_id}/items/{request_id}/file"),
    ("POST", "/signing-tool/transactions/{transaction_id}/refusal"),
    ("POST", "/signing-tool/transactions/{transaction_id}/values"),
}  # fmt: skip
"""Of one agency or one person: others are told 403 or 404, and nothing else."""
ENDS_THE_SESSION: set[Route] = {("DELETE", "/session"), ("PUT", "/session/password"), ("PUT", "/session")}


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    async with opened(cluster, province, tmp_path_factory.mktemp("doors")) as site:
        yield site


@pytest_asyncio.fixture(scope="module")
async def left(site):
    """What the ward left behind: every id, an upload and a print of its own, and a citizen's code and secret."""
    ids = await walked(site)
    upload = await site["thuly"].post("/uploads?profile=handed_in", content=b"%PDF-1.7", headers=new_key())
    form = made(await site["thuly"].get(f"/dossiers/{ids['code']}/forms/intake_slip"))
    printed = await site["thuly"].post("/prints", json={"template": "intake_slip", "data": form}, headers=new_key())
    person = await site.server.database.admin.fetchval(
        "SELECT person_id FROM signature_request WHERE id = $1", ids["request_id"]
    )
    account = made(await site["thuly"].get("/session"))["account_id"]
    sessions = made(await site["thuly"].get("/sessions"))
    citizen, other = await site.filed(), await site.filed()
    return ids | {
        "upload_id": made(upload)["id"], "print_id": made(printed)["id"], "person_id": str(person),
        "transaction_id": await site.server.database.admin.fetchval("SELECT id FROM holder_transaction LIMIT 1"),
        "account_id": account, "proposal_id": NOWHERE, "enrolment_id": NOWHERE,
        "session_id": next(session["session_id"] for session in sessions if session["this"]),
        "citizen_code": citizen["code"], "secret": citizen["secret"], "other_secret": other["secret"],
    }  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def described(site):
    return made(await site["thuly"].get("/schema/openapi.json"))["paths"]


def routes() -> set[Route]:
    app = create_app(settings_for("postgresql://x/y", Path("/nowhere")))
    return {(method, path) for method, path, _ in handlers_of(app)}


def test_every_route_stands_in_the_table_once():
    rows = (OPEN, SECRET, OWN, HELD)
    assert routes() - set().union(*rows) == set(), "say in the table who may open this"
    assert set().union(*rows) - routes() == set(), "the table names a route that is no more"
    assert sum(map(len, rows)) == len(set().union(*rows))


def request_for(route: Route, described: dict[str, Any], left: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
    """A request that could be right, for the things that another ward has."""
    method, path = route
    code = PROCEDURE if path.startswith("/procedures") else left["code"]
    places = {**left, "code": code, "action": "withdraw", "form": "intake_slip", "holder": "sp769", "path": "x"}
    places |= {"check_id": left["document_id"], "transaction_id": left["transaction_id"], "what": "base"}
    if route in SECRET:
        places["code"] = left["citizen_code"]
    request: dict[str, Any] = {"headers": new_key()} if method != "GET" else {}
    content = described.get(path, {}).get(method.lower(), {}).get("requestBody", {}).get("content", {})
    if "application/json" in content and "/holders/" not in path:
        told = content["application/json"]
        request["json"] = told["example"] if "example" in told else told["examples"]["withdraw"]["value"]
        request["json"] = NAMING.get(route, lambda body, _: body)(request["json"], left)
    elif content:
        request["content"] = b"%PDF-1.7 doors"
    address = path.format(**places)
    if route == ("POST", "/uploads"):
        address += f"?profile=handed_in&dossier_id={left['dossier_id']}"
    if "/page" in path:
        address += f"?state={'A' * 43}"
    return method, address, request


NAMING: dict[Route, Any] = {
    ("POST", "/signature-batches"): lambda body, left: {
        **body, "items": [{"request_id": left["request_id"], "sha256": "0" * 64}],
    },
    ("POST", "/signature-batches/plan"): lambda _, left: {"request_ids": [left["request_id"]]},
    ("POST", "/signature-requests/reassign"): lambda body, left: {**body, "from_person_id": left["person_id"]},
}  # fmt: skip
"""Bodies that name what is another's."""


def nothing_leaks(answer: httpx.Response) -> None:
    """Nobody's personal data stands in an answer to somebody whom it does not concern."""
    for private in (CITIZEN["name"], CITIZEN["id_number"], CITIZEN["phone"], CITIZEN["address"]):
        assert private not in answer.text, f"{answer.request.method} {answer.request.url}: {private}"


async def ended_token(site: Site) -> str:
    """A token whose session has ended by its age."""
    async with site.server.client("giamdoc.bacgiang") as web:
        token = web.headers["Authorization"]
        session = "SELECT id FROM session ORDER BY id DESC LIMIT 1"
        await site.server.database.admin.execute(
            f"UPDATE session SET created_at = now() - interval '2 days', seen_at = now() - interval '1 day',"
            f" expires_at = now() - interval '1 minute' WHERE id = ({session})"
        )
        assert (await web.get("/session")).json()["code"] == "session-expired"
    return token


async def test_without_a_token_with_an_ended_and_with_a_made_up_one(site, left, described):
    ended = await ended_token(site)
    forged = ({}, {"Authorization": ended}, {"Authorization": "Bearer " + "A" * 43}, {"Cookie": "motcua=AAAA"})
    async with site.server.client() as web:
        for route, headers in itertools.product(sorted(OWN | HELD), forged):
            method, address, request = request_for(route, described, left)
            answer = await web.request(method, address, **{**request, "headers": request.get("headers", {}) | headers})
            refused(answer, 401)
            nothing_leaks(answer)
        for route in sorted(OPEN):
            method, address, request = request_for(route, described, left)
            for headers in ({}, {"Authorization": ended}):
                sent = {**request, "headers": request.get("headers", {}) | headers}
                answer = await web.request(method, address, **sent)
                if route != ("POST", "/session"):  # the one door that asks who is there
                    assert answer.status_code not in (401, 403), route
                nothing_leaks(answer)


async def test_with_a_citizens_code_and_secret(site, left, described):
    """A secret opens the own dossier's three routes, is no session, and opens nobody else's dossier."""
    secret = left["secret"]
    tries = ({"X-Dossier-Secret": secret}, {"Authorization": f"Bearer {secret}"}, {"Cookie": f"motcua={secret}"})
    async with site.server.client() as web:
        for route, headers in itertools.product(sorted(OWN | HELD), tries):
            method, address, request = request_for(route, described, left)
            answer = await web.request(method, address, **{**request, "headers": request.get("headers", {}) | headers})
            refused(answer, 401)
            nothing_leaks(answer)
        for route in sorted(SECRET):
            method, address, request = request_for(route, described, left)
            for wrong in ({}, {"X-Dossier-Secret": left["other_secret"]}, {"X-Dossier-Secret": "A" * 26}):
                answer = await web.request(
                    method, address, **{**request, "headers": request.get("headers", {}) | wrong}
                )
                refused(answer, 404, *([422] if not wrong else []))
                nothing_leaks(answer)
        own = new_key() | {"X-Dossier-Secret": secret}
        code = left["citizen_code"]
        handed = made(await web.post(f"/track/{code}/uploads", content=b"%PDF-1.7", headers=own))
        assert made(await web.get(f"/track/{code}/uploads/{handed['id']}", headers=own))["id"] == handed["id"]
        foreign = {"X-Dossier-Secret": left["other_secret"]}
        refused(await web.get(f"/track/{code}/uploads/{handed['id']}", headers=foreign), 404)
        refused(await web.get(f"/track/{code}/uploads/{left['upload_id']}", headers=own), 404)
        refused(await web.get(f"/track/{code}/results/{left['result_id']}/file", headers=own), 404)
        plain = await web.get(f"/track/{code}")
        assert plain.headers["cache-control"].startswith("public")
        nothing_leaks(plain)
        refused(await web.get(f"/track/{code}", headers=foreign), 404)


async def test_with_another_agencys_token(site, left, described):
    """Everybody of the other ward, by the ids of what is not theirs."""
    before = made(await site["thuly"].get(f"/dossiers/{left['code']}"))
    for web in site.ward("bacgiang"):
        for route in sorted(HELD):
            method, address, request = request_for(route, described, left)
            answer = await web.request(method, address, **request)
            nothing_leaks(answer)
            if address == "/signature-requests/reassign" and answer.is_success:
                assert answer.json() == {"done": [], "failed": {}}, (
                    "of the own agency's list, nothing was that person's"
                )
            else:
                refused(answer, 403, 404)
        for route in sorted(OWN - ENDS_THE_SESSION):
            method, address, request = request_for(route, described, left)
            if method == "GET":
                since = {"since": "2026-01-01T00:00:00Z"} if address.endswith("/signed") else {}
                answer = await web.get(address, params=since)
                assert answer.status_code in (200, 403), route
                nothing_leaks(answer)
                assert left["code"] not in answer.text
                assert left["series_id"] not in answer.text
    after = made(await site["thuly"].get(f"/dossiers/{left['code']}"))
    assert (after["version"], after["status"]) == (before["version"], before["status"])


async def test_answers_about_people_are_kept_by_nobody_on_the_way(site, left, described):
    """A shared cache, a proxy or the next user of a browser finds nothing."""
    for route in sorted(route for route in OWN | HELD if route[0] == "GET"):
        method, address, request = request_for(route, described, left)
        if address.endswith("/events"):
            continue  # a stream is written as it comes
        for who in ("thuly", "chutich", "vanthu"):
            answer = await site[who].request(method, address, **request)
            kept = answer.headers["cache-control"]
            assert "no-store" in kept or ("private" in kept and address.endswith("/file")), (route, kept)
            assert answer.headers["x-content-type-options"] == "nosniff"
