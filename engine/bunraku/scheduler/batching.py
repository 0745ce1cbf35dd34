"""Jobs that one call can do together: sessions that share a model on one device."""

from __future__ import annotations

from bunraku.scheduler.deadline_queue import DeadlineQueue, Waiting

BATCH_WINDOW_NS = 20_000_000
MOST_BATCHED = 8


def take_batch(
    queue: DeadlineQueue, window_ns: int = BATCH_WINDOW_NS, most: int = MOST_BATCHED
) -> list[Waiting]:
    """The most urgent job, and with it those of its lane and batch key that are due at most
    `window_ns` after it: only what already waits, for nothing waits in order to be batched.
    Empty when the queue is."""
    first = queue.pop()
    if first is None:
        return []
    batch = [first]
    job = first.job
    if job.batch_key is None or job.run_batch is None:
        return batch
    for entry in queue:
        if len(batch) == most or entry.job.lane != job.lane:
            break
        if entry.due_ns > first.due_ns + window_ns:
            break
        if entry.job.batch_key == job.batch_key:
            queue.remove(entry)
            batch.append(entry)
    return batch
