"""Makes Litestar's description exact: bodies and answers by msgspec, keys, log-in, problems, limits and examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from msgspec import inspect

from api.http.auth.guards import NO_KEY, Guard, handlers_of
from api.http.idempotency import HEADER, REPLAYED
from api.http.openapi.answers import (
    ANSWERS,
    BINARY,
    BODIES,
    BODY,
    HEADERS,
    PHRASES,
    Answer,
    problem_responses,
    problem_statuses,
)
from api.http.openapi.samples import PARAMETERS, Samples
from api.http.problems import Problem

_REF: Final = "#/components/schemas/"
_PROBLEM: Final = "#/components/responses/Problem"
_SECRET: Final = "X-Dossier-Secret"  # noqa: S105 - the name of a header
_JSON: Final = "application/json"
_KEY: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "Khóa của lần gửi này, giữ nguyên khi thử lại / this intent's key, kept on every retry.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f",
}


class _Route(msgspec.Struct, frozen=True):
    """One operation: Litestar's description of it, and what its handler takes and gives."""

    method: str
    operation: dict[str, Any]
    handler: HTTPRouteHandler

    @property
    def bodies(self) -> Mapping[str, Any]:
        """Return the types of the body, by name where there are several."""
        data = self.handler.parsed_fn_signature.parameters.get("data")
        return self.handler.opt.get(BODIES) or ({} if data is None else {"": data.annotation})

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Return what is answered on success."""
        told: tuple[Answer, ...] | None = self.handler.opt.get(ANSWERS)
        returned = self.handler.parsed_fn_signature.return_type
        wrapped = returned.origin is not None and issubclass(returned.origin, Response)
        kind = returned.inner_types[0].raw if wrapped else returned.raw
        return told or (Answer(status=self.handler.status_code, kind=None if kind is type(None) else kind),)

    def kinds(self) -> Iterator[Any]:
        """Yield every type that msgspec must describe."""
        yield from self.bodies.values()
        yield from (answer.kind for answer in self.answers if answer.kind is not None)


def exact(schema: dict[str, Any], app: Litestar, cookie: str) -> dict[str, Any]:
    """Return the description with everything a client must know; Litestar's own is changed in place."""
    paths = schema.get("paths", {})
    routes = [
        _Route(method, paths[path][method.lower()], handler)
        for method, path, handler in handlers_of(app)
        if method.lower() in paths.get(path, {})
    ]
    kinds = [kind for route in routes for kind in route.kinds()]
    described, parts = msgspec.json.schema_components([Problem, *kinds], ref_template=_REF + "{name}")
    _name_instants(kinds, parts)
    samples = Samples(parts)
    for part in parts.values():
        if part.get("type") == "object":
            part["examples"] = [samples.of(part)]
    schema["components"] = {
        "schemas": parts,
        "responses": problem_responses(),
        "securitySchemes": _security_schemes(cookie),
    }
    schemas = iter(described[1:])
    for route in routes:
        _describe(route, schemas, samples)
    tags = {tag for route in routes for tag in route.operation.get("tags") or ()}
    schema["tags"] = [{"name": name} for name in sorted(tags)]
    return schema


def _name_instants(kinds: Sequence[Any], parts: dict[str, Any]) -> None:
    """Say of every instant in an answer that it is one: msgspec says so only where a time zone is demanded."""
    waiting: list[Any] = [*inspect.multi_type_info(kinds)]
    seen: set[type] = set()
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.StructType) and info.cls not in seen:
            seen.add(info.cls)
            for field in info.fields:
                waiting.append(field.type)
                choices: Sequence[Any] = getattr(field.type, "types", (field.type,))
                if any(isinstance(choice, inspect.DateTimeType) for choice in choices):
                    schema = parts[info.cls.__name__]["properties"][field.encode_name]
                    for choice in schema.get("anyOf", [schema]):
                        if choice == {"type": "string"} or choice is schema:
                            choice["format"] = "date-time"
        waiting += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
        waiting += [
            inner for name in ("item_type", "key_type", "value_type", "type") if (inner := getattr(info, name, None))
        ]


