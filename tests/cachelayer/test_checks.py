import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.base import BaseCache  # noqa: TID251 - the checks are about Django's caches
from django.core.cache.backends.locmem import LocMemCache  # noqa: TID251 - as above
from django.core.checks import CheckMessage, Error, Warning, run_checks  # noqa: A004 - Django names the class Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.test.utils import isolate_apps
from django.utils.module_loading import import_string

from cachelayer import REDIS_OPTIONS, CachedModel, checks, startup
from cachelayer.orm.managers import CachedManager
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace
from conversations.models import Instance

# --- settings ---------------------------------------------------------------------------------------------------------
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
REDIS = "django_redis.cache.RedisCache"
DJANGO_REDIS = "django.core.cache.backends.redis.RedisCache"
DJANGO_PICKLE = "django.core.cache.backends.redis.RedisSerializer"
JSON = "django_redis.serializers.json.JSONSerializer"


class ForeignCache(BaseCache):
    """A cache of another project, such as those of django-valkey: nothing says how it decodes values."""


class CountingCache(LocMemCache):
    """A cache that derives from a known one."""


class PickleOfNoProtocol:
    """A serializer of pickles that takes no arguments, as Django calls it."""

    def loads(self, data: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - that is what the check has to find


def on_redis(**options: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {**REDIS_OPTIONS, **options}}}


def pool(**options: Any) -> dict[str, Any]:
    return {"CONNECTION_POOL_KWARGS": {**REDIS_OPTIONS["CONNECTION_POOL_KWARGS"], **options}}


VALID: list[dict[str, Any]] = [
    {},
    {"CACHELAYER": {}},
    {"CACHELAYER": {"ALIAS": "default", "PREFIX": "inbox-2.test_1"}},
    {"CACHES": {"default": {"BACKEND": LOCAL}}},
    {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}},
    {"CACHES": on_redis()},
    {"CACHES": on_redis(SOCKET_TIMEOUT=1, SOCKET_CONNECT_TIMEOUT=0.5, **pool(max_connections=10))},
    {"CACHES": on_redis(SERIALIZER="django_redis.serializers.msgpack.MSGPackSerializer")},
    {"CACHES": {**on_redis(), "other": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "a"}}},
    {"CACHES": {**on_redis(), "other": {"BACKEND": FILES, "LOCATION": "/nonexistent/cache"}}},
    {"CACHES": {**on_redis(), "other": {"BACKEND": f"{__name__}.CountingCache"}}},
    {"CACHES": {"default": {"BACKEND": LOCAL}, "redis": on_redis()["default"]}, "CACHELAYER": {"ALIAS": "redis"}},
]

