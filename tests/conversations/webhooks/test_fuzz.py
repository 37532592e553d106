"""Bodies of every known shape, damaged in every way: nothing is answered 5xx, nothing accepted is lost.

Damage is to a sample's tree (a part missing, doubled, of another type, huge, deep, no text) or to its bytes.
"""

import copy
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.ingest.conf import Options
from conversations.ingest.worker.worker import Worker
from conversations.models import Instance
from conversations.models.instance import hash_token
from tests.payloads import SAMPLES, captured, sample

pytestmark = pytest.mark.django_db

CLIENT = Client(raise_request_exception=False)  # one, for each loads all middleware anew
TOKEN = "fuzz-token-fuzz-token-fuzz-token"
ONCE = Options(window=0, interval=0, attempts=1)
BODIES = [sample(name) for name in SAMPLES] + [line["body"] for line in captured()]
Path = tuple[Any, ...]
numbers = itertools.count()

# Fewer on a server, where each takes longer and nothing else is tried; EXPLORE=all is for looking on purpose.
ALL = os.environ.get("EXPLORE") == "all"
HERE = connection.vendor == "sqlite"
EXAMPLES = 5000 if ALL else 150 if HERE else 60
SAMPLED = SAMPLES if ALL or HERE else SAMPLES[::3]
on_its_own = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**4200, 1.5, -0.0, 1e308, 5e-324]),
    st.sampled_from(
        ["", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202e", "0", "-1", "NaN", "true", "@", "x@lid"]
    ),
    st.sampled_from(["5511999990001@s.whatsapp.net", "status@broadcast", "@g.us", "1" * 200 + "@lid", "::@:12@lid"]),
    st.sampled_from(["x" * 300, "é" * 5000, "🙂" * 70_000, "9" * 5000]),
    st.text(max_size=12),
    st.sampled_from([[], {}, [[]], [None], [{}], {"": None}, {"low": 1}, {"low": 2**40, "high": -(2**40)}]),
    st.sampled_from(
        [{"type": "Buffer", "data": [256, -1, "x"]}, {"0": "x", "1": None}, {str(n): n for n in range(3000)}]
    ),
    st.integers(1, 80).map(lambda depth: json.loads("[" * depth + "]" * depth)),
    st.integers(1, 80).map(lambda depth: json.loads('{"message":' * depth + "{}" + "}" * depth)),
    st.lists(st.sampled_from([None, 1, "x", {}, []]), max_size=4),
).map(copy.deepcopy)  # what is damaged further must not be what is drawn again


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    """Yield where every part of a tree stands."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in members:
        yield (*above, name)
        yield from paths(item, (*above, name))


@st.composite
def damaged(draw: st.DrawFn) -> Any:
    """A sample, damaged in a few places."""
    body = copy.deepcopy(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        where = list(paths(body))
        if not where:
            break
        *above, name = draw(st.sampled_from(where))
        holder = body
        for step in above:
            holder = holder[step]
        match draw(st.sampled_from(["other", "other", "other", "missing", "more", "doubled"])):
            case "other":
                holder[name] = draw(junk)
            case "missing":
                del holder[name]
            case "more" if isinstance(holder, dict):
                holder[draw(st.text(max_size=5) | st.sampled_from(["key", "message", "base64", "status", "id"]))] = (
                    draw(junk)
                )
            case _ if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[name]))
    return body


def an_instance() -> Instance:
    """One for each example, so that whatever is posted is new."""
    return Instance.objects.create(name=f"fuzz-{next(numbers)}", token_hash=hash_token(TOKEN))


def posted(instance: Instance, raw: bytes, suffix: str = "") -> Any:
    path = f"/webhooks/evolution/{instance.name}{suffix}"
    return CLIENT.generic("POST", path, raw, content_type="application/json", headers={"X-Webhook-Token": TOKEN})


def check(instance: Instance, raw: bytes, suffix: str = "") -> None:
    """Post it; what was accepted is a row, and gets its outcome."""
    answer = posted(instance, raw, suffix)
    assert answer.status_code in (202, 400), answer.content
    assert instance.events.exists() == (answer.status_code == 202)
    Worker(ONCE).drain()
    left = instance.events.filter(outcome__in=["stored", "failed"])
    assert not left.exists(), [(event.outcome, event.reason, event.payload) for event in left]


@on_its_own
@given(damaged(), st.sampled_from(["", "/messages-upsert", "/X", "/" + "é" * 90]))
def test_a_damaged_body_is_kept_and_gets_its_outcome(body: dict[str, Any], suffix: str) -> None:
    instance = an_instance()
    if "instance" in body:
        body["instance"] = instance.name
    check(instance, json.dumps(body).encode(), suffix)


@on_its_own
@given(st.sampled_from(BODIES), st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=3))
def test_damaged_bytes_are_refused_or_kept(body: dict[str, Any], damage: list[tuple[float, bytes]]) -> None:
    instance = an_instance()
    raw = json.dumps(body | {"instance": instance.name}, ensure_ascii=False).encode()
    for where, what in damage:
        at = int(where * len(raw))
        raw = raw[:at] + what + raw[at + 1 :]
    check(instance, raw)


@on_its_own
@given(
    st.recursive(
        junk, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )
)
def test_any_json_at_all_is_kept(body: Any) -> None:
    check(an_instance(), json.dumps(body).encode())


@pytest.mark.parametrize("name", SAMPLED)
def test_a_sample_with_each_of_its_parts_missing(name: str) -> None:
    instance = an_instance()
    whole = sample(name) | {"instance": instance.name}
    for *above, last in list(paths(whole)):
        if str(last).isdigit():
            continue  # one of a thumbnail's thousand bytes
        body = copy.deepcopy(whole)
        holder = body
        for step in above:
            holder = holder[step]
        del holder[last]
        assert posted(instance, json.dumps(body).encode()).status_code == 202
    Worker(ONCE).drain()
    assert not instance.events.filter(outcome__in=["stored", "failed"]).exists()