def _describe(route: _Route, schemas: Iterator[dict[str, Any]], samples: Samples) -> None:
    operation, handler = route.operation, route.handler
    guards = [guard for guard in handler.resolve_guards() if isinstance(guard, Guard)]
    keyed = route.method not in ("GET", "HEAD") and not handler.opt.get(NO_KEY)
    operation["parameters"] = [*(_parameter(route, one) for one in operation.get("parameters", [])), *[_KEY] * keyed]
    operation["security"] = _security(operation, guarded=bool(guards))
    if needs := next((guard.action for guard in guards if guard.action), None):
        operation["x-requires"] = needs
    operation.pop("requestBody", None)
    if route.bodies:
        operation["requestBody"] = _body({name: next(schemas) for name in route.bodies}, samples)
    elif taken := handler.opt.get(BODY):
        content = {kind: {"schema": {}, "example": {}} if kind == _JSON else {"schema": BINARY} for kind in taken}
        operation["requestBody"] = {"required": True, "content": content}
    answers: dict[str, Any] = {}
    for answer in route.answers:
        known = answers.setdefault(str(answer.status), {"description": PHRASES[answer.status]})
        if names := [*answer.headers, *[REPLAYED] * keyed]:
            known.setdefault("headers", {}).update({name: HEADERS[name] for name in names})
        if content := _content(answer, schemas, samples):
            _add(known.setdefault("content", {}), content)
    for status in problem_statuses(operation, handler, guarded=bool(guards), keyed=keyed):
        problem = {"$ref": f"{_PROBLEM}{status}"}
        if str(status) in answers:  # the same status with another media type, such as a page for a browser
            problem = problem_responses()[f"Problem{status}"]
            problem["content"] |= answers[str(status)].get("content", {})
        answers[str(status)] = problem
    operation["responses"] = dict(sorted(answers.items()))


def _add(contents: dict[str, Any], content: dict[str, Any]) -> None:
    for media_type, one in content.items():
        before = contents.get(media_type)
        contents[media_type] = {**one, "schema": {"anyOf": [before["schema"], one["schema"]]}} if before else one


def _content(answer: Answer, schemas: Iterator[dict[str, Any]], samples: Samples) -> dict[str, Any] | None:
    if answer.kind is not None:
        schema = next(schemas)
        return {answer.media_type: {"schema": schema, "example": samples.of(schema)}}
    if answer.text is not None:
        return {answer.media_type: {"schema": {"type": "string"}, "example": answer.text}}
    return {answer.media_type: {"schema": BINARY}} if answer.media_type != _JSON else None


def _body(schemas: Mapping[str, dict[str, Any]], samples: Samples) -> dict[str, Any]:
    if list(schemas) == [""]:
        content = {"schema": schemas[""], "example": samples.of(schemas[""])}
    else:
        examples = {name: {"value": samples.of(schema)} for name, schema in schemas.items()}
        content = {"schema": {"anyOf": list(schemas.values())}, "examples": examples}
    return {"required": True, "content": {_JSON: content}}


def _parameter(route: _Route, litestars: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter as it can be sent: a null has no form in an address or a header."""
    name = litestars["name"]
    given: dict[str, Any] = {
        key: value for key, value in litestars["schema"].items() if value is not None or key != "default"
    }
    choices = [one for one in given.pop("oneOf", []) if one != {"type": "null"}]
    schema: dict[str, Any] = {**(choices[0] if len(choices) == 1 else {}), **given}
    for key, value in schema.items():
        if isinstance(value, float) and value.is_integer():
            schema[key] = int(value)
    if isinstance(schema.get("type"), list):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
    if "enum" in schema:
        schema["enum"] = [one for one in schema["enum"] if one is not None]
    if name == "action" and route.handler.opt.get(BODIES):
        schema["enum"] = [str(action) for action in route.bodies]
    if litestars["in"] == "path" and schema.get("type") == "string" and not {"format", "enum"} & schema.keys():
        schema.setdefault("minLength", 1)
    said, example = PARAMETERS.get(name, ("", Samples({}).of(schema, name)))
    if "enum" in schema and example not in schema["enum"]:
        example = schema["enum"][0]
    if "pattern" in schema and name == "code":
        example = PARAMETERS["procedure_code"][1]
    if schema.get("type") == "integer" and name == "after":
        example = 0
    return {
        "name": name,
        "in": litestars["in"],
        "required": bool(litestars.get("required")),
        "description": said,
        "schema": schema,
        "example": example,
    }


def _security(operation: dict[str, Any], *, guarded: bool) -> list[dict[str, list[str]]]:
    if guarded:
        return [{"bearer": []}, {"cookie": []}]
    secret = next((one for one in operation["parameters"] if one["name"] == _SECRET), None)
    if secret is None:
        return []
    return [{"secret": []}] if secret["required"] else [{}, {"secret": []}]


def _security_schemes(cookie: str) -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "Mã phiên nhận được khi đăng nhập / the token that POST /session gives.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "Cùng mã phiên, cho trình duyệt / the same token, for browsers.",
        },
        "secret": {
            "type": "apiKey",
            "in": "header",
            "name": _SECRET,
            "description": "Mã bí mật của công dân, cho một lần khi nộp / the citizen's secret, told at submission.",
        },
    }
