"""The ASGI entry point. Importing this module starts the background threads of the cache and of the ingestion.

If the process cannot serve, it prints one line and exits with `CANNOT_SERVE`. Then uvicorn stops its other processes,
too, and does not start the process again.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from gettext import gettext as _
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured

from whatsai.request_headers import without_charset
from whatsai.worker_count import CANNOT_SERVE, worker_count

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def start() -> Application:
    """Start this process, and return its ASGI application.

    Raises:
        ImproperlyConfigured: the settings are wrong, or another process owns the cache.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    handler = get_asgi_application()
    from cachelayer import startup as cache  # noqa: PLC0415 - Django must load the apps first
    from cachelayer.conf import Options  # noqa: PLC0415 - Django must load the apps first
    from conversations import startup as ingestion  # noqa: PLC0415 - Django must load the apps first

    if not Options.read().is_shared and worker_count(sys.argv, os.environ) > 1:
        raise ImproperlyConfigured("REDIS_URL: " + _("is empty; without Redis, run one worker"))
    # A server with several processes imports this module inside an event loop, where Django refuses database queries.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(cache.start).result()
        thread.submit(ingestion.start).result()

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await handler({**scope, "headers": without_charset(scope["headers"])}, receive, send)

    return application


try:
    application = start()
except ImproperlyConfigured as error:
    print(f"configuration error: {error}", file=sys.stderr)  # noqa: T201 - the logs may not be configured
    sys.exit(CANNOT_SERVE)
