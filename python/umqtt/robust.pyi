"""The client of umqtt.simple, which connects again by itself."""

from typing import Any

from . import simple

class MQTTClient(simple.MQTTClient):
    DELAY: float  # Seconds between attempts
    DEBUG: bool  # True: log() prints
    RESUBSCRIBE: bool  # True: subscriptions are renewed where the broker has lost the session

    def delay(self, i: int) -> None:
        """Between attempts, i from 1. To be overridden."""
    def log(self, in_reconnect: bool, e: Exception) -> None:
        """A connection was lost, or an attempt failed. To be overridden."""
    def reconnect(self) -> Any:
        """connect(False) until it succeeds: what that returns."""
    def check_msg(self, attempts: int = 2) -> int | None: ...
