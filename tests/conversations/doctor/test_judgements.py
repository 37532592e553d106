"""What `manage.py doctor` says of facts: each fault is named, and a healthy deployment is not blamed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cachelayer.ops.server import StoreServer
from conversations.doctor import database, evolution, findings, site, store
from conversations.doctor.findings import Finding, Level
from conversations.ingest.status import Status

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
STORE = StoreServer("valkey 9", 2**29, "volatile-lru", 0.0)
GIGABYTE = findings.GIGABYTE
DAY = 24 * 3600


def a_status(**fields: Any) -> Status:
    defaults = {"waiting": 0, "retried": 0, "late": 0.0, "failed": 0, "failed_size": 0, "imports": (), "warnings": ()}
    return Status(**{**defaults, "counts": {}, **fields})


@pytest.mark.parametrize(
    ("found", "level", "said"),
    [
        (database.judge_durability({**DURABLE, "fsync": "off"}), Level.PROBLEM, "fsync is off"),
        (database.judge_durability({**DURABLE, "synchronous_commit": "off"}), Level.PROBLEM, "loses events"),
        (iter([database.judge_workers(0)]), Level.PROBLEM, "no worker"),
        (iter([database.judge_workers(1)]), Level.WARNING, "one worker"),
        (iter([findings.judge_clock("the store", 3.2)]), Level.PROBLEM, "3 s ahead of"),
        (iter([findings.judge_clock("the store", -90)]), Level.PROBLEM, "90 s behind"),
        (findings.judge_disk("/media", GIGABYTE // 2, GIGABYTE), Level.WARNING, "only 0.5 GB left"),
        (findings.judge_disk("/media", 9 * GIGABYTE, 100 * GIGABYTE), Level.WARNING, "of 100 GB"),
        (store.judge_memory(replace(STORE, max_bytes=0)), Level.WARNING, "no maxmemory"),
        (store.judge_memory(replace(STORE, eviction_policy="allkeys-lru")), Level.PROBLEM, "allkeys-lru"),
        (store.judge_memory(replace(STORE, eviction_policy="noeviction")), Level.WARNING, "noeviction"),
        (site.judge_health("https://x.example", {"status": "degraded"}), Level.WARNING, "degraded"),
        (site.judge_health("https://x.example", ["something", "else"]), Level.PROBLEM, "does not answer as this site"),
        (site.judge_certificate("x.example", 0, 90 * DAY, 77 * DAY), Level.WARNING, "ends at 1 Apr 1970, 00:00 UTC"),
        (site.judge_certificate("x.example", 0, DAY, DAY - 1), Level.WARNING, "ends at 2 Jan 1970, 00:00 UTC"),
        (site.judge_host("https://x.example", ["y.example"]), Level.PROBLEM, "add 'x.example'"),
        (site.judge_host("https://x.example", []), Level.PROBLEM, "add 'x.example'"),
        (
            evolution.judge_addresses("http://127.0.0.1:8000", ["https://evo.example"]),
            Level.PROBLEM,
            "evo.example cannot reach",
        ),
        (evolution.judge_ingestion(a_status(waiting=7, late=61.0)), Level.PROBLEM, "7 events wait"),
        (evolution.judge_ingestion(a_status(failed=2)), Level.PROBLEM, "2 events have failed"),
        (evolution.judge_media([("sales", False)] * 5 + [("help", True)]), Level.PROBLEM, "newest media of sales"),
        (evolution.judge_times([-0.5, 40.0]), Level.PROBLEM, "40 s behind WhatsApp's"),
    ],
)
def test_a_fault_is_named(found: Iterator[Finding], level: Level, said: str) -> None:
    (finding,) = (one for one in found if one.level != Level.OK)

    assert finding.level == level
    assert said in finding.text


def test_a_healthy_deployment_is_not_blamed() -> None:
    found = [
        *database.judge_durability(DURABLE),
        database.judge_workers(2),
        findings.judge_clock("the store", 0.4),
        *findings.judge_disk("/media", 50 * GIGABYTE, 100 * GIGABYTE),
        *store.judge_memory(STORE),
        *site.judge_health("https://x.example", {"status": "ok"}),
        *site.judge_certificate("x.example", 0, 90 * DAY, 60 * DAY),
        *site.judge_certificate("x.example", 0, DAY / 2, DAY / 3),  # of Caddy's own authority, which live for 12 hours
        *site.judge_host("https://x.example:8443", [".example"]),
        *evolution.judge_addresses("https://inbox.example", ["https://evo.example"]),
        *evolution.judge_ingestion(a_status(waiting=3, late=2.0)),
        *evolution.judge_media([("sales", True), ("sales", False)]),
        *evolution.judge_times([-0.5, 0.9]),
    ]

    assert {one.level for one in found} == {Level.OK}
