"""Real-time priority for a thread that plays for many sessions, where the system grants it."""

from __future__ import annotations

import os
import sys

AUDIO_PRIORITY = 5
"""Round-robin, above every ordinary program and below sound servers and audio threads."""


def raise_thread(thread_id: int) -> bool:
    """The thread (by its native id) goes before ordinary ones; False where the system refuses or is
    not Linux. Children of the process do not inherit it."""
    if sys.platform != "linux":
        return False
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(thread_id, policy, os.sched_param(AUDIO_PRIORITY))
    except OSError:
        return False
    return True


def lower_thread(thread_id: int) -> None:
    """Back among the ordinary: what hangs in a loop must not hold a core against everyone."""
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(thread_id, os.SCHED_OTHER, os.sched_param(0))
        except OSError:
            return  # it has ended
