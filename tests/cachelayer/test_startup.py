"""The start and the end of server processes: with Redis, without Redis, and while Redis does not answer."""

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
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis-py defines these names

from cachelayer import startup
from cachelayer.models import Outbox
from cachelayer.ops import statistics
from cachelayer.runtime.runtime import get_runtime, runtime
from conversations.models import ApiToken, Instance
from tests.cachelayer.conftest import SHORT_TIMEOUT, use_redis, wait_until_in_use
from tests.cachelayer.gunicorn import PATIENCE, environment, request, serving
from tests.cachelayer.test_faults import a_replica, unable_to_save
from tests.conversations.rows import an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_atexit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep `startup.start` from registering callbacks for the end of the test process."""
    monkeypatch.setattr("atexit.register", lambda _: None)


# --- a server that rejects this client --------------------------------------------------------------------------------
def startup_error() -> str:
    with pytest.raises(ImproperlyConfigured) as error:
        startup.start()
    return str(error.value)


def require_password(valkey_server: Valkey) -> None:
    valkey_server.client.config_set("requirepass", "s3cret")
    valkey_server.client.client_kill_filter(_type="normal", skipme=True)  # all clients must connect and log in again


@pytest.mark.parametrize("user", ["", ":hunter2@", "ana:hunter2@"])
def test_a_wrong_password_is_an_error_and_is_not_printed(valkey_server: Valkey, settings: Any, user: str) -> None:
    require_password(valkey_server)
    use_redis(settings, valkey_server.url.replace("unix://", f"unix://{user}"))
    error = startup_error()
    assert error.startswith("REDIS_URL: ")
    assert "hunter2" not in error


def test_a_database_number_that_the_server_does_not_have_is_an_error(valkey_server: Valkey, settings: Any) -> None:
    use_redis(settings, valkey_server.url.replace("db=0", "db=99"))
    error = startup_error()
    assert error.startswith("REDIS_URL: ")
    assert "DB index is out of range" in error


def test_a_user_without_permission_to_run_scripts_is_an_error(valkey_server: Valkey, settings: Any) -> None:
    valkey_server.client.execute_command("ACL", "SETUSER", "ana", "on", ">s3cret", "~*", "&*", "+@all", "-evalsha")
    use_redis(settings, valkey_server.url.replace("unix://", "unix://ana:s3cret@"))
    assert "evalsha" in startup_error()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1?db=x"])
def test_a_malformed_url_is_an_error(settings: Any, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^CACHES\['default'\]: "):
        use_redis(settings, url)


# --- a server that does not answer, or rejects writes -----------------------------------------------------------------
def stopped(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - all outages have the same signature
    valkey_server.kill()
    return valkey_server.start


def hung(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - all outages have the same signature
    valkey_server.pause()
    return valkey_server.resume


def loading(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - all outages have the same signature
    """Restart the server with a dump that takes long to load; return a function that finishes the loading."""
    for number in range(200):
        valkey_server.client.set(f"x{number}", os.urandom(2000))  # a large dump takes long to load
    valkey_server.save()
    valkey_server.kill()
    options = (
        "--key-load-delay",
        "100000",
        "--loading-process-events-interval-bytes",
        "1024",
        "--rdbcompression",
        "no",
    )
    thread = threading.Thread(target=valkey_server.start, args=options)
    thread.start()
    wait_until(lambda: is_loading(valkey_server))

    def finish_loading() -> None:
        valkey_server.client.config_set("key-load-delay", 0)
        thread.join()

    return finish_loading


def is_loading(valkey_server: Valkey) -> bool:
    with suppress(ConnectionError, TimeoutError):
        try:
            valkey_server.client.ping()
        except BusyLoadingError:
            return True
    return False


def replica(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - all outages have the same signature
    return enter(a_replica(valkey_server))


def disk_full(valkey_server: Valkey, settings: Any) -> Callable[[], None]:  # noqa: ARG001 - all outages have the same signature
    return enter(unable_to_save(valkey_server))


def enter(fault: Any) -> Callable[[], None]:
    """Enter a context manager; return the function that leaves the context."""
    stack = ExitStack()
    stack.enter_context(fault)
    return stack.close


@pytest.mark.postgresql
@pytest.mark.short_timeouts
@pytest.mark.parametrize("begin_outage", [stopped, hung, loading, replica, disk_full])
def test_a_server_process_starts_during_an_outage_and_uses_the_cache_after_it(
    valkey_server: Valkey,
    settings: Any,
    begin_outage: Callable[..., Callable[[], None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = an_instance()
    end_outage = begin_outage(valkey_server, settings)
    use_redis(settings, valkey_server.url, SHORT_TIMEOUT)
    runtime = startup.start()
    (fatal,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert fatal.message.startswith("Cache FATAL: ")
    assert not runtime.breaker.is_closed
    assert Instance.objects.fetch(row.pk) == row
    row.profile_name = "new"
    row.save()
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    end_outage()
    wait_until_in_use(runtime)
    assert "Cache RECOVERED" in caplog.text
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    assert not Outbox.objects.exists()


# --- without Redis ----------------------------------------------------------------------------------------------------
@pytest.fixture
def without_redis(settings: Any) -> Iterator[None]:
    """Let the cache runtime use no Redis, whatever store the tests use."""
    before = settings.CACHES
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    runtime.use_configured_store()
    yield
    settings.CACHES = before
    runtime.use_configured_store(owns_cache=True)


@pytest.mark.usefixtures("without_redis")
def test_a_server_process_owns_the_cache_and_clears_the_outbox(caplog: pytest.LogCaptureFixture) -> None:
    assert get_runtime().bypasses_cache
    Outbox.objects.create(tags="instance:1")
    runtime = startup.start()
    assert not runtime.bypasses_cache
    assert not Outbox.objects.exists()
    assert "Cache STARTED" in caplog.text
    row = an_instance()
    assert Instance.objects.fetch(row.pk) == Instance.objects.fetch(row.pk) == row
    assert runtime.local.namespace(runtime.namespaces.for_tag("instances")).hits == 1


# --- whole processes --------------------------------------------------------------------------------------------------
@pytest.mark.postgresql
def test_gunicorn_serves_during_an_outage_and_uses_the_store_after_it(valkey_server: Valkey, tmp_path: Path) -> None:
    valkey_server.kill()
    with serving(tmp_path, REDIS_URL=valkey_server.url) as site:
        assert json.loads(site.get("/health/")) == {
            "status": "degraded",
            "database": "ok",
            "cache": "unavailable",
            "requests": "ok",
        }
        wait_until(lambda: "Cache STARTED" in site.output())
        assert site.output().index("Cache FATAL") < site.output().index("Cache STARTED")
        valkey_server.start()
        wait_until(lambda: json.loads(site.get("/health/"))["status"] == "ok")
        wait_until(lambda: "Cache RECOVERED" in site.output())


@pytest.mark.postgresql
def test_after_a_reload_the_new_gunicorn_worker_owns_the_cache(tmp_path: Path) -> None:
    with serving(tmp_path, REDIS_URL="", TMPDIR=str(tmp_path)) as site:
        assert json.loads(site.get("/health/"))["status"] == "ok"
        site.process.send_signal(signal.SIGHUP)
        wait_until(lambda: site.output().count("Cache STARTED") == 2)
        assert json.loads(site.get("/health/"))["status"] == "ok"
    assert "Traceback" not in site.output()


@pytest.mark.postgresql
def test_gunicorn_does_not_start_if_the_store_rejects_it(valkey_server: Valkey, tmp_path: Path) -> None:
    require_password(valkey_server)
    with serving(tmp_path, REDIS_URL=valkey_server.url) as site:
        assert site.process.wait(PATIENCE) != 0
        assert "REDIS_URL: " in site.output()


@pytest.mark.parametrize("option", ["--workers=2", "--preload"])
def test_without_redis_gunicorn_rejects_several_workers_and_preloading(tmp_path: Path, option: str) -> None:
    with serving(tmp_path, option, REDIS_URL="", TMPDIR=str(tmp_path)) as site:
        assert site.process.wait(PATIENCE) == 1
        (error,) = [line for line in site.output().splitlines() if line.startswith("configuration error: ")]
        assert error.startswith("configuration error: REDIS_URL: ")


@pytest.mark.parametrize(
    ("variables", "setting"),
    [
        ({"REDIS_URL": "redis:///0"}, "REDIS_URL"),
        ({"REDIS_URL": "unix:///nowhere", "CACHE_PREFIX": "a:b"}, "CACHE_PREFIX"),
    ],
)
def test_runserver_prints_a_configuration_error_on_one_line(variables: dict[str, str], setting: str) -> None:
    command = [sys.executable, "manage.py", "runserver", "--noreload", "127.0.0.1:0"]
    completed = subprocess.run(  # noqa: S603 - the command is the project's own manage.py
        command, cwd=project.BASE_DIR, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert completed.returncode == 1
    assert completed.stderr.splitlines()[-1].startswith(f"configuration error: {setting}: ")


@pytest.mark.postgresql
def test_runserver_does_not_start_if_the_store_rejects_it(valkey_server: Valkey) -> None:
    require_password(valkey_server)
    command = [sys.executable, "manage.py", "runserver", "--noreload", "--skip-checks", "127.0.0.1:0"]
    completed = subprocess.run(  # noqa: S603 - the command is the project's own manage.py
        command,
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    assert completed.stderr.splitlines()[-1].startswith("configuration error: REDIS_URL: ")


# --- forks and the end of a process -----------------------------------------------------------------------------------
# A program that reads a row, forks, and reads again in both processes. Each process prints its threads when it ends.
FORKING = """
import atexit, os, sys, threading
atexit.register(lambda: print(sorted(thread.name for thread in threading.enumerate())))
import django
django.setup()
from django.db import connections
from cachelayer import startup
from conversations.models import Instance
from logs import file_lock
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
def test_a_process_and_its_fork_report_their_counters_and_end_their_threads(valkey_server: Valkey) -> None:
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
    completed = subprocess.run(  # noqa: S603 - the command runs a constant program
        [*command, str(row.pk)],
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url, LOG_LEVEL="ERROR"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout == "['MainThread']\n" * 2
    counts = statistics.by_namespace(statistics.totals())["instances"]
    assert sum(statistics.hits_and_misses(counts)) == 4


# A program that forks while another thread holds the lock of the Redis connection pool.
FORKING_BUSILY = """
import os, signal, sys, threading
import django
django.setup()
from django_redis import get_redis_connection
from cachelayer import startup
from conversations.models import Instance
from logs import file_lock
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
    signal.alarm(120)
    Instance.objects.fetch(pk, fresh=True)
    get_redis_connection("default").ping()
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.postgresql
def test_a_fork_does_not_wait_for_a_lock_that_a_thread_of_the_parent_held(valkey_server: Valkey) -> None:
    command = [sys.executable, "-c", FORKING_BUSILY, str(an_instance().pk)]
    completed = subprocess.run(  # noqa: S603 - the command runs a constant program
        command,
        cwd=project.BASE_DIR,
        env=environment(REDIS_URL=valkey_server.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr


@pytest.mark.postgresql
@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["without preload", "with preload"])
def test_gunicorn_workers_are_coherent_and_report_their_counters(
    valkey_server: Valkey, tmp_path: Path, options: tuple[str, ...]
) -> None:
    row = an_instance()
    _, token = ApiToken.objects.issue(User.objects.create_user("ana", is_superuser=True))
    path, headers, reads = f"/api/v1/instances/{row.pk}/", {"Authorization": f"Token {token}"}, 0

    def get_name(worker: HTTPConnection) -> str:
        nonlocal reads
        reads += 1
        return str(json.loads(request(worker, "GET", path, **headers))["profile_name"])

    with serving(tmp_path, "--workers=2", *options, REDIS_URL=valkey_server.url) as site:
        workers = [site.connection() for _ in range(8)]  # enough connections to reach both workers
        wait_until_in_use(get_runtime())  # the test process writes, and shares the store with both workers
        for number in range(3):
            row.profile_name = f"name {number}"
            row.save()
            for worker in workers:
                wait_until(lambda: get_name(worker) == row.profile_name)  # noqa: B023 - the lambda is called only in this iteration
                assert get_name(worker) == row.profile_name
        Outbox.objects.create(tags=f"instance:{row.pk}")
        wait_until(lambda: not Outbox.objects.exists())  # a worker or the parent process drains the outbox
        for worker in workers:
            worker.close()
    assert "Traceback" not in site.output()
    counts = statistics.by_namespace(statistics.totals())["answers"]
    assert sum(statistics.hits_and_misses(counts)) == reads
