"""The ASGI entry point. Importing it starts the background threads; then the process can serve requests."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
application = get_asgi_application()

from cachelayer import startup as cache  # noqa: E402 - needs the apps loaded above
from conversations import startup as ingestion  # noqa: E402 - as above

cache.start()
ingestion.start()
