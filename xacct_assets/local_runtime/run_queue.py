"""Dagster's queue of runs, looked at twice a second."""

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator


class QuickRunQueue(QueuedRunCoordinator):
    """`QueuedRunCoordinator`, whose own setting of the interval takes whole seconds only.

    A day of a few seconds would wait for half of one on the average before it begins; a look at an
    empty queue costs some milliseconds.
    """

    @property
    def dequeue_interval_seconds(self) -> float:  # type: ignore[override]
        """Seconds between two looks."""
        return 0.5
