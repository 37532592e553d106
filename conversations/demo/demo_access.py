"""Creates the demo's instances, issues their webhook tokens, and remembers when the demo was loaded first.

Tokens are derived from SECRET_KEY, so every run of the demo uses the same tokens.
"""

from django.db.models import Min
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from conversations.demo import demo_clock
from conversations.demo.demo_instances import INSTANCES, DemoInstance
from conversations.models import Instance
from conversations.models.instance import hash_token


class NameInUseError(Exception):
    """An instance that does not belong to the demo has the name of a demo instance."""

    def __init__(self, name: str) -> None:
        text = _(
            "the name %(name)s is in use by an instance that this demo did not create (or that it created with another "
            "SECRET_KEY)"
        )
        super().__init__(text % {"name": name})


def ensure_instances() -> dict[str, str]:
    """Create missing instances and tokens of the demo, and return the tokens by instance name.

    Raises:
        NameInUseError: an instance outside of the demo has the name of a demo instance; nothing has been changed.
    """
    tokens = {instance.name: _token(instance) for instance in INSTANCES}
    for instance in INSTANCES:
        for row in Instance.objects.by_name(instance.name):
            if row.server_url != instance.server_url or row.token_hash not in ("", hash_token(tokens[row.name])):
                raise NameInUseError(instance.name)
    for instance in INSTANCES:
        row, _is_new = Instance.objects.get_or_create(name=instance.name, server_url=instance.server_url)
        if not row.token_hash:
            Instance.objects.issue_token(row.pk, token=tokens[row.name])
    return tokens


def first_loaded_at() -> int:
    """Return when the first of the demo's instances was created, in milliseconds since the epoch.

    The demo ends at this moment, so that it is near the present, and a second run repeats the same events.
    """
    names = [instance.name for instance in INSTANCES]
    first = Instance.objects.filter(name__in=names).aggregate(at=Min("created_at"))["at"]
    return int(first.timestamp()) * demo_clock.SECOND


def _token(instance: DemoInstance) -> str:
    return salted_hmac("conversations.demo", instance.name, algorithm="sha256").hexdigest()
