"""The WSGI application that `tests.benchmarks.api` measures: the project's API, in one configuration.

BENCH_PEER names the configuration. `WhatsAI` is the project as it is, with the constant views of `api_urls`. The other
configurations answer without the project's cache: every read is a query, which cacheops or cachalot may answer.
"""

import os

import django
from django.core.wsgi import get_wsgi_application

from tests.benchmarks.peers import BY_NAME, OURS

NAME = os.environ["BENCH_PEER"]


def configure() -> None:
    """Configure Django with the settings of the project and of the measured library."""
    from whatsai import settings  # noqa: PLC0415 - the import reads environment variables

    vars(settings).update(BY_NAME[NAME].settings() if NAME in BY_NAME else {}, ROOT_URLCONF="tests.benchmarks.api_urls")
    if NAME != OURS:
        # The project's own cache is off in a process that has neither Redis nor the cache in memory.
        settings.CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        classes = ["tests.benchmarks.api_authentication.PeerAuthentication"]
        settings.MIDDLEWARE.remove("conversations.api.answers.middleware")
        settings.REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"] = classes
    settings.API_RATE_LIMITS = dict.fromkeys(settings.API_RATE_LIMITS, 10**9)  # requests are counted, but not refused
    django.setup()


configure()
application = get_wsgi_application()

if NAME == OURS:
    from cachelayer import startup

    startup.start()
