"""Keeps secrets out of every record: tokens in URLs, and credentials in headers.

A filter on the handlers sees each record last, after its arguments are known, so that no caller has to remember.
"""

import logging
import re

MASK = "[redacted]"

# `?token=abc`, `&apikey=abc`, and the by-events form `?token=abc/messages-upsert`, whose suffix goes too.
_IN_URL = re.compile(r"(?i)([?&](?:[\w-]*token|api_?key|key|password|secret)=)[^&\s\"']+")
_IN_HEADER = re.compile(r"(?i)\b(Bearer|Token|Basic)\s+[\w.~+/=-]{8,}")


def redact(text: str) -> str:
    """Return `text` with the value of each credential replaced by a mask."""
    return _IN_HEADER.sub(rf"\1 {MASK}", _IN_URL.sub(rf"\1{MASK}", text))


class RedactionFilter(logging.Filter):
    """Redacts a record's finished message and its request; always lets the record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's message by its redacted form; its arguments are spent."""
        record.msg, record.args = redact(record.getMessage()), None
        # Django adds the request to what it logs of an answer, and a request's text form has its query string.
        if hasattr(record, "request"):
            record.request = redact(str(record.request))
        return True
