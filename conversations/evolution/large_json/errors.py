"""Errors for JSON beyond a limit."""


class TooDeepError(ValueError):
    """Raised for JSON with too many levels."""


class LimitExceededError(ValueError):
    """Raised for values beyond a limit.

    Attributes:
        limit: the largest permitted number.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(f"more than {limit}")
        self.limit = limit


class TooManyItemsError(LimitExceededError):
    """Raised for a large array or object with more items than any in WhatsApp's messages."""


class TooMuchMemoryError(LimitExceededError):
    """Raised for values that need more bytes of memory than a body of their size may take."""
