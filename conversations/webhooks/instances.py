"""Finds the instance of a webhook event by the name in the URL or, for a global webhook, by the name in the body.

Names that no instance has come from outsiders too. Such a name costs no entry in the cache, and at most a few database
queries a second in all: each process remembers the names of all instances, and reloads them when a name is missing.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from django.utils.translation import gettext_noop as _

from conversations.evolution.server_url import server_key
from conversations.ingest import metrics
from conversations.models import Instance
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.contexts import Context
from logs.fork import after_fork
from logs.line_limit import shorten
from logs.token_buckets import TokenBuckets

logger = Context.WEBHOOK.logger

# How many queries a second requests with an unknown name may cause in each process; also for those with a wrong token.
CHECKS_PER_SECOND = 10.0
BURST_SECONDS = 10.0  # the queries of this many seconds may run at once
NEVER = float("-inf")
NEW_PER_SECOND = 1.0  # instances that a process creates for one global webhook, in the long run
NEW_BURST_SECONDS = 60.0  # the instances of this many seconds may be created at once
MAX_PER_SERVER = 1_000  # instances; a global webhook creates no more, but an operator can
MAX_LENGTH = 255  # maximum characters of an instance's name, as in the model `Instance` and in the text below

# (end of the error text, function that returns whether an instance's name breaks the rule). A name must fit into one
# segment of a URL, and the database must be able to store the name.
_NAME_RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (_("is blank"), lambda name: not name.strip()),
    (_("is longer than 255 characters"), lambda name: len(name) > MAX_LENGTH),
    (_("contains a slash, which a webhook URL cannot contain"), lambda name: "/" in name),
    (_("is a relative path, which a webhook URL cannot contain"), lambda name: name in (".", "..")),
    (_("contains a control character or a lone surrogate"), lambda name: any(map(_is_unstorable, name))),
)


def name_error(name: str) -> str:
    """Return why an instance cannot have a name, as the end of an English sentence; "" if the name is valid."""
    return next((message for message, is_broken in _NAME_RULES if is_broken(name)), "")


def _is_unstorable(char: str) -> bool:
    return char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff"


class KnownNames:
    """The names of all instances, as this process last loaded them."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all names, and replace the lock, which a thread may have held during a fork."""
        self._names: frozenset[str] = frozenset()
        self._loaded_at = NEVER  # the time of `monotonic` at which the last load began
        self._lock = threading.Lock()
        self._checks = TokenBuckets(BURST_SECONDS)

    def __contains__(self, name: str) -> bool:
        """Return whether an instance had this name when the names were last loaded."""
        return name in self._names or (self._loaded_at == NEVER and self.confirm(name))

    def confirm(self, name: str) -> bool:
        """Return whether an instance has this name now; reload the names if no instance had it before.

        Threads that wait for a reload share its result, so that many unknown names cost few queries.

        Raises:
            WebhookError: the names were reloaded too often in the last seconds.
            DatabaseError, InterfaceError: the query fails.
        """
        asked_at = monotonic()
        with self._lock:
            if name not in self._names and self._loaded_at < asked_at:
                self.check("names")
                self._load()
        return name in self._names

    def check(self, kind: str) -> None:
        """Count one query that an outsider causes.

        Raises:
            WebhookError: outsiders caused too many queries of this kind in the last seconds.
        """
        if not self._checks.take(kind, CHECKS_PER_SECOND):
            raise WebhookError(
                ErrorCode.UNVERIFIED, _("too many wrong requests to check this one; send it again later")
            )

    def _load(self) -> None:
        started_at = monotonic()
        names = Instance.objects.primary(Instance.objects.order_by()).values_list("name", flat=True)
        self._names, self._loaded_at = frozenset(names), started_at


known_names = KnownNames()
after_fork(known_names.reset)


def find_by_name(name: str) -> list[Instance]:
    """Return the instances named `name`, at most one per Evolution server, as the cache has them."""
    return Instance.objects.by_name(name) if not name_error(name) and name in known_names else []


def find_in_database(name: str) -> list[Instance]:
    """Return the instances named `name`, at most one per Evolution server; an empty list if the name is not valid.

    Raises:
        WebhookError: too many requests with a wrong name or token were checked in the last seconds.
        DatabaseError, InterfaceError: the query fails.
    """
    if name_error(name) or not known_names.confirm(name):
        return []
    known_names.check("tokens")
    return list(Instance.objects.primary(Instance.objects.filter(name=name).order_by("id")))


def resolve_instance(sender: Instance, body: Any) -> Instance:
    """Return the instance to which an authenticated webhook body belongs.

    The result is `sender`, unless `sender` has the global webhook of an Evolution server. A global webhook sends the
    events of every instance of the server, and the body names the instance. An instance without a row is created. If
    the URL of the server is unknown, no other instance is known to be on the same server.

    Args:
        sender: the instance whose token authenticated the request.
        body: any decoded JSON value.

    Raises:
        WebhookError: the instance has no row, and the global webhook has created too many rows.
        DatabaseError, InterfaceError: the database is unavailable.
    """
    name = body.get("instance") if isinstance(body, dict) else None
    is_global = sender.is_global_webhook and sender.server_url
    if not is_global or not isinstance(name, str) or name == sender.name or name_error(name):
        return sender
    # Search for the instance before calling `upsert`, because `upsert` also writes to an existing row, and most
    # instances have a row.
    for instance in Instance.objects.by_name(name):
        if server_key(instance.server_url) == server_key(sender.server_url):
            return instance
    return _create(name, sender)


new_instances = TokenBuckets(NEW_BURST_SECONDS)  # one bucket for the primary key of each sender
after_fork(new_instances.reset)


def _create(name: str, sender: Instance) -> Instance:
    """Create an instance of the sender's server; its number is limited, because a global webhook may name anything."""
    if not new_instances.take(sender.pk, NEW_PER_SECOND):
        raise _too_many(sender, _("a global webhook named too many new instances at once; send it again later"))
    others = Instance.objects.primary(Instance.objects.filter(server_url=sender.server_url))
    if others.count() >= MAX_PER_SERVER:
        text = _("the server has %(count)s instances; `manage.py webhook_token` creates more")
        raise _too_many(sender, text, count=MAX_PER_SERVER)
    instance, is_new = Instance.objects.upsert(name, sender.server_url)
    if is_new:
        logger.info("Instance CREATED: a global webhook named %s", shorten(name))
    return instance


def _too_many(sender: Instance, text: str, **values: object) -> WebhookError:
    metrics.increment(sender.pk, "delayed")
    return WebhookError(ErrorCode.TOO_MANY_INSTANCES, text, **values)
