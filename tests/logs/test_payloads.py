"""Logging a sample payload in any way writes no names, phone numbers or chat message texts to the log."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conversations.models import Instance
from logs.contexts import Context
from logs.redaction import SAFE_NAMES
from logs.testing import CapturedLines, capture
from tests.conversations.ingest.receive import receive
from tests.logs.conftest import throw
from tests.payloads import SAMPLES, captured, sample

log = Context.WEBHOOK.logger
Json = dict[str, Any]

# Names of payload fields whose values are words of the WhatsApp protocol, not personal data.
TECHNICAL = SAFE_NAMES | {
    "action", "addressingmode", "admin", "error", "instancename", "lastknownpresence", "mimetype", "mime_type",
    "source",
}  # fmt: skip
MIN_CHARS = 3  # shorter texts are ignored, because other log texts contain them by chance
NUMBER = re.compile(r"\d{8,}")


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield a (key, text) pair for each text in nested dicts and lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, name)
    elif isinstance(value, str):
        yield name, value


def personal_texts(body: Json) -> set[str]:
    """Return the personal texts of a payload (not words of the protocol), and the phone numbers in these texts."""
    texts = [text for name, text in leaves(body) if name.lower() not in TECHNICAL and len(text) >= MIN_CHARS]
    numbers = [number for text in texts if "@" in text or "VCARD" in text for number in NUMBER.findall(text)]
    cards = [line.partition(":")[2] for text in texts if "VCARD" in text for line in text.split("\n") if ":" in line]
    harmless = {text for name, text in leaves(body) if name.lower() in TECHNICAL} | {"VCARD", "3.0", "Celular"}
    return {text for text in [*texts, *numbers, *cards] if len(text) >= MIN_CHARS} - harmless


def readable_in(texts: set[str], logged: CapturedLines) -> list[str]:
    """Return those of `texts` that the log contains as whole words."""
    found = logged_text(logged)
    return [text for text in texts if text in found and re.search(rf"(?<!\w){re.escape(text)}(?!\w)", found)]


def logged_text(logged: CapturedLines) -> str:
    """Return all texts in the log lines, decoded from JSON."""
    return "\n".join(f"{name} {text}" for line in logged for name, text in leaves(line))


def in_an_exception(body: Json) -> None:
    try:
        throw(ValueError(f"not understood: {body}"))
    except ValueError:
        log.exception("failed")


def in_a_cause(body: Json) -> None:
    try:
        try:
            throw(ValueError(json.dumps(body)))
        except ValueError as cause:
            raise KeyError(body) from cause
    except KeyError as error:
        log.warning("failed: %s", error, exc_info=True, extra={"reason": error})


WAYS: dict[str, Callable[[Json], None]] = {
    "as an argument": lambda body: log.info("got %s", body),
    "as one of several": lambda body: log.info("got %s from %r", body, [body]),
    "as what was added": lambda body: log.info("got it", extra={"payload": body, "data": body["data"], "key": [body]}),
    "as the message": log.info,
    "as repr": lambda body: log.info(f"got {body}"),  # noqa: G004 - an f-string in a log call is tested
    "as repr of the data": lambda body: log.info(f"got {body['data']!r} of it"),  # noqa: G004 - an f-string in a log call is tested
    "as JSON": lambda body: log.info("got %s", json.dumps(body, ensure_ascii=False)),
    "as JSON that one can read": lambda body: log.info("got %s", json.dumps(body, indent=2)),
    "as the body that came": lambda body: log.info("got %r", json.dumps(body).encode()),
    "as JSON in a field": lambda body: log.info("got it", extra={"reason": json.dumps(body), "raw": repr(body)}),
    "cut short": lambda body: log.info("got %.300s", body),
    "in an exception": in_an_exception,
    "in a cause": in_a_cause,
}

BODIES = [(name, sample(name)) for name in SAMPLES] + [
    (f"captured {place}", recorded["body"]) for place, recorded in enumerate(captured())
]


@pytest.mark.parametrize("way", WAYS)
def test_no_personal_text_of_a_payload_is_logged(way: str) -> None:
    for name, body in BODIES:
        with capture(logging.INFO) as logged:
            WAYS[way](body)
        assert logged
        assert not readable_in(personal_texts(body), logged), name


def test_the_payloads_contain_personal_texts() -> None:
    found = set().union(*(personal_texts(body) for _, body in BODIES))
    assert {"Mariana Couto", "5521987654321", "Bom dia! Vocês entregam em Niterói?", "Ana Financeiro"} <= found
    assert {"9F0C2B7A-4E1D-4A63-B7C5-0D2E8F316A94", "GLOBALKEY-TEST", "+55 11 97777-6666", "Plaza Niterói"} <= found
    assert len(found) > 300


@pytest.mark.django_db
def test_ingesting_all_payloads_logs_no_personal_text() -> None:
    instance = Instance.objects.create(name="vendas-sp-01")
    with capture(logging.DEBUG) as logged:
        for _, body in BODIES:
            receive(instance, body)
            receive(instance, {**body, "instance": instance.name})
    assert logged.matching(level="WARN", instance=instance.name)
    assert not readable_in(set().union(*(personal_texts(body) for _, body in BODIES)), logged)
