"""The request as the edge reads it: a JSON body goes strictly and straight into the handler's Struct."""

from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import Empty

from api.errors import Invalid
from api.http.text import bad_json, clean_json
from api.http.validation import field_fault


class EdgeRequest(Request[Any, Any, State]):
    """Litestar's request, with one difference: `json` cleans the text and decodes into the type of `data`.

    Litestar alone would build a tree and convert it laxly ("5" for 5), which the OpenAPI document does not say.
    """

    async def json(self) -> Any:
        """Return the body as the Struct that the handler's `data` asks for.

        Raises:
            Invalid: wrong content type, not JSON, or a field that cannot be right (named).
        """
        if self._json is Empty:
            _require_json(self.content_type[0])
            self._json = decode_body(clean_json(await self.body()), _type_of_data(self.route_handler))
        return self._json


def decode_body(raw: bytes, kind: Any) -> Any:
    """Decode clean JSON strictly into a type.

    Raises:
        Invalid: not JSON, or not of that type; then `errors` names the field.
    """
    try:
        return _decoder(kind).decode(raw)
    except msgspec.ValidationError as fault:
        raise field_fault([(str(fault), "")], where="body") from None
    except (msgspec.DecodeError, RecursionError):
        raise bad_json() from None


def _require_json(content_type: str) -> None:
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise Invalid(
            "Nội dung phải là JSON (Content-Type: application/json).",
            "The body must be JSON (Content-Type: application/json).",
            code="unsupported-media-type",
        )


def _type_of_data(handler: Any) -> Any:
    data = handler.parsed_fn_signature.parameters.get("data")
    return Any if data is None else data.annotation


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
