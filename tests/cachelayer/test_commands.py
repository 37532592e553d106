import json
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from cachelayer import cache
from cachelayer.models import Outbox
from cachelayer.ops import statistics
from cachelayer.runtime.runtime import CacheRuntime, get_runtime, memory_store, runtime
from cachelayer.write import outbox
from conversations.models import Conversation, Instance, Message
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_runtime")]


def run(name: str, *arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, **options)
    return out.getvalue()


# --- cache_stats ------------------------------------------------------------------------------------------------------
def test_the_hit_rate_counts_hits_of_both_tiers(cache_runtime: CacheRuntime) -> None:
    """The test causes 3 misses and 1003 hits, which is a hit rate of 99.70 %."""
    rows = [a_chat(an_instance()) for _ in range(3)]
    for row in rows:
        Conversation.objects.fetch(row.pk)
    for _ in range(1003):
        Conversation.objects.fetch(rows[0].pk)
    statistics.Reporter(cache_runtime).report()
    stats = json.loads(run("cache_stats", "--json"))["namespaces"]["conversations"]
    assert (stats["local"]["hits"], stats["shared"]["misses"]) == (1003, 3)
    assert f"{stats['hit_rate']:.2%}" == "99.70%"
    assert "99.70%" in run("cache_stats")


def test_counters_of_several_reports_add_up(cache_runtime: CacheRuntime) -> None:
    row = a_chat(an_instance())
    statistics.increment({("conversations", "local", "hits"): 40, ("events", "", "recoveries"): 2})
    Conversation.objects.fetch(row.pk)
    Conversation.objects.fetch(row.pk)
    reporter = statistics.Reporter(cache_runtime)
    reporter.report()
    reporter.report()  # a second report adds nothing, because nothing was counted since the first report
    stats = json.loads(run("cache_stats", "--json"))
    assert stats["namespaces"]["conversations"]["local"]["hits"] == 41
    assert stats["events"]["recoveries"] == 2
    assert "recoveries" in run("cache_stats")


def test_reset_sets_the_counters_to_zero() -> None:
    statistics.increment({("conversations", "local", "hits"): 40})
    assert "40" in run("cache_stats", "--reset")
    assert run("cache_stats") == "No counters yet.\n"


# --- cache_clear ------------------------------------------------------------------------------------------------------
def test_a_pattern_removes_only_entries_that_match() -> None:
    for key in ("conversations:digest:7", "conversations:digest:70", "messages:42:x", "messages:420:x"):
        cache.set(key, key)
    assert run("cache_clear", "messages:42:*") == "1 entry removed\n"
    assert cache.get("messages:42:x") is None
    assert cache.get("messages:420:x") == "messages:420:x"
    run("cache_clear", "conversations:digest:7")
    assert cache.get("conversations:digest:7") is None
    assert cache.get("conversations:digest:70") == "conversations:digest:70"


def test_a_pattern_removes_the_lists_of_one_instance(cache_runtime: CacheRuntime) -> None:
    one, other = an_instance(), an_instance()
    for instance in (one, other):
        Conversation.objects.for_instance(instance)
    misses = cache_runtime.counters.shared(cache_runtime.namespaces.for_tag("conversations"))
    before = misses.misses
    run("cache_clear", f"conversations:instance:{one.pk}:*")
    Conversation.objects.for_instance(other)
    assert misses.misses == before
    Conversation.objects.for_instance(one)
    assert misses.misses == before + 1


@pytest.mark.parametrize("option", ["--namespace=conversations", "--all"])
def test_a_namespace_or_all_entries_can_be_invalidated(option: str) -> None:
    cache.set("conversations:x", 1)
    run("cache_clear", option)
    assert cache.get("conversations:x") is None


def test_cache_clear_needs_a_pattern_or_an_existing_namespace() -> None:
    with pytest.raises(CommandError):
        run("cache_clear")
    with pytest.raises(CommandError, match="no namespace"):
        run("cache_clear", "--namespace=nonsense")


def test_a_process_that_bypasses_the_cache_records_the_request_in_the_outbox() -> None:
    cache.set("conversations:x", 1)
    store = get_runtime().store
    runtime.use_store(memory_store, bypasses_cache=True)
    assert "request recorded" in run("cache_clear", "conversations:*")
    runtime.use_store(lambda _runtime: store)
    wait_until(lambda: cache.get("conversations:x") == 1)
    assert outbox.drain(runtime) == 1
    assert cache.get("conversations:x") is None


