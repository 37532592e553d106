"""A process gets its cache ready before it takes requests, says loudly when it cannot, and leaves nothing behind."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from knox.models import AuthToken
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis-py's

from cachelayer import startup
from cachelayer.models import Outbox
from cachelayer.ops import statistics
from cachelayer.runtime import process_lock
from cachelayer.runtime.runtime import get_runtime, runtime
from conversations.models import Instance
from tests.cachelayer.conftest import use_redis, wait_until, wait_until_in_use
from tests.cachelayer.gunicorn import PATIENCE, ask, environment, serving
from tests.cachelayer.test_faults import a_replica, unable_to_save
from tests.conversations.rows import an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to happen at the end of a process is not to happen at the end of the tests."""
    monkeypatch.setattr("atexit.register", lambda _: None)


# --- a server that will not have us -----------------------------------------------------------------------------------
def refusal() -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        startup.start()
    return str(caught.value)


def demand_a_password(valkey_server: Valkey) -> None:
    valkey_server.client.config_set("requirepass", "s3cret")
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)  # those who were let in without


@pytest.mark.parametrize("user", ["", ":hunter2@", "ana:hunter2@"])
def test_a_wrong_password_is_refused(valkey_server: Valkey, settings: Any, user: str) -> None:
    demand_a_password(valkey_server)
    use_redis(settings, valkey_server.url.replace("unix://", f"unix://{user}"))
    said = refusal()
    assert said.startswith("REDIS_URL: the server refuses: ")
    assert "hunter2" not in said


def test_a_database_that_the_server_does_not_have_is_refused(valkey_server: Valkey, settings: Any) -> None:
    use_redis(settings, valkey_server.url.replace("db=0", "db=99"))
    assert refusal().startswith("REDIS_URL: the server refuses: DB index is out of range; it must be Redis 7")


def test_a_user_who_may_not_run_scripts_is_refused(valkey_server: Valkey, settings: Any) -> None:
    valkey_server.client.execute_command("ACL", "SETUSER", "ana", "on", ">s3cret", "~*", "&*", "+@all", "-evalsha")
    use_redis(settings, valkey_server.url.replace("unix://", "unix://ana:s3cret@"))
    assert "evalsha" in refusal()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1?db=x"])
