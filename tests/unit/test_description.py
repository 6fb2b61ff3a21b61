"""The API's description is whole: every operation, parameter, body and answer is told, limited and shown by example."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from api.app import create_app
from api.http.auth.guards import NO_KEY, Guard, handlers_of
from api.http.openapi import exact
from tests.office import settings_for

APP = create_app(settings_for("postgresql://x/y", Path("/nowhere")))
DOCUMENT: dict[str, Any] = exact(APP.openapi_schema.to_schema(), APP, "motcua")
SCHEMAS = DOCUMENT["components"]["schemas"]
PROBLEM = "application/problem+json"
BOTH = re.compile(r".+ / .+|^RFC \d+\.$", re.DOTALL)
"""Vietnamese first, English after it."""

Operation = tuple[str, str, dict[str, Any]]


def operations() -> list[Operation]:
    return [(method, path, one) for path, methods in DOCUMENT["paths"].items() for method, one in methods.items()]


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def validator(schema: dict[str, Any]) -> Any:
    return compiled(json.dumps(schema))


@functools.cache
def compiled(schema: str) -> Any:
    whole = {**json.loads(schema), "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def shown(content: dict[str, Any]) -> list[Any]:
    """The examples of one media type."""
    return [content["example"]] if "example" in content else [one["value"] for one in content["examples"].values()]


def contents() -> list[tuple[str, str, dict[str, Any]]]:
    """Every body and answer: what it is, its media type, its description."""
    found = []
    for method, path, one in operations():
        found += [
            (f"{method} {path} body", kind, it) for kind, it in one.get("requestBody", {}).get("content", {}).items()
        ]
        for status, answer in one["responses"].items():
            told = resolved(answer).get("content", {})
            found += [(f"{method} {path} {status}", kind, it) for kind, it in told.items()]
    return found


def test_every_operation_says_what_it_does_in_both_languages():
    names = [one["operationId"] for *_, one in operations()]
    assert len(set(names)) == len(names)
    assert len(names) > 55
    for method, path, one in operations():
        assert BOTH.fullmatch(one["summary"]), (method, path)
        assert len(one["description"]) > 10, (method, path)
        assert one["tags"], (method, path)


def test_every_route_but_the_machines_own_is_described():
    described = {(method.upper(), path) for method, path, _ in operations()}
    routes = {(method, path) for method, path, _ in handlers_of(APP)}
    left_out = {("GET", "/metrics"), ("GET", "/schema"), ("GET", "/schema/openapi.json"), ("GET", "/schema/{path}")}
    assert described == routes - left_out


def test_every_parameter_is_told_limited_and_shown():
    for method, path, one in operations():
        for parameter in one["parameters"]:
            schema, where = parameter["schema"], (method, path, parameter["name"])
            assert BOTH.fullmatch(parameter["description"]), where
            validator(schema).validate(parameter["example"])
            if schema["type"] == "string":
                assert {"maxLength", "enum", "format", "pattern"} & schema.keys(), where
            if schema["type"] == "integer":
                assert {"minimum", "maximum"} <= schema.keys(), where


def test_every_text_and_list_that_is_taken_has_a_limit():
    """What comes in is bounded by its description, thus by the decoder: both come from the same Struct."""
    waiting = [it["schema"] for what, kind, it in contents() if what.endswith("body") and kind == "application/json"]
    unbounded, seen = [], set()
    while waiting:
        schema = waiting.pop()
        if name := schema.get("$ref", ""):
            if name not in seen:
                seen.add(name)
                waiting.append(resolved(schema))
            continue
        waiting += schema.get("anyOf", [])
        for field, one in schema.get("properties", {}).items():
            waiting.append(one)
            for choice in [one, *one.get("anyOf", [])]:
                free = choice.get("type") == "string" and not {"maxLength", "enum", "format", "pattern"} & choice.keys()
                if free or (choice.get("type") == "array" and "maxItems" not in choice):
                    unbounded.append((schema.get("title"), field))
        if isinstance(schema.get("items"), dict):
            waiting.append(schema["items"])
    assert not unbounded


def test_every_body_and_answer_is_shown_by_examples_that_fit():
    for what, kind, content in contents():
        if content["schema"].get("format") == "binary":
            continue
        assert content["schema"] or "/holders/" in what, "only a key holder says by itself what it sends"
        examples = shown(content)
        assert examples, what
        if kind.endswith("json"):
            for example in examples:
                validator(content["schema"]).validate(example)


def test_every_component_is_told_and_shown_by_an_example_that_fits():
    for name, schema in SCHEMAS.items():
        assert schema.get("description"), name
        for example in schema.get("examples", []):
            validator(schema).validate(example)
        assert schema["type" if "type" in schema else "enum"] != "object" or schema["examples"], name


def test_the_examples_of_bodies_are_taken_by_the_code_that_decodes_them():
    tried = 0
    for method, path, handler in handlers_of(APP):
        data = handler.parsed_fn_signature.parameters.get("data")
        if data is not None:
            body = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
            for example in shown(body):
                msgspec.json.decode(msgspec.json.encode(example), type=data.annotation)
                tried += 1
    assert tried > 50


def test_an_unknown_field_is_refused_in_the_description_as_in_the_code():
    tried = 0
    for method, path, handler in handlers_of(APP):
        data = handler.parsed_fn_signature.parameters.get("data")
        if data is None:
            continue
        body = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
        spoilt = {**shown(body)[0], "không_có": 1}
        assert not validator(body["schema"]).is_valid(spoilt), (method, path)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(spoilt, data.annotation)
        tried += 1
    assert tried > 25


def test_every_write_asks_for_its_key():
    for method, path, handler in handlers_of(APP):
        one = DOCUMENT["paths"].get(path, {}).get(method.lower())
        if one is None or method in ("GET", "HEAD"):
            continue
        key = next((known for known in one["parameters"] if known["name"] == "Idempotency-Key"), None)
        assert (key is None) == bool(handler.opt.get(NO_KEY)), (method, path)
        if key is not None:
            assert key["required"]
            assert {"409", "422"} <= one["responses"].keys(), (method, path)
            done = next(answer for status, answer in one["responses"].items() if status.startswith("2"))
            assert "Idempotency-Replayed" in done["headers"]


def test_who_must_show_what_is_told():
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"bearer", "cookie", "secret"}
    for method, path, handler in handlers_of(APP):
        one = DOCUMENT["paths"].get(path, {}).get(method.lower())
        if one is None:
            continue
        guarded = any(isinstance(guard, Guard) for guard in handler.resolve_guards())
        secret = any(known["name"] == "X-Dossier-Secret" for known in one["parameters"])
        assert (one["security"][:1] == [{"bearer": []}]) == guarded, (method, path)
        assert ({"secret": []} in one["security"]) == secret, (method, path)
        assert ({"401", "403"} <= one["responses"].keys()) or not guarded, (method, path)


def test_every_problem_is_a_whole_one():
    for method, path, one in operations():
        assert {"400", "413", "503"} <= one["responses"].keys(), (method, path)
        for status, answer in one["responses"].items():
            told = resolved(answer)
            assert told["description"], (method, path, status)
            if status >= "400":
                example = told["content"][PROBLEM]["example"]
                assert example["status"] == int(status)
                assert {"code", "detail", "detail_en", "next_step", "next_step_en", "reference"} <= example.keys()
            if status in ("429", "503"):
                assert told["headers"]["Retry-After"]["required"]
            if status == "401":
                assert told["headers"]["WWW-Authenticate"]["required"]
        places = {known["in"] for known in one["parameters"]}
        assert "422" in one["responses"] or not places
        assert "404" in one["responses"] or "path" not in places
        assert "415" in one["responses"] or "application/json" not in one.get("requestBody", {}).get("content", {})
        assert "500" not in one["responses"], "a fault of ours is never part of the contract"


def test_the_document_itself_is_valid():
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": SCHEMAS})
