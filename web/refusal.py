"""A request that is not granted."""

from __future__ import annotations


class Refusal(Exception):
    """An HTTP status and one sentence for the person who asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
