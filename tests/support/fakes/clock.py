"""A clock that only sleeping moves."""


class Clock:
    """Seconds since its creation.

    Attributes:
        now: current time in seconds.
        slept: the sleeps so far, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the clock; a sleep of zero advances it by a millisecond."""
        self.slept.append(seconds)
        self.now += max(seconds, 0.001)