def test_what_is_no_url_of_a_server_is_refused(settings: Any, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^CACHES\['default'\]: "):
        use_redis(settings, url)


# --- a server that is not there, or not ready -------------------------------------------------------------------------
def away(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - one of several
    valkey_server.stop()
    return valkey_server.start


def hung(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - as above
    valkey_server.pause()
    return valkey_server.resume


def loading(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - as above
    """The server has a dump to read, and takes its time."""
    for number in range(200):
        valkey_server.client.set(f"x{number}", os.urandom(2000))  # it looks up from its work every so many bytes
    valkey_server.save()
    valkey_server.stop()
    slowly = ("--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024", "--rdbcompression", "no")
    thread = threading.Thread(target=valkey_server.start, args=slowly)
    thread.start()
    wait_until(lambda: is_loading(valkey_server))

    def come_back() -> None:
        valkey_server.client.config_set("key-load-delay", 0)
        thread.join()

    return come_back


def is_loading(valkey_server: Valkey) -> bool:
    with suppress(ConnectionError, TimeoutError):
        try:
            valkey_server.client.ping()
        except BusyLoadingError:
            return True
    return False


def replica(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - as above
    return in_the_end(a_replica(valkey_server))


def disk_full(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - as above
    return in_the_end(unable_to_save(valkey_server))


def in_the_end(fault: Any) -> Callable[[], None]:
    stack = ExitStack()
    stack.enter_context(fault)
    return stack.close


@pytest.mark.postgresql
@pytest.mark.parametrize("goes", [away, hung, loading, replica, disk_full])
def test_a_server_that_is_not_there_is_fatal_for_the_cache_alone(
    valkey_server: Valkey, settings: Any, goes: Callable[..., Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    row = an_instance()
    come_back = goes(valkey_server, settings)
    use_redis(settings, valkey_server.url)
    now = startup.start()
    (fatal,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert fatal.message.startswith("Cache FATAL: the store cannot be reached: ")
    assert not now.breaker.is_closed
    assert Instance.objects.fetch(row.pk) == row
    row.profile_name = "new"
    row.save()
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    come_back()
    wait_until_in_use(now)
    assert "Cache RECOVERED" in caplog.text
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    assert not Outbox.objects.exists()


# --- without a server -------------------------------------------------------------------------------------------------
@pytest.fixture
def alone(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The embedded default, whatever the tests run on; nobody else has it."""
    monkeypatch.setattr(process_lock, "_path", lambda _: None)
    before = settings.CACHES
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    runtime.use_configured_store()
    yield
    settings.CACHES = before
    runtime.use_configured_store(owns_cache=True)


@pytest.mark.usefixtures("alone")
def test_one_process_takes_the_cache_and_has_missed_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert get_runtime().bypasses_cache
    Outbox.objects.create(tags="instance:1")
    now = startup.start()
    assert not now.bypasses_cache
    assert not Outbox.objects.exists()
    assert "Cache STARTED, of this process alone; namespaces: values, instances, contacts, con" in caplog.text
    row = an_instance()
    assert Instance.objects.fetch(row.pk) == Instance.objects.fetch(row.pk) == row
    assert now.local.namespace(runtime.namespaces.for_tag("instances")).hits == 1


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "a") as handle:
    fcntl.lockf(handle, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:  # noqa: ARG001 - a fixture's fixture
    """Another process, which has the cache."""
    monkeypatch.setattr(process_lock, "_held", None)
    monkeypatch.setattr(process_lock, "_path", lambda _: tmp_path / "lock")
    monkeypatch.setattr(process_lock, "POLL", 0.01)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("other")
def test_a_second_process_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "WAIT", 0.05)
    for _ in range(2):
        assert refusal().startswith("REDIS_URL: is empty, and another process has the cache")


def test_a_process_that_follows_another_waits_for_its_end(
    other: "subprocess.Popen[str]", caplog: pytest.LogCaptureFixture
) -> None:
    thread = threading.Thread(target=process_lock.acquire)
    thread.start()
    wait_until(lambda: "Cache WAITS" in caplog.text)
    assert thread.is_alive()
    other.communicate("\n")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    process_lock.acquire()  # ours already


@pytest.mark.parametrize(
    ("database", "name"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/db.sqlite3"}, "/srv/db.sqlite3.cache"),
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}, "None"),
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "file:x?mode=memory&cache=shared"}, "None"),
        ({"ENGINE": "django.db.backends.postgresql", "NAME": "inbox", "HOST": "db", "PORT": 5432}, "/cachelayer-"),
    ],
)
def test_the_lock_is_where_the_database_is(database: dict[str, Any], name: str) -> None:
    assert name in str(process_lock._path(database))  # noqa: SLF001 - what is tested


# --- whole processes --------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_gunicorn_serves_without_its_store_and_finds_it_when_it_comes(valkey_server: Valkey, tmp_path: Path) -> None:
    valkey_server.stop()
    with serving(tmp_path, REDIS_URL=valkey_server.url) as site:
        assert json.loads(site.get("/health/")) == {"status": "degraded", "database": "ok", "cache": "unavailable"}
        wait_until(lambda: "Cache STARTED" in site.said())
        assert site.said().index("Cache FATAL") < site.said().index("Cache STARTED")
        valkey_server.start()
        wait_until(lambda: json.loads(site.get("/health/"))["status"] == "ok")
        wait_until(lambda: "Cache RECOVERED" in site.said())


@pytest.mark.postgresql
def test_gunicorn_is_reloaded_without_ever_having_two_caches(tmp_path: Path) -> None:
    with serving(tmp_path, REDIS_URL="", TMPDIR=str(tmp_path)) as site:
        assert json.loads(site.get("/health/"))["status"] == "ok"
        site.process.send_signal(signal.SIGHUP)
        wait_until(lambda: site.said().count("Cache STARTED, of this process alone") == 2)
        assert json.loads(site.get("/health/"))["status"] == "ok"
    assert "Traceback" not in site.said()


@pytest.mark.postgresql
def test_gunicorn_does_not_start_with_a_store_that_refuses(valkey_server: Valkey, tmp_path: Path) -> None:
    demand_a_password(valkey_server)
    with serving(tmp_path, REDIS_URL=valkey_server.url) as site:
        assert site.process.wait(PATIENCE) != 0
        assert "REDIS_URL: the server refuses: " in site.said()


@pytest.mark.parametrize("option", ["--workers=2", "--preload"])
def test_gunicorn_does_not_start_with_several_processes_and_no_store(tmp_path: Path, option: str) -> None:
    with serving(tmp_path, option, REDIS_URL="", TMPDIR=str(tmp_path)) as site:
        assert site.process.wait(PATIENCE) == 1
        said = [line for line in site.said().splitlines() if line.startswith("configuration error: ")]
        assert said == [
            "configuration error: REDIS_URL: is empty; without a server there is one worker, and no preloading"
        ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"REDIS_URL": "redis:///0"}, "REDIS_URL: names no server"),
        ({"REDIS_URL": "unix:///nowhere", "CACHE_PREFIX": "a:b"}, "CACHE_PREFIX: "),
    ],
)
def test_runserver_says_in_one_line_what_is_wrong(variables: dict[str, str], said: str) -> None:
    command = [sys.executable, "manage.py", "runserver", "--noreload", "127.0.0.1:0"]
    done = subprocess.run(  # noqa: S603 - the project's own command
        command, cwd=project.BASE_DIR, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"configuration error: {said}")


@pytest.mark.postgresql
def test_runserver_refuses_what_the_store_refuses_before_it_listens(valkey_server: Valkey) -> None:
    demand_a_password(valkey_server)
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--skip-checks", "127.0.0.1:0"]
    done = subprocess.run(  # noqa: S603 - the project's own command
        command,
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("configuration error: REDIS_URL: the server refuses: ")


# --- forks, and the end -----------------------------------------------------------------------------------------------
# Reads, forks, reads in both, and ends; says which threads there are when all is done.
FORKING = """
import atexit, os, sys, threading
atexit.register(lambda: print(sorted(thread.name for thread in threading.enumerate())))
import django
django.setup()
from django.db import connections
from cachelayer import startup
from conversations.models import Instance
startup.start()
pk = int(sys.argv[1])
for _ in range(2):
    Instance.objects.fetch(pk)
connections.close_all()
child = os.fork()
Instance.objects.fetch(pk)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.postgresql
def test_a_process_and_its_fork_report_what_each_has_counted_and_leave_nothing_behind(valkey_server: Valkey) -> None:
    row = an_instance()
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-W",
        "ignore:This process:DeprecationWarning",
        "-c",
        FORKING,
    ]
    done = subprocess.run(  # noqa: S603 - our own words
        [*command, str(row.pk)],
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url, LOG_LEVEL="ERROR"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['MainThread']\n" * 2
    counted = statistics.by_namespace(statistics.totals())["instances"]
    assert sum(statistics.hits_and_misses(counted)) == 4


# Forks while another thread holds what connections are taken from.
FORKING_BUSILY = """
import os, signal, sys, threading
import django
django.setup()
from django_redis import get_redis_connection
from cachelayer import startup
from conversations.models import Instance
startup.start()
pk, pool, held = int(sys.argv[1]), get_redis_connection("default").connection_pool, threading.Event()

def hold():
    with pool._lock:
        held.set()
        threading.Event().wait()

Instance.objects.fetch(pk)
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    Instance.objects.fetch(pk, fresh=True)
    get_redis_connection("default").ping()
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.postgresql
def test_a_fork_does_not_wait_for_a_lock_of_a_thread_that_is_gone(valkey_server: Valkey) -> None:
    command = [sys.executable, "-c", FORKING_BUSILY, str(an_instance().pk)]
    done = subprocess.run(  # noqa: S603 - our own words
        command,
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.postgresql
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["each for itself", "preloaded"])
def test_gunicorns_workers_are_coherent_and_report_what_they_counted(
    valkey_server: Valkey, tmp_path: Path, options: tuple[str, ...]
) -> None:
    row = an_instance()
    _, token = AuthToken.objects.create(User.objects.create_user("ana"))
    path, headers, reads = f"/api/v1/instances/{row.pk}/", {"Authorization": f"Token {token}"}, 0

    def name(worker: HTTPConnection) -> str:
        nonlocal reads
        reads += 1
        return str(json.loads(ask(worker, "GET", path, **headers))["profile_name"])

    with serving(tmp_path, "--workers=2", *options, REDIS_URL=valkey_server.url) as site:
        workers = [site.connection() for _ in range(8)]  # some to the one, some to the other
        wait_until_in_use(get_runtime())  # this process writes, as a third one
        for number in range(3):
            row.profile_name = f"name {number}"
            row.save()
            for worker in workers:
                wait_until(lambda: name(worker) == row.profile_name)  # noqa: B023 - waited for in turn
                assert name(worker) == row.profile_name
        Outbox.objects.create(tags=f"instance:{row.pk}")
        wait_until(lambda: not Outbox.objects.exists())  # the workers, or who started them, poll it
        for worker in workers:
            worker.close()
    assert "Traceback" not in site.said()
    counted = statistics.by_namespace(statistics.totals())["instances"]
    assert sum(statistics.hits_and_misses(counted)) == reads