# For each wrong setting: the id of the check message, a name that the message must contain, and the settings.
INVALID: list[tuple[str, str, dict[str, Any]]] = [
    ("E001", "ALAIS", {"CACHELAYER": {"ALAIS": "default"}}),
    ("E001", "prefix", {"CACHELAYER": {"prefix": "inbox"}}),
    ("E001", "'whatsai'", {"CACHELAYER": "whatsai"}),
    ("E002", "'redis'", {"CACHELAYER": {"ALIAS": "redis"}}),
    (
        "E003",
        "redis.RedisCache",
        {"CACHES": {"default": {"BACKEND": DJANGO_REDIS, "OPTIONS": {"serializer": JSON}}}},
    ),
    ("E012", "'default'", {"CACHES": on_redis(SERIALIZER="django_redis.serializers.pickle.PickleSerializer")}),
    ("E012", "'default'", {"CACHES": on_redis(SERIALIZER=None)}),
    ("E012", "'other'", {"CACHES": {**on_redis(), "other": {"BACKEND": REDIS}}}),
    *(
        ("E012", "'other'", {"CACHES": {**on_redis(), "other": other}})
        for other in (
            {"BACKEND": DJANGO_REDIS},
            {"BACKEND": DJANGO_REDIS, "OPTIONS": {"serializer": DJANGO_PICKLE}},
            {"BACKEND": DJANGO_REDIS, "OPTIONS": {"serializer": import_string(DJANGO_PICKLE)()}},
            {"BACKEND": DJANGO_REDIS, "OPTIONS": {"serializer": PickleOfNoProtocol}},
            {"BACKEND": DJANGO_REDIS, "OPTIONS": {"serializer": lambda: pickle}},
            {"BACKEND": DJANGO_REDIS, "OPTIONS": {"SERIALIZER": JSON}},  # the option of django-redis
            {"BACKEND": REDIS, "OPTIONS": {"serializer": JSON}},  # the option of Django's own backend
            {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": "127.0.0.1:11211"},
        )
    ),
    ("E013", "ForeignCache", {"CACHES": {**on_redis(), "other": {"BACKEND": f"{__name__}.ForeignCache"}}}),
    (
        "E013",
        "ForeignCache",
        {"CACHES": {**on_redis(), "other": {"BACKEND": f"{__name__}.ForeignCache", "OPTIONS": {"SERIALIZER": JSON}}}},
    ),
    ("E003", "db.DatabaseCache", {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}}}),
    *(("E004", repr(name), {"CACHELAYER": {"PREFIX": name}}) for name in ("", "a:b", "a*", "a b", "[a]", "a\n")),
    ("E005", "redis_connect_func", {"CACHES": on_redis(**pool(redis_connect_func=print))}),
    ("E005", "protocol", {"CACHES": on_redis(**pool(protocol=3))}),
    ("E005", "retry", {"CACHES": on_redis(**pool(retry=None))}),
    *(("E011", repr(size), {"CACHELAYER": {"LOCAL_MB": size}}) for size in (0, -1, "64")),
    ("W001", "SOCKET_TIMEOUT", {"CACHES": on_redis(SOCKET_TIMEOUT=None)}),
    ("W001", "SOCKET_CONNECT_TIMEOUT", {"CACHES": on_redis(SOCKET_CONNECT_TIMEOUT=5)}),
]


def configure(settings: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(settings, name, value)


def assert_message(message: CheckMessage, problem: str, *subjects: str) -> None:
    """Check the id and level of a system check message, and that its text contains the given subjects."""
    assert message.id == f"cachelayer.{problem}"
    assert all(subject in message.msg for subject in subjects)
    assert message.hint
    assert isinstance(message, Error if problem.startswith("E") else Warning)


@pytest.mark.parametrize("values", VALID)
def test_valid_settings_pass(values: dict[str, Any], settings: Any) -> None:
    configure(settings, values)
    assert checks.check() == []


@pytest.mark.parametrize(("problem", "subject", "values"), INVALID)
def test_an_invalid_setting_is_reported(problem: str, subject: str, values: dict[str, Any], settings: Any) -> None:
    configure(settings, values)
    (message,) = checks.check()
    assert_message(message, problem, subject)


@pytest.mark.parametrize(("mode", "problems"), [(0o700, []), (0o755, []), (0o770, ["E012"]), (0o1777, ["E012"])])
def test_a_cache_of_files_is_reported_if_others_may_write_them(
    mode: int, problems: list[str], tmp_path: Path, settings: Any
) -> None:
    tmp_path.chmod(mode)
    settings.CACHES = {**on_redis(), "other": {"BACKEND": FILES, "LOCATION": tmp_path}}
    assert [str(one.id).removeprefix("cachelayer.") for one in checks.check()] == problems


def test_the_checks_are_registered_with_django() -> None:
    assert run_checks(tags=["cachelayer"]) == []


# --- namespaces and rules ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ttl", "max_items", "problems"), [(60, 10, []), (0, 10, ["E010"]), (-1, 10, ["E010"]), (60, 0, ["E010"])]
)
def test_a_namespace_needs_a_positive_ttl_and_size(ttl: float, max_items: int, problems: list[str]) -> None:
    found = checks.check_namespace(Namespace("orders", "order", ttl, max_items))
    assert [str(one.id).removeprefix("cachelayer.") for one in found] == problems


@pytest.fixture
def apps() -> Iterator[None]:
    with isolate_apps("conversations"):
        yield


def only_message(model: type[models.Model], *tags: str) -> CheckMessage:
    (message,) = checks.check_rule(InvalidationRule(model, tags or ("order:{pk}",)))
    return message


