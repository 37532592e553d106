"""Without Redis, one process at a time owns the cache of a database, whatever its path, host name or machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as project
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.utils import ConnectionHandler

from cachelayer.models import CounterTotal, Outbox, Owner
from cachelayer.runtime import ownership, process_identity
from cachelayer.runtime.ownership import OWNED_S, TAKE_OVER_S, Ownership
from cachelayer.runtime.runtime import CacheRuntime, memory_store, runtime
from conversations.models import Instance
from tests.cachelayer.gunicorn import environment
from tests.conversations.rows import an_instance
from tests.waiting import StoppedClock

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> StoppedClock:
    clock = StoppedClock()
    monkeypatch.setattr(ownership, "monotonic", clock)
    return clock


def a_process() -> tuple[CacheRuntime, Ownership]:
    """Return the runtime and the claim of a process with a cache in its memory, which does not own the cache yet."""
    process = CacheRuntime(runtime.namespaces).use_store(memory_store)
    process.owned_until = 0.0
    return process, Ownership(process)


def test_only_one_process_owns_the_cache() -> None:
    (_, first), (_, second) = a_process(), a_process()
    assert first.renew()
    assert not second.renew()
    assert first.renew()
    first.release()
    assert second.renew()
    assert not first.renew()
    assert Owner.objects.count() == 1


def test_an_owner_that_renews_its_ownership_keeps_it(clock: StoppedClock) -> None:
    (_, first), (_, second) = a_process(), a_process()
    for _ in range(5):
        assert first.renew()
        assert not second.renew()
        clock.now += TAKE_OVER_S - 1


def test_another_process_takes_over_only_after_the_owner_has_stopped_using_its_cache(clock: StoppedClock) -> None:
    (old, first), (_, second) = a_process(), a_process()
    first.renew()
    assert not second.renew()
    clock.now += TAKE_OVER_S
    assert not second.renew()
    clock.now += 0.1
    assert second.renew()
    assert old.owned_until < clock.now - (TAKE_OVER_S - OWNED_S)
    assert not first.renew(), "the old owner notices that another process has taken over"


@pytest.fixture
def ended_process() -> str:
    """The identity of a process of this machine that was killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        identity = process_identity.identify(process.pid)
        process.kill()
    return identity


@pytest.mark.once
def test_an_owner_that_has_ended_on_this_machine_is_replaced_at_once(ended_process: str) -> None:
    (_, first), (_, second), (_, third) = a_process(), a_process(), a_process()
    first.renew()
    assert not second.renew()
    Owner.objects.update(process=ended_process)
    assert second.renew()
    assert not third.renew(), "the new owner has replaced the identity of the old one"


@pytest.mark.postgresql
def test_with_postgresql_the_end_of_the_owner_proves_nothing() -> None:
    """The database server may still commit the last write of a process that has ended."""
    _, claim = a_process()
    claim.renew()
    assert Owner.objects.get().process == ""


def test_two_processes_that_wait_do_not_both_take_over(clock: StoppedClock) -> None:
    (_, first), (_, second), (_, third) = a_process(), a_process(), a_process()
    first.renew()
    for claim in (second, third):
        assert not claim.renew()
    clock.now += TAKE_OVER_S + 1
    assert [claim.renew() for claim in (second, third)].count(True) == 1


def test_a_second_server_is_refused_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "MAX_WAIT", 0.05)
    (_, first), (_, second) = a_process(), a_process()
    first.acquire()
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: "):
        second.acquire()


# --- the cache of an owner --------------------------------------------------------------------------------------------
@pytest.fixture
def owner() -> Iterator[Ownership]:
    """The test process, which owns a cache in its memory."""
    runtime.use_store(memory_store)
    claim = Ownership(runtime)
    claim.renew()
    yield claim
    runtime.use_configured_store(owns_cache=True)


@pytest.mark.usefixtures("owner")
def test_without_ownership_reads_use_the_database_and_writes_the_outbox() -> None:
    row = an_instance(profile_name="old")
    assert Instance.objects.fetch(row.pk) == Instance.objects.fetch(row.pk) == row
    runtime.owned_until = 0.0  # as if the process had not been able to renew its ownership
    runtime.local.set_valid_until(0.0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = 'new'")
    assert Instance.objects.fetch(row.pk).profile_name == "new"
    row.profile_name = "newer"
    row.save()
    assert any(f"instance:{row.pk}" in one.tags.split("\n") for one in Outbox.objects.all())


@pytest.mark.usefixtures("owner")
def test_a_write_that_commits_after_the_ownership_has_run_out_is_left_to_the_next_owner() -> None:
    row = an_instance(profile_name="old")
    with transaction.atomic():
        row.profile_name = "new"
        row.save()
        assert not Outbox.objects.exists()
        runtime.owned_until = 0.0
    assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")


def test_a_new_owner_does_not_use_what_it_had_cached_before_another_process_owned_the_cache(owner: Ownership) -> None:
    row = an_instance(profile_name="old")
    Instance.objects.fetch(row.pk)
    owner.release()
    _, other = a_process()
    assert other.renew()
    assert not owner.renew()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE conversations_instance SET profile_name = 'new'")
    other.release()
    assert owner.renew()
    assert Instance.objects.fetch(row.pk).profile_name == "new"


# --- whole processes --------------------------------------------------------------------------------------------------
# A server process that waits only a moment for another owner, and ends with its standard input.
SERVER = """
import sys
import django
django.setup()
from cachelayer import startup
from cachelayer.runtime import ownership
ownership.MAX_WAIT = 0.5
startup.start()
print("started", flush=True)
sys.stdin.read()
"""


def start_server(path: Path, **variables: str) -> "subprocess.Popen[str]":
    environ = environment(DATABASE_URL=f"sqlite:///{path}", REDIS_URL="", LOG_LEVEL="ERROR", **variables)
    pipe = subprocess.PIPE
    return subprocess.Popen(  # noqa: S603 - the command runs a constant program
        [sys.executable, "-c", SERVER],
        env=environ,
        cwd=project.BASE_DIR,
        text=True,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )


def make_database(path: Path) -> None:
    database = ConnectionHandler({"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}})["default"]
    with database.schema_editor() as editor:
        for model in (Outbox, CounterTotal, Owner):
            editor.create_model(model)
    database.close()


@pytest.mark.once
def test_a_second_server_is_refused_whatever_path_and_temporary_folder_it_uses(tmp_path: Path) -> None:
    path, link, folder = tmp_path / "db.sqlite3", tmp_path / "link.sqlite3", tmp_path / "tmp"
    make_database(path)
    link.symlink_to(path)
    folder.mkdir()
    with start_server(path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "started\n"
        with start_server(link, TMPDIR=str(folder)) as second:
            output, errors = second.communicate()
            assert (output, errors.splitlines()[-1].startswith("django.core.exceptions.ImproperlyConfigured")) == (
                "",
                True,
            )
            assert "REDIS_URL: " in errors
        first.communicate()
    with start_server(link) as third:
        assert third.communicate()[0] == "started\n", "the first server has ended and left the cache to another"


@pytest.mark.once
@pytest.mark.skipif(not process_identity.identify(os.getpid()), reason="this machine cannot identify processes")
def test_a_server_starts_at_once_after_another_one_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    make_database(path)
    with start_server(path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "started\n"
        first.kill()
    with start_server(path) as second:
        assert second.communicate()[0] == "started\n"
