"""Creates the database rows that the load test needs: instances with webhook tokens, and a user with an API token."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac

from conversations.demo.demo_instances import DemoInstance
from conversations.models import ApiToken, Instance
from tests.load.scenario import SERVER

USERNAME = "load"


def recreate_instances(channels: Iterable[DemoInstance]) -> dict[str, tuple[Instance, str]]:
    """Delete the instances that earlier load tests created, and create new instances.

    Returns:
        Each instance and its webhook token, in a dictionary by the name of the instance.
    """
    for pk in Instance.objects.filter(server_url=SERVER).values_list("pk", flat=True):
        Instance.objects.delete(pk)
    created = {}
    for channel in channels:
        token = salted_hmac("tests.load", channel.name, algorithm="sha256").hexdigest()
        instance = Instance.objects.create(name=channel.name, server_url=SERVER)
        created[channel.name] = (instance, Instance.objects.issue_token(instance.pk, token=token))
    return created


@contextmanager
def api_token() -> Iterator[str]:
    """Create a user and yield a token of this user for the API; delete the user when the `with` block ends."""
    user, _ = User.objects.get_or_create(username=USERNAME, defaults={"is_superuser": True})
    user.set_unusable_password()
    user.save()
    try:
        yield ApiToken.objects.issue(user)[1]
    finally:
        user.delete()
