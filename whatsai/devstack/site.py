"""The site on top of the stores: its environment, its database brought up to date, its web server and its workers."""

import http.client
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from whatsai import environment, local_state, quickstart
from whatsai.devstack.process import Command, Program

STATE_FILE = "local.json"
_GRACE = 25.0  # seconds; more than the web server gives its requests


@dataclass(frozen=True)
class SiteConfig:
    """One site: where it keeps what it has, its address, and its stores."""

    folder: Path
    url: str
    database_url: str
    redis_url: str

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make any process of the project one of this site."""
        return {
            **quickstart.local_defaults(quickstart.LOOPBACK, self.url),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "LOG_DIR": str(self.folder / "log"),
            "MEDIA_DIR": str(self.folder / "media"),
        }

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the site's processes: the user's, without what `.env` holds of another site."""
        settings = {"ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "whatsai.settings"}
        return {**os.environ, **settings, **self.variables}

    def web(self, listener: int, *, processes: int, threads: int) -> Program:
        """Return the web server: it forks so many processes, on a socket that is listened on already."""
        command: Command = [sys.executable, "-m", "gunicorn", "--config", "python:whatsai.gunicorn"]
        command += ["--log-level", "warning", "--chdir", environment.BASE_DIR, "--bind", f"fd://{listener}"]
        command += ["--workers", str(processes), "--threads", str(threads), "whatsai.wsgi"]
        return Program(
            name="web",
            command=command,
            folder=self.folder,
            is_ready=self._is_healthy,
            stop_timeout=_GRACE,
            environ={**self.environ, "PYTHONPATH": str(environment.BASE_DIR)},
            descriptors=(listener,),
        )

    def worker(self, number: int) -> Program:
        """Return an ingest worker."""
        command: Command = [sys.executable, environment.BASE_DIR / "manage.py", "ingest"]
        return Program(f"ingest-{number}", command, self.folder, stop_timeout=_GRACE, environ=self.environ)

    def _is_healthy(self) -> bool:
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        try:
            connection.request("GET", "/health/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def set_up(folder: Path, *, demo: bool) -> None:
    """Bring the database up to date, make the way in, and load the demo once. Needs the site's environment.

    Its events are posted and left to the workers.
    """
    import django  # noqa: PLC0415 - a process of its own does this, and no other
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    way_in = local_state.ensure_access(folder / STATE_FILE)
    if way_in.demo_due and demo:
        call_command("demo")
        call_command("ingest", drain=True, stdout=sys.stderr)
        local_state.save(folder / STATE_FILE, replace(way_in, demo_due=False))


if __name__ == "__main__":
    set_up(Path(sys.argv[1]), demo="--demo" in sys.argv[2:])
