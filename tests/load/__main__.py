"""The command line of the load test: `python -m tests.load --url http://127.0.0.1:8000`.

Posts webhooks to a running site as the Evolution API does, then compares the site's database and REST API with the
posted events. The load test reads the site's database, so it needs the site's settings: `ENV_FILE=var/stack/env` for
`make stack`.

Exit status: 0 if every chat message is stored once and correctly, otherwise 1. Response times do not affect the status.
"""

import os
import sys
from collections.abc import Sequence

import django
from django.core.exceptions import ImproperlyConfigured

from tests.load.chaos import NoStackError
from tests.load.options import Options


def main(arguments: Sequence[str]) -> int:
    """Set Django up, run the load test and print its report; return the exit status."""
    options = Options.parse(arguments, __doc__)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        print(f"tests.load: configuration error: {error}", file=sys.stderr)
        return 1
    from tests.load.run import run  # noqa: PLC0415 - models can be imported only after django.setup()

    is_correct = False
    try:
        is_correct = run(options)
    except* NoStackError as errors:
        print(f"tests.load: {errors.exceptions[0]}", file=sys.stderr)
    return 0 if is_correct else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
