"""Randomly damaged webhook payloads never cause a 5xx response, and every accepted event gets an outcome.

What they leave in the database is shown by the API and the admin, in pages of a limited size.

The tests damage the JSON tree (remove, duplicate or replace members by extreme values) or single bytes.
"""

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest.conf import Options
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance
from conversations.models.instance import hash_token
from conversations.webhooks.instances import known_names
from tests.conversations.admin.pages import page_url
from tests.effort import EXPLORES_ALL, effort
from tests.payloads import SAMPLES, captured, sample

pytestmark = pytest.mark.django_db

READER = Client(raise_request_exception=False)
CLIENT = Client(raise_request_exception=False)  # all tests share one client, because a new client loads all middleware
TOKEN = "fuzz-token-fuzz-token-fuzz-token"
OPTIONS = Options(window=0, interval=0, attempts=1)
BODIES = [sample(name) for name in SAMPLES] + [line["body"] for line in captured()]
MAX_PAGE_BYTES = 1_000_000  # of the admin's page of a conversation
Path = tuple[Any, ...]
numbers = itertools.count()

# On PostgreSQL, where an example takes longer, the tests run fewer examples.
IS_SQLITE = connection.vendor == "sqlite"
MAX_EXAMPLES = effort(40 if IS_SQLITE else 20, 5000)
SAMPLE_NAMES = SAMPLES if EXPLORES_ALL or IS_SQLITE else SAMPLES[::3]
fuzz_settings = settings(
    max_examples=MAX_EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(autouse=True)
def _logged_in() -> None:
    READER.force_login(User.objects.create_superuser("reader"))


extreme_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**400, 10**4200, 1.5, -0.0, 1e308, 5e-324]),
    st.sampled_from(
        ["", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "0", "-1", "NaN", "true", "@", "x@lid"]
    ),
    st.sampled_from(["5511999990001@s.whatsapp.net", "status@broadcast", "@g.us", "1" * 200 + "@lid", "::@:12@lid"]),
    st.sampled_from(["x" * 300, "é" * 5000, "🙂" * 70_000, "9" * 5000]),
    st.sampled_from(["http://a.example " * 4000, "http://a " * 8000, "waid=5511999990001 " * 4000, "*_~" * 20_000]),
    st.text(max_size=12),
    st.sampled_from([[], {}, [[]], [None], [{}], {"": None}, {"low": 1}, {"low": 2**40, "high": -(2**40)}]),
    st.sampled_from(
        [{"type": "Buffer", "data": [256, -1, "x"]}, {"0": "x", "1": None}, {str(n): n for n in range(3000)}]
    ),
    st.integers(1, 80).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.integers(1, 80).map(lambda depth: json.loads('{"message":' * depth + "{}" + "}" * depth)),
    st.lists(st.sampled_from([None, 1, "x", {}, []]), max_size=4),
).map(copy.deepcopy)  # hypothesis reuses the values, but the tests modify them


def paths(value: Any, parent: Path = ()) -> Iterator[Path]:
    """Yield the path (keys and indexes) of every object member and array item in a JSON tree."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in members:
        yield (*parent, name)
        yield from paths(item, (*parent, name))


@st.composite
def damaged_bodies(draw: st.DrawFn) -> Any:
    """Draw a sample payload that is damaged in up to four places."""
    body = copy.deepcopy(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        candidates = list(paths(body))
        if not candidates:
            break
        *parents, name = draw(st.sampled_from(candidates))
        container = body
        for step in parents:
            container = container[step]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "duplicate"])):
            case "replace":
                container[name] = draw(extreme_values)
            case "remove":
                del container[name]
            case "add" if isinstance(container, dict):
                container[draw(st.text(max_size=5) | st.sampled_from(["key", "message", "base64", "status", "id"]))] = (
                    draw(extreme_values)
                )
            case _ if isinstance(container, list):
                container.append(copy.deepcopy(container[name]))
    return body


def create_instance() -> Instance:
    """Create a new instance for one example, so that no webhook body is a duplicate of an earlier one."""
    known_names.reset()  # a process learns only a few new names a second
    return Instance.objects.create(name=f"fuzz-{next(numbers)}", token_hash=hash_token(TOKEN))


def post(instance: Instance, raw: bytes, suffix: str = "") -> Any:
    path = f"/webhooks/evolution/{instance.name}{suffix}"
    return CLIENT.generic("POST", path, raw, content_type="application/json", headers={"X-Webhook-Token": TOKEN})


def check_outcome(instance: Instance, raw: bytes, suffix: str = "") -> None:
    """Post a webhook body; check that only an accepted body is stored, and that no event gets the outcome `failed`."""
    response = post(instance, raw, suffix)
    assert response.status_code in (202, 400), response.content
    assert instance.events.exists() == (response.status_code == 202)
    Worker(OPTIONS).drain()
    unfinished = instance.events.filter(outcome__in=["stored", "failed"])
    assert not unfinished.exists(), [(event.outcome, event.reason, event.payload) for event in unfinished]


def check_pages(instance: Instance) -> None:
    """Check that the API and the admin show the rows of an instance."""
    urls = [f"/api/v1/{name}/?instance={instance.pk}&limit=200" for name in ("messages", "contacts", "conversations")]
    urls.append(f"/api/v1/instances/{instance.pk}/")
    for conversation in instance.conversations.all()[:2]:
        urls += [f"/api/v1/conversations/{conversation.pk}/", page_url(conversation)]
    urls += [page_url(row) for row in (*instance.messages.all()[:1], *instance.events.all()[:1])]
    for url in urls:
        response = READER.get(url)
        assert response.status_code == 200, (url, response.content)
        assert len(response.content) < MAX_PAGE_BYTES or "/api/" in url, url


@fuzz_settings
@given(damaged_bodies(), st.sampled_from(["", "/messages-upsert", "/X", "/" + "é" * 90]))
def test_a_damaged_body_is_stored_and_gets_an_outcome(body: dict[str, Any], suffix: str) -> None:
    instance = create_instance()
    if "instance" in body:
        body["instance"] = instance.name
    check_outcome(instance, json.dumps(body).encode(), suffix)
    check_pages(instance)


@fuzz_settings
@given(st.sampled_from(BODIES), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=3))
def test_damaged_bytes_are_rejected_or_stored(body: dict[str, Any], damage: list[tuple[float, bytes]]) -> None:
    instance = create_instance()
    raw = json.dumps(body | {"instance": instance.name}, ensure_ascii=False).encode()
    for position, replacement in damage:
        index = int(position * len(raw))
        raw = raw[:index] + replacement + raw[index + 1 :]
    check_outcome(instance, raw)


@fuzz_settings
@given(
    st.recursive(
        extreme_values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_json_is_stored(body: Any) -> None:
    check_outcome(create_instance(), json.dumps(body).encode())


@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_a_sample_without_any_one_of_its_members_is_stored(name: str) -> None:
    instance = create_instance()
    complete = sample(name) | {"instance": instance.name}
    for *parents, last in list(paths(complete)):
        if str(last).isdigit():
            continue  # skip array items, such as the thousand bytes of a thumbnail
        body = copy.deepcopy(complete)
        container = body
        for step in parents:
            container = container[step]
        del container[last]
        assert post(instance, json.dumps(body).encode()).status_code == 202
    Worker(OPTIONS).drain()
    assert not instance.events.filter(outcome__in=["stored", "failed"]).exists()
