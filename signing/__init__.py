"""The signature service's front door: lint, lay fields, prepare, finish, verify; paths in, paths out.

All functions are synchronous and made for a process pool (`signing.pdf.bounded.BoundedPool`): they take no bytes of
a document, touch no network and no database, and the clock is an argument. Whatever a hostile file makes a library
raise, only the kinds of SigningError leave this door. Keys are behind the second door, `signing.holders`.
"""

from collections.abc import Sequence
from datetime import datetime

from signing.contract import (
    FieldPlan,
    FinishOrder,
    Laid,
    LintLimits,
    LintProfile,
    LintReport,
    Prepared,
    PrepareOrder,
    Signed,
    Trust,
    Verdict,
)


def lint(
    source: str, profile: LintProfile, limits: LintLimits | None = None, *, at: datetime, trust: Trust | None = None
) -> LintReport: ...
def repair(source: str, target: str, limits: LintLimits | None = None, *, at: datetime) -> LintReport: ...
def default_plan(source: str, chain: Sequence[str]) -> FieldPlan: ...
def lay_fields(source: str, target: str, plan: FieldPlan, *, mark: str | None = None) -> Laid: ...
def prepare(order: PrepareOrder) -> Prepared: ...
def finish(order: FinishOrder, target: str) -> Signed: ...
def verify(source: str, trust: Trust, *, at: datetime) -> Verdict: ...
