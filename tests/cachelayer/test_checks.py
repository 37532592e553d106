"""What is said of a wrong configuration; and nothing of a right one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning, run_checks  # noqa: A004 - Django's name for it
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.test.utils import isolate_apps

from cachelayer import REDIS_OPTIONS, CachedModel, checks, startup
from cachelayer.orm.managers import CachedManager
from cachelayer.orm.rules import InvalidationRule
from cachelayer.protocol.tags import Namespace
from conversations.models import Instance

# --- both ways --------------------------------------------------------------------------------------------------------
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django_redis.cache.RedisCache"


def on_redis(**options: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": {**REDIS_OPTIONS, **options}}}


def pool(**options: Any) -> dict[str, Any]:
    return {"CONNECTION_POOL_KWARGS": {**REDIS_OPTIONS["CONNECTION_POOL_KWARGS"], **options}}


RIGHT: list[dict[str, Any]] = [
    {},
    {"CACHELAYER": {}},
    {"CACHELAYER": {"ALIAS": "default", "PREFIX": "inbox-2.test_1"}},
    {"CACHES": {"default": {"BACKEND": LOCAL}}},
    {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}},
    {"CACHES": on_redis()},
    {"CACHES": on_redis(SOCKET_TIMEOUT=1, SOCKET_CONNECT_TIMEOUT=0.5, **pool(max_connections=10))},
    {"CACHES": {"default": {"BACKEND": LOCAL}, "redis": on_redis()["default"]}, "CACHELAYER": {"ALIAS": "redis"}},
]

WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("E001", "has no option ALAIS", {"CACHELAYER": {"ALAIS": "default"}}),
    ("E001", "has no option prefix", {"CACHELAYER": {"prefix": "inbox"}}),
    ("E001", "has no option 'whatsai'", {"CACHELAYER": "whatsai"}),
    ("E002", "'redis', which CACHES does not have", {"CACHELAYER": {"ALIAS": "redis"}}),
    ("E003", "is a django.core", {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}}),
    ("E003", "is a django.core", {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache"}}}),
    *(("E004", repr(name), {"CACHELAYER": {"PREFIX": name}}) for name in ("", "a:b", "a*", "a b", "[a]", "a\n")),
    ("E005", "the cache's redis_connect_func", {"CACHES": on_redis(**pool(redis_connect_func=print))}),
    ("E005", "the cache's protocol", {"CACHES": on_redis(**pool(protocol=3))}),
    ("E005", "the cache's retry", {"CACHES": on_redis(**pool(retry=None))}),
    ("W001", "no SOCKET_TIMEOUT", {"CACHES": on_redis(SOCKET_TIMEOUT=None)}),
    ("W001", "no SOCKET_CONNECT_TIMEOUT", {"CACHES": on_redis(SOCKET_CONNECT_TIMEOUT=5)}),
]


@pytest.fixture
def configured(settings: Any) -> Any:
    """Set settings."""

    def configure(given: dict[str, Any]) -> None:
        for name, value in given.items():
            setattr(settings, name, value)

    return configure


@pytest.mark.parametrize("given", RIGHT)
def test_a_right_configuration_is_passed(given: dict[str, Any], configured: Any) -> None:
    configured(given)
    assert checks.check() == []


@pytest.mark.parametrize(("name", "said", "given"), WRONG)
def test_a_wrong_setting_is_found(name: str, said: str, given: dict[str, Any], configured: Any) -> None:
    configured(given)
    (found,) = checks.check()
    assert_is(found, name, said)


def assert_is(found: CheckMessage, name: str, said: str) -> None:
    assert found.id == f"cachelayer.{name}"
    assert said in found.msg
    assert found.hint
    assert isinstance(found, Error if name.startswith("E") else Warning)


def test_django_runs_them() -> None:
    assert run_checks(tags=["cachelayer"]) == []


# --- the policy -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ttl", "max_items", "found"), [(60, 10, []), (0, 10, ["E010"]), (-1, 10, ["E010"]), (60, 0, ["E010"])]
)
def test_a_namespace_must_keep_something(ttl: float, max_items: int, found: list[str]) -> None:
    made = checks.of_namespace(Namespace("orders", "order", ttl, max_items))
    assert [str(one.id).removeprefix("cachelayer.") for one in made] == found


@pytest.fixture
def apps() -> Iterator[None]:
    with isolate_apps("conversations"):
        yield


def the_only_problem(model: type[models.Model], *tags: str) -> CheckMessage:
    (found,) = checks.of_rule(InvalidationRule(model, tags or ("order:{pk}",)))
    return found


@pytest.mark.usefixtures("apps")
def test_a_rule_of_a_plain_model() -> None:
    class Order(models.Model):
        class Meta:
            app_label = "conversations"

    assert_is(the_only_problem(Order), "E006", "conversations.Order: it is no CachedModel")


@pytest.mark.usefixtures("apps")
def test_a_rule_of_a_cached_model() -> None:
    class Order(CachedModel):
        customer = models.ForeignKey(Instance, models.CASCADE, related_name="+")

        class Meta:
            app_label = "conversations"

    assert list(checks.of_rule(InvalidationRule(Order, ("order:{pk}", "orders:{customer_id}")))) == []
    assert_is(the_only_problem(Order, "order:{pk}", "orders:{client_id}"), "E008", "client_id, which is no column")
    assert_is(the_only_problem(Order, "order:{customer}"), "E008", "depends on customer")


@pytest.mark.usefixtures("apps")
def test_a_rule_may_depend_on_a_property_if_it_is_said_to_be_fixed() -> None:
    class Order(CachedModel):
        class Meta:
            app_label = "conversations"

        @property
        def label(self) -> str:
            return f"no. {self.pk}"

    assert list(checks.of_rule(InvalidationRule(Order, ("order:{pk}", "orders:{label}"), immutable=("label",)))) == []
    assert_is(the_only_problem(Order, "order:{pk}", "orders:{label}"), "E008", "label, which is no column")


@pytest.mark.usefixtures("apps")
def test_managers_past_which_writes_go() -> None:
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

    assert_is(the_only_problem(Order), "E007", "conversations.Order.plain is not")
    found = [one.msg.split(" ")[0] for one in checks.of_rule(InvalidationRule(Parcel, ("parcel:{pk}",)))]
    assert found == ["conversations.Parcel.plain", "conversations.Parcel._base_manager"]


@pytest.mark.usefixtures("apps")
def test_models_that_are_derived_from_one_with_a_rule() -> None:
    class Order(CachedModel):
        class Meta:
            app_label = "conversations"

    class Again(Order):
        class Meta:
            app_label = "conversations"
            proxy = True

    assert list(checks.of_rule(InvalidationRule(Order, ("order:{pk}",)))) == []

    class Plain(Order):
        objects = models.Manager()

        class Meta:
            app_label = "conversations"
            proxy = True

    assert {one.id for one in checks.of_rule(InvalidationRule(Order, ("order:{pk}",)))} == {"cachelayer.E007"}

    class Parcel(Order):
        objects = models.Manager()

        class Meta:
            app_label = "conversations"

    named = {one.msg.split(" ")[0] for one in checks.of_rule(InvalidationRule(Order, ("order:{pk}",)))}
    managers = ("objects", "_base_manager")
    assert named == {f"conversations.{model}.{manager}" for model in ("Plain", "Parcel") for manager in managers}


# --- databases --------------------------------------------------------------------------------------------------------
class NoOutbox:
    """A router that keeps the cache's tables out."""

    def allow_migrate(self, _alias: str, app_label: str, **_hints: Any) -> bool | None:
        return False if app_label == "cachelayer" else None


def test_a_database_without_an_outbox(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [NoOutbox()]
    assert_is(the_only_problem(Instance, "instance:{pk}"), "E009", "the database 'default', which has no outbox")
    assert {one.id for one in checks.check()} == {"cachelayer.E009"}


def test_requests_that_are_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", value=True)
    (found,) = checks.check()
    assert_is(found, "W002", "for the database 'default'")


# --- a server process -------------------------------------------------------------------------------------------------
def test_a_server_process_does_not_start_with_an_error(settings: Any) -> None:
    settings.CACHELAYER = {"PREFX": "inbox", "ALIAS": "redis"}
    with pytest.raises(ImproperlyConfigured, match=r"E001: CACHELAYER has no option PREFX\. .*; cachelayer\.E002: "):
        startup.start()


def test_each_problem_is_tried_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in checks.PROBLEMS if f'"{name}"' not in source] == []
