"""A program that reads one cached row again and again and prints what it reads, for `test_refused_writes.py`.

The command line gives the primary key of an instance. Each line of the output holds the time of the monotonic clock at
which a read began, and the profile names that a usual read and a fresh read have returned.
"""

import sys
import time

import django

django.setup()

from cachelayer import startup  # noqa: E402 - the import needs django.setup()
from conversations.models import Instance  # noqa: E402 - the import needs django.setup()
from tests.cachelayer.conftest import wait_until_in_use  # noqa: E402 - the import needs django.setup()

PAUSE = 0.002  # seconds between two reads


def main(pk: int) -> None:
    wait_until_in_use(startup.start())
    while True:
        started = time.monotonic()
        names = [Instance.objects.fetch(pk, fresh=fresh).profile_name for fresh in (False, True)]
        print(started, *names, flush=True)  # noqa: T201 - the test reads the printed lines
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(int(sys.argv[1]))
