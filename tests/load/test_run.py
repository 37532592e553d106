"""Complete runs of the load test, against a real web server and a real ingest worker on the test database."""

import os
import re
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection

from conversations.models import Instance, Message
from tests.devstack.site import SiteConfig
from tests.load import access, scenario
from tests.load.options import Options
from tests.load.run import run
from tests.servers import running
from whatsai import quickstart

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
]


@pytest.fixture(scope="module")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteConfig]:  # noqa: ARG001 - the fixture creates the database
    """Run a web server on the test database, without an ingest worker."""
    database = urlsplit(os.environ["DATABASE_URL"])
    database_url = urlunsplit(database._replace(path=f"/{connection.settings_dict['NAME']}"))
    with quickstart.listen(quickstart.LOOPBACK, 0) as listener:
        url = quickstart.local_url(quickstart.LOOPBACK, listener.getsockname()[1])
        site = SiteConfig(tmp_path_factory.mktemp("site"), url, database_url, os.environ.get("REDIS_URL", ""))
        with running(site.web(listener.fileno(), processes=1, threads=4)):
            yield site


def test_every_post_is_stored_once_and_correctly(site: SiteConfig, capsys: pytest.CaptureFixture[str]) -> None:
    Instance.objects.create(name="of an earlier run", server_url=scenario.SERVER)
    with running(site.worker(1)):
        assert run(parse(site, "--rate=180", "--seconds=1", "--instances=3", "--copies=20", "--retry-scale=1"))
    output = capsys.readouterr().out
    assert "202: 200; 0 sent again, 0 given up" in output
    assert "0 lost, 0 duplicated, 0 out of order, 0 wrong unread" in output
    assert re.search(r"copies      2 by long poll, 2 by stream, 1 by webhook: [1-9]\d+ rows compared, 0 wrong", output)
    assert Message.objects.count() > 10
    assert sorted(Instance.objects.values_list("name", flat=True)) == ["load-01", "load-02", "load-03"]
    assert not User.objects.filter(username=access.USERNAME).exists()


def test_events_that_no_worker_applies_are_a_failure(site: SiteConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run(parse(site, "--rate=60", "--seconds=0.5", "--instances=1", "--patience=0.5"))
    assert "drained     NOT" in capsys.readouterr().out


def parse(site: SiteConfig, *arguments: str) -> Options:
    return Options.parse(["--url", site.url, "--followers=2", *arguments])
