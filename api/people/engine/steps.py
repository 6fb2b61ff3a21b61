"""Which of the signer's jobs and sweeps are about people."""

from typing import Final

from api.people.engine import enrolling, judging
from api.people.enrolling import CONFIRM_FACTOR
from api.people.proposing import JUDGE_ANSWER

STEPS: Final = {JUDGE_ANSWER: judging.judge, CONFIRM_FACTOR: enrolling.confirm}
SWEEPS: Final = (judging.upkeep,)