# --- cache_audit ------------------------------------------------------------------------------------------------------
def test_an_audit_of_entries_that_agree_with_the_database_finds_no_difference() -> None:
    chat = a_chat(an_instance())
    a_message(chat)
    Conversation.objects.fetch(chat.pk)
    Conversation.objects.for_instance(chat.instance_id)
    Message.objects.for_conversation(chat)
    with pytest.raises(Conversation.DoesNotExist):
        Conversation.objects.fetch(chat.pk + 1)
    report = json.loads(run("cache_audit", "--json"))
    assert (report["entries"], report["rows"], report["differences"]) == (4, 4, [])


@pytest.mark.parametrize(
    ("sql", "description"),
    [
        ("UPDATE conversations_instance SET profile_name = 'Ana' WHERE id = %s", "differs in profile_name"),
        ("DELETE FROM conversations_instance WHERE id = %s", "is not in the database"),
    ],
)
def test_an_audit_finds_rows_changed_by_sql_and_prints_no_field_values(sql: str, description: str) -> None:
    instance = an_instance()
    Instance.objects.fetch(instance.pk)
    Instance.objects.page()
    with connection.cursor() as cursor:
        cursor.execute(sql, [instance.pk])
    out = StringIO()
    with pytest.raises(SystemExit) as exited:
        call_command("cache_audit", "--grace=0", stdout=out)
    assert exited.value.code == 1
    assert f"instance:{instance.pk}: conversations.Instance {instance.pk} {description}" in out.getvalue()
    assert "2 entries with 2 rows; 2 rows differ" in out.getvalue()
    assert "Ana" not in out.getvalue()


def test_an_audit_finds_a_negative_entry_of_a_row_that_exists() -> None:
    an_instance(name="there")
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(77)
    columns = [str(field.column) for field in Instance._meta.concrete_fields]  # noqa: SLF001 - Django documents the attribute _meta
    values = ["77" if name == "id" else "'new'" if name == "name" else name for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO conversations_instance ({', '.join(columns)}) "  # noqa: S608 - the text contains only column names of a model
            f"SELECT {', '.join(values)} FROM conversations_instance"
        )
    with pytest.raises(SystemExit):
        run("cache_audit", "--grace=0")


# --- migrate and flush ------------------------------------------------------------------------------------------------
class Stopped(Exception):
    """Ends a command after its first transaction has committed."""


@pytest.mark.parametrize(
    ("command", "step"),
    [("migrate", "django.db.migrations.executor.MigrationExecutor.migrate"),
     ("flush", "django.core.management.commands.flush.sql_flush")],
)  # fmt: skip
def test_a_command_that_fails_after_a_commit_leaves_no_old_rows_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, command: str, step: str
) -> None:
    row = an_instance(profile_name="old")

    def fail_after_a_commit(*_args: Any, **_kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE conversations_instance SET profile_name = 'new'")
        assert Instance.objects.fetch(row.pk).profile_name == "new"
        raise Stopped

    assert Instance.objects.fetch(row.pk).profile_name == "old"
    with monkeypatch.context() as patch:
        patch.setattr(step, fail_after_a_commit)
        with pytest.raises(Stopped):
            call_command(command, interactive=False, verbosity=0)
    for fresh in (False, True):
        assert Instance.objects.fetch(row.pk, fresh=fresh).profile_name == "new"


@pytest.mark.parametrize("option", ["--plan", "--check"])
def test_a_migrate_that_only_reports_leaves_the_cache_alone(cache_runtime: CacheRuntime, option: str) -> None:
    row = an_instance()
    Instance.objects.fetch(row.pk)
    hits = cache_runtime.local.namespaces["instances"].hits
    with suppress(SystemExit):
        call_command("migrate", option, verbosity=0)
    Instance.objects.fetch(row.pk)
    assert cache_runtime.local.namespaces["instances"].hits == hits + 1


def test_without_redis_the_server_is_told_of_a_migration_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.use_store(memory_store, bypasses_cache=True)
    seen: list[int] = []

    def drain(*_args: Any, **_kwargs: Any) -> None:
        seen.append(outbox.pending_count())
        Outbox.objects.all().delete()  # as the server does within a second
        raise Stopped

    monkeypatch.setattr("django.db.migrations.executor.MigrationExecutor.migrate", drain)
    with pytest.raises(Stopped):
        call_command("migrate", interactive=False, verbosity=0)
    assert seen == [1]
    assert Outbox.objects.get().tags == "*"
