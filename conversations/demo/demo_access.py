"""The demo's instances and their webhook tokens, which are derived from SECRET_KEY: run again, they are the same."""

from django.utils.crypto import salted_hmac

from conversations.demo.demo_instances import CHANNELS, DemoInstance
from conversations.models import Instance
from conversations.models.instance import hash_token


class NameInUseError(Exception):
    """An instance has a demo instance's name and is not the demo's."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the name {name} is in use by an instance that this demo did not make (or made with another SECRET_KEY)"
        )


def ensure_instances() -> dict[str, str]:
    """Make sure that the demo's instances are there with their tokens, and return the tokens by name.

    Raises:
        NameInUseError: nothing has been changed.
    """
    tokens = {channel.name: _token(channel) for channel in CHANNELS}
    for name, token in tokens.items():
        if not all(_is_the_demos(instance, token) for instance in Instance.objects.by_name(name)):
            raise NameInUseError(name)
    for channel in CHANNELS:
        instance, _ = Instance.objects.get_or_create(name=channel.name, server_url=channel.server_url)
        if not instance.token_hash:
            Instance.objects.issue_token(instance.pk, token=tokens[channel.name])
    return tokens


def _token(channel: DemoInstance) -> str:
    return salted_hmac("conversations.demo", channel.name, algorithm="sha256").hexdigest()


def _is_the_demos(instance: Instance, token: str) -> bool:
    servers = {channel.name: channel.server_url for channel in CHANNELS}
    is_there = instance.server_url == servers[instance.name]
    return is_there and instance.token_hash in ("", hash_token(token))
