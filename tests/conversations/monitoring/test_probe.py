"""The probe finds whether a message gets through a real site, leaves nothing behind, and says which step failed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User

from conversations.models import ApiToken, CheckResult, Contact, Conversation, Instance, Message, WebhookEvent
from conversations.monitoring import probe, state
from tests.conversations.ingest.processes import database_url
from tests.conversations.monitoring.receivers import WebhookHandler, running
from tests.waiting import TIMEOUT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def has_worker() -> bool:
    return True


@pytest.fixture
def site(tmp_path: Path, settings: Any, has_worker: bool) -> Iterator[subprocess.Popen[bytes]]:  # noqa: FBT001 - a fixture
    """Run a web process, normally with a worker inside, on the database and the store of the test.

    The probe reaches it by an address to which the site does not answer by itself.
    """
    settings.PUBLIC_URL = "https://inbox.example"
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        settings.PROBE_URL = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = os.environ | {
            "DATABASE_URL": database_url(),
            "CACHE_PREFIX": settings.CACHELAYER["PREFIX"],
            "SECRET_KEY": settings.SECRET_KEY,
            "LOG_DIR": str(tmp_path),
            "HTTPS": "false",
            "ALLOWED_HOSTS": "inbox.example",
            "INGEST_IN_WEB_PROCESS": str(has_worker),
        }
        command = ["-m", "gunicorn", "--config=python:whatsai.gunicorn", f"--bind=fd://{listener.fileno()}"]
        with (tmp_path / "output").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - the test runs only the project's own command
                [sys.executable, *command, "whatsai.wsgi"],
                cwd=django_settings.BASE_DIR,
                env=environ,
                pass_fds=[listener.fileno()],
                stdout=output,
                stderr=output,
            )
        with process:
            with urlopen(f"{settings.PROBE_URL}/healthz", timeout=TIMEOUT) as response:  # noqa: S310 - the server above
                response.read()
            yield process
            process.terminate()


def result() -> tuple[bool, str]:
    found = CheckResult.objects.get(name="probe")
    return found.is_ok, found.detail


@pytest.mark.postgresql
@pytest.mark.usefixtures("site")
def test_a_message_gets_through_the_site_and_leaves_nothing() -> None:
    for _ in range(2):
        probe.probe()
        assert result() == (True, "")
    for model in (Contact, Conversation, Message, WebhookEvent, ApiToken):
        assert not model.objects.exists()
    assert (Instance.objects.count(), User.objects.count()) == (1, 1)
    assert state.read().numbers == ()


@pytest.mark.postgresql
@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("has_worker", [False])
def test_without_a_worker_the_message_does_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT", 3.0)
    probe.probe()
    assert result() == (False, "the message did not arrive within 3 s")


@pytest.mark.parametrize(
    ("status", "problem"), [(500, "the event stream answered 501"), (None, "the event stream failed: URLError")]
)
def test_the_result_says_which_step_failed(settings: Any, status: int | None, problem: str) -> None:
    with running(WebhookHandler) as server:
        settings.PROBE_URL = f"http://127.0.0.1:{server.port}"
        if status is not None:
            probe.probe()
    if status is None:
        probe.probe()
    assert result() == (False, problem)
    assert not ApiToken.objects.exists()
