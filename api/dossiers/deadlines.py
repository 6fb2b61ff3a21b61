"""When a dossier is due: the whole, each step, and what a pause or a late hour does to either.

Pure. The calendar, the terms and the rules are those the dossier began with; an instant comes as an argument. The
client never computes any of this. An internal failure moves nothing: only a supplement or a financial duty asked of the
citizen stops the clock, and only a written apology gives a new date.
"""

from datetime import datetime, time

import msgspec

from api.errors import Invalid
from api.kernel import VIETNAM, vn_day
from api.registry.calendar import Term, Unit, WorkingCalendar
from api.registry.procedures import Definition, StepKind


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The dated rules of law a dossier is worked by, read from the registry for its day."""

    received_until: time
    """Received later than this counts as received at the next working day's opening (domain rule: 15:00)."""
    online_answer_hours: int
    """Working hours in which an online submission is answered (Decree 45/2020)."""
    supplements_per_stage: int
    reappointments: int
    opinion_days: int
    """Working days given for an opinion where the question names no date."""
    claim_hours: int
    """Working hours in which a hand-over is to be confirmed."""
    bases: dict[str, str]
    """The legal basis of each rule above, by its name."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one dossier is worked by: steps and terms of its version, its calendar, the rules of its day."""

    definition: Definition
    calendar: WorkingCalendar
    rules: Rules

    def counted_from(self, at: datetime) -> datetime:
        """Return the instant from which a term in hours counts: received late means the next working day's opening."""
        calendar, day = self.calendar, vn_day(at)
        if at.astimezone(VIETNAM).time() < self.rules.received_until or not calendar.is_working_day(day):
            return calendar.starts(at)
        return calendar.opening(calendar.next_working_day(day))

    def due(self, at: datetime) -> datetime:
        """Return when the whole is due, counted from the official receipt of a valid dossier, not from submission.

        A term in days does not count its first day (Civil Code 2015, Art. 147), so a late hour matters to hours only;
        a procedure resolved at once is due at the end of the working day it counts as received on.
        """
        total = self.definition.total
        if total.unit is Unit.HOUR or total.amount == 0:
            start = self.counted_from(at)
            return self.calendar.due(start, total) if total.amount else self.calendar.closing(vn_day(start))
        return self.calendar.due(at, total)

    def step_due(self, step: str, at: datetime) -> datetime:
        """Return when a step is due that began at `at`; a step without a duration ends with its working day."""
        term = self.definition.step(step).duration
        start = self.counted_from(at)
        if term.amount == 0:
            return self.calendar.closing(vn_day(start))
        return self.calendar.due(start if term.unit is Unit.HOUR else at, term)

    def answer_due(self, at: datetime) -> datetime:
        """Return by when an online submission is to be received, supplemented or refused."""
        return self.calendar.due(at, Term(amount=self.rules.online_answer_hours, unit=Unit.HOUR))

    def opinion_due(self, at: datetime) -> datetime:
        """Return by when an opinion is due whose question names no date."""
        return self.calendar.due(at, Term(amount=self.rules.opinion_days, unit=Unit.WORKING_DAY))

    def confirm_due(self, at: datetime) -> datetime:
        """Return by when a hand-over is to be confirmed: the same day, or the next one when it came late."""
        return self.calendar.due(self.counted_from(at), Term(amount=self.rules.claim_hours, unit=Unit.HOUR))

    def resumed(self, due: datetime, paused_at: datetime, at: datetime) -> datetime:
        """Return a due time moved on by the time the clock stood; it never ends on a day off and never moves back.

        A term in hours moves by working minutes, one in days by the working days waited.
        """
        if self.definition.total.unit is Unit.HOUR:
            return self.calendar.plus_minutes(due, self.calendar.minutes_between(paused_at, at))
        waited = self.calendar.working_days_between(vn_day(paused_at), vn_day(at))
        if waited <= 0:
            return due
        day = self.calendar.plus_working_days(vn_day(due), waited)
        return max(due, self.calendar.closing(day))

    def reappointed(self, wanted: datetime, at: datetime) -> datetime:
        """Return the end of the working day that a written apology names.

        Raises:
            Invalid: the day has passed, or lies beyond the years whose working days are published.
        """
        named = vn_day(wanted)
        if named > self.calendar.covers_to:
            raise Invalid(
                "Ngày hẹn lại vượt quá những năm đã công bố lịch làm việc.",
                "The new date lies beyond the years whose working days are published.",
                code="beyond-calendar",
            )
        due = self.calendar.closing(self.calendar.on_or_after(named)) if named >= vn_day(at) else wanted
        if due <= at:
            raise Invalid(
                "Ngày hẹn lại phải ở sau thời điểm này.", "The new date must lie in the future.", code="date-passed"
            )
        return due

    def first_step(self, kind: StepKind, current: str | None = None) -> str:
        """Return the code of the step of this kind; staying in `current` where it is already of this kind."""
        steps = self.definition.steps
        if current is not None and any(step.code == current and step.kind is kind for step in steps):
            return current
        found = self.definition.of_kind(kind)
        return found.code if found else (current or steps[0].code)

    def next_appraisal(self, current: str) -> str | None:
        """Return the step of appraisal that follows `current` on the way, or None when the last one is done."""
        steps = self.definition.steps
        codes = [step.code for step in steps]
        begin = codes.index(current) + 1 if current in codes else 0
        return next((step.code for step in steps[begin:] if step.kind is StepKind.APPRAISE), None)

    def appraises(self) -> bool:
        """Tell whether anybody appraises: a certified copy goes from the counter straight to its signatory."""
        return self.definition.of_kind(StepKind.APPRAISE) is not None