@pytest.mark.usefixtures("apps")
def test_the_model_of_a_rule_must_be_a_cached_model() -> None:
    class Order(models.Model):
        class Meta:
            app_label = "conversations"

    assert_message(only_message(Order), "E006", "conversations.Order")


@pytest.mark.usefixtures("apps")
def test_tags_must_name_columns() -> None:
    class Order(CachedModel):
        customer = models.ForeignKey(Instance, models.CASCADE, related_name="+")

        class Meta:
            app_label = "conversations"

    assert list(checks.check_rule(InvalidationRule(Order, ("order:{pk}", "orders:{customer_id}")))) == []
    assert_message(only_message(Order, "order:{pk}", "orders:{client_id}"), "E008", "client_id")
    assert_message(only_message(Order, "order:{customer}"), "E008", " customer,")


@pytest.mark.usefixtures("apps")
def test_tags_may_name_a_property_that_is_listed_as_immutable() -> None:
    class Order(CachedModel):
        class Meta:
            app_label = "conversations"

        @property
        def label(self) -> str:
            return f"no. {self.pk}"

    assert (
        list(checks.check_rule(InvalidationRule(Order, ("order:{pk}", "orders:{label}"), immutable=("label",)))) == []
    )
    assert_message(only_message(Order, "order:{pk}", "orders:{label}"), "E008", "label")


@pytest.mark.usefixtures("apps")
def test_every_manager_of_the_model_must_invalidate() -> None:
    class Order(CachedModel):
        objects = CachedManager()
        plain = models.Manager()

        class Meta:
            app_label = "conversations"

    class Parcel(CachedModel):
        objects = CachedManager()
        plain = models.Manager()

        class Meta:
            app_label = "conversations"
            base_manager_name = "plain"

    assert_message(only_message(Order), "E007", "conversations.Order.plain")
    managers = [one.msg.split(" ")[0] for one in checks.check_rule(InvalidationRule(Parcel, ("parcel:{pk}",)))]
    assert managers == ["conversations.Parcel.plain", "conversations.Parcel._base_manager"]


@pytest.mark.usefixtures("apps")
def test_every_manager_of_proxies_and_child_models_must_invalidate() -> None:
    class Order(CachedModel):
        class Meta:
            app_label = "conversations"

    class Proxy(Order):
        class Meta:
            app_label = "conversations"
            proxy = True

    assert list(checks.check_rule(InvalidationRule(Order, ("order:{pk}",)))) == []

    class PlainProxy(Order):
        objects = models.Manager()

        class Meta:
            app_label = "conversations"
            proxy = True

    assert {one.id for one in checks.check_rule(InvalidationRule(Order, ("order:{pk}",)))} == {"cachelayer.E007"}

    class Parcel(Order):
        objects = models.Manager()

        class Meta:
            app_label = "conversations"

    found = {one.msg.split(" ")[0] for one in checks.check_rule(InvalidationRule(Order, ("order:{pk}",)))}
    managers = ("objects", "_base_manager")
    assert found == {f"conversations.{model}.{manager}" for model in ("PlainProxy", "Parcel") for manager in managers}


# --- databases --------------------------------------------------------------------------------------------------------
class NoOutbox:
    """A database router that lets no migration create the tables of `cachelayer`."""

    def allow_migrate(self, _alias: str, app_label: str, **_hints: Any) -> bool | None:
        return False if app_label == "cachelayer" else None


def test_a_database_that_is_written_to_must_have_an_outbox(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [NoOutbox()]
    assert_message(only_message(Instance, "instance:{pk}"), "E009", "'default'")
    assert {one.id for one in checks.check()} == {"cachelayer.E009"}


def test_atomic_requests_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", value=True)
    (message,) = checks.check()
    assert_message(message, "W002", "'default'")


# --- a server process -------------------------------------------------------------------------------------------------
def test_a_server_process_does_not_start_with_an_error(settings: Any) -> None:
    settings.CACHELAYER = {"PREFX": "inbox", "ALIAS": "redis"}
    with pytest.raises(ImproperlyConfigured, match=r"cachelayer\.E001: .*PREFX.*; cachelayer\.E002: "):
        startup.start()


def test_every_problem_has_a_test_in_this_file() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in checks.PROBLEMS if f'"{name}"' not in source] == []
