"""Keep what a key holder sends by itself, before it is answered; whether it is authentic, the signer alone can tell."""

from collections.abc import Mapping
from typing import Final

from api.db.pools import Tx
from api.errors import Invalid, TooLarge
from api.jobs.queue import enqueue
from api.signatures import store

LONGEST: Final = 1024 * 1024
KEPT_HEADERS: Final = frozenset({"content-type", "authorization", "x-webhook-secret"})
ANSWER: Final = "signatures.answer"


async def keep(tx: Tx, holder: str, headers: Mapping[str, str], body: bytes) -> None:
    """Write one append-only row and the job that judges it.

    Raises:
        Invalid: the body is empty.
        TooLarge: it is longer than any honest answer.
    """
    if not body:
        raise Invalid("Nội dung trả lời trống.", "The answer is empty.", code="empty-answer")
    if len(body) > LONGEST:
        raise TooLarge("Nội dung trả lời quá lớn.", "The answer is too large.", code="answer-too-large")
    kept = {name.lower(): value for name, value in headers.items() if name.lower() in KEPT_HEADERS}
    answer_id = await store.insert_answer(tx, holder, None, body, kept)
    await enqueue(tx, ANSWER, str(answer_id), {"answer": str(answer_id)})
