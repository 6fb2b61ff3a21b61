"""Jobs: put in by the transaction that needs them, done at least once, parked with a name when they cannot be done.

This package knows no slice. A kind is called `slice.verb`; its handler is idempotent, with a natural key of its own in
the transaction of its effect, because a job may run twice. Payloads hold ids only. `runner` is for who does them.
"""

from api.jobs.queue import Depth, Job, ParkedJob, depths, drop, enqueue, enqueue_many, parked, unpark
from api.jobs.work import Handler, JobContext, Park

__all__ = [
    "Depth",
    "Handler",
    "Job",
    "JobContext",
    "Park",
    "ParkedJob",
    "depths",
    "drop",
    "enqueue",
    "enqueue_many",
    "parked",
    "unpark",
]
