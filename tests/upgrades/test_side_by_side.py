"""Today's release works with the schema of the next one, before and beside processes of the next one.

The next release (`tests/upgrades/next_release`) does to each table what a migration may do, while messages arrive.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.upgrades import sites
from tests.upgrades.sites import NEXT, TODAY, Site
from tests.waiting import wait_until

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
PEOPLE = [f"55119000000{n:02}@s.whatsapp.net" for n in range(10)]
FEW = 20  # messages
PAGES = ("", "conversations/conversation/", "conversations/message/", "conversations/contact/", "inbox/")


class Traffic:
    """Posts messages to a site, one after the other; the site may be another one later."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.posted: list[str] = []
        self._is_over = threading.Event()

    def run(self) -> None:
        """Post until `stop` is called; each message must be accepted."""
        for n in itertools.count():
            if self._is_over.is_set():
                return
            assert self.site.post(f"M{n}", PEOPLE[n % len(PEOPLE)]) == 202
            self.posted.append(f"M{n}")

    def move(self, site: Site) -> None:
        """Post to another site from now on; the last answer of the one before has arrived."""
        self.site = site
        posted = len(self.posted)
        wait_until(lambda: len(self.posted) > posted + 1)

    def stop(self) -> None:
        """Let `run` return."""
        self._is_over.set()


@contextmanager
def traffic(site: Site) -> Iterator[Traffic]:
    """Post messages to a site during a block."""
    with ThreadPoolExecutor() as threads:
        posting = Traffic(site)
        running = threads.submit(posting.run)
        try:
            yield posting
        finally:
            posting.stop()
            running.result()


@pytest.fixture
def database() -> Iterator[str]:
    with sites.copy_of_database() as url:
        yield url


def texts(database: str, condition: str = "true") -> set[str]:
    """Return the texts of the stored messages."""
    with psycopg.connect(database) as connection:
        query = f"SELECT text FROM conversations_message WHERE {condition}"  # noqa: S608 - a constant of this module
        return {text for (text,) in connection.execute(query)}


def followed(site: Site, cursor: str) -> set[int]:
    """Return the ids of the messages of which the log of changes tells after a cursor."""
    found: set[int] = set()
    while True:
        page = site.api(f"changes/?after={cursor}")
        found |= {one["id"] for one in page["results"] if one["resource"] == "message"}
        cursor = page["cursor"]
        if not page["has_more"]:
            return found


def check(site: Site, other: Site) -> None:
    """Read with one release at once what the other one writes, and open pages of the admin."""
    chat = site.api("conversations/?limit=1")["results"][0]["id"]
    assert site.api(f"conversations/{chat}/messages/")["results"]
    for is_pinned in (True, False):
        other.api(f"conversations/{chat}/")  # fills the cache
        site.api(f"conversations/{chat}/", "PATCH", {"is_pinned": is_pinned})
        assert other.api(f"conversations/{chat}/")["is_pinned"] is is_pinned
    assert {page: site.admin(page) for page in PAGES} == dict.fromkeys(PAGES, 200)
    assert site.admin(f"conversations/conversation/{chat}/change/") == 200


def test_releases_that_are_neighbours_share_a_database(database: str, tmp_path: Path) -> None:
    common = {"DATABASE_URL": database, "CACHE_PREFIX": tmp_path.name, "LOG_DIR": str(tmp_path / "log")}
    common |= {"INGEST_WINDOW": "0", "INGEST_INTERVAL": "0", "INGEST_IN_WEB_PROCESS": "false"}
    keys = json.loads(sites.manage(common | TODAY, "shell", "--no-imports", "-c", sites.SET_UP))

    with ExitStack() as today_runs:
        today = today_runs.enter_context(sites.running(tmp_path / "today", keys, common | TODAY))
        cursor = today.api("changes/?after=now")["cursor"]
        with traffic(today) as posting:
            wait_until(lambda: len(texts(database)) >= FEW)
            sites.manage(common | NEXT, "migrate", "--no-input")
            wait_until(lambda: len(texts(database, "next_note = 'seen' AND next_count = 7")) >= FEW)
            check(today, today)
            with sites.running(tmp_path / "next", keys, common | NEXT) as following:
                check(today, following)
                check(following, today)
                posting.move(following)
                today_runs.close()  # its requests and batches end; none is lost
                stored = len(texts(database))
                wait_until(lambda: len(texts(database)) >= stored + FEW)
                check(following, following)
                posting.stop()
                wait_until(lambda: texts(database) == set(posting.posted))
                assert len(followed(following, cursor)) == len(posting.posted)

    logs = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "log").iterdir())
    assert [line for line in logs.splitlines() if '"level":"ERROR"' in line or '"level":"FATAL"' in line] == []
