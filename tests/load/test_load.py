"""The whole, against a real web server and a real worker on the run's PostgreSQL."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from conversations.models import Instance, Message
from tests.load import access, scenario
from tests.servers import running
from whatsai import quickstart
from whatsai.devstack.site import SiteConfig

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
]


@pytest.fixture(scope="module")
def site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteConfig]:  # noqa: ARG001 - its name
    """A web server on the test's database, without a worker."""
    database = urlsplit(os.environ["DATABASE_URL"])
    database_url = urlunsplit(database._replace(path=f"/{connection.settings_dict['NAME']}"))
    with quickstart.listen(quickstart.LOOPBACK, 0) as listener:
        url = quickstart.local_url(quickstart.LOOPBACK, listener.getsockname()[1])
        site = SiteConfig(tmp_path_factory.mktemp("site"), url, database_url, os.environ.get("REDIS_URL", ""))
        with running(site.web(listener.fileno(), processes=1, threads=4)):
            yield site


def test_all_that_was_posted_is_there_once_and_right(site: SiteConfig, capsys: pytest.CaptureFixture[str]) -> None:
    Instance.objects.create(name="left over", server_url=scenario.SERVER)
    with running(site.worker(1)):
        call_command("simulate", url=site.url, rate=180, seconds=1, instances=3, copies=20)
    said = capsys.readouterr().out
    assert "202: 200; 0 sent again, 0 given up" in said
    assert "0 lost, 0 duplicated, 0 out of order, 0 wrong unread" in said
    assert Message.objects.count() > 10
    assert sorted(Instance.objects.values_list("name", flat=True)) == ["load-01", "load-02", "load-03"]
    assert not User.objects.filter(username=access.USERNAME).exists()


def test_what_nobody_applies_is_lost_and_exit_status_1(site: SiteConfig, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("simulate", url=site.url, rate=60, seconds=0.5, instances=1, patience=0.5)
    assert ended.value.code == 1
    assert "drained     NOT" in capsys.readouterr().out


def test_no_address_is_one_line() -> None:
    with pytest.raises(CommandError, match="--url must be an address"):
        call_command("simulate", url="ftp://example.com")
