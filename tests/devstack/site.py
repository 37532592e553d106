"""The site: its environment variables, its setup (migrations, credentials, demo), its web server and its workers."""

import http.client
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.devstack.process import Command, Program
from whatsai import environment, local_state, quickstart

STATE_FILE = "local.json"
_STOP_TIMEOUT = 25.0  # seconds; more than gunicorn's `graceful_timeout`


@dataclass(frozen=True)
class SiteConfig:
    """The folder, the address and the servers of one site."""

    folder: Path
    url: str
    database_url: str
    redis_url: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that connect a process to this site."""
        return {
            **quickstart.local_defaults(quickstart.LOOPBACK, self.url),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "LOG_DIR": str(self.folder / "log"),
            "MEDIA_DIR": str(self.folder / "media"),
        }

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the site's processes: the user's, without `.env`, which is for another site."""
        settings = {"ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "whatsai.settings"}
        return {**os.environ, **settings, **self.variables}

    def web(self, listener: int, *, processes: int, threads: int) -> Program:
        """Return the web server, which forks `processes` processes that serve an open listening socket."""
        command: Command = [sys.executable, "-m", "gunicorn", "--config", "python:whatsai.gunicorn"]
        command += ["--log-level", "warning", "--chdir", environment.BASE_DIR, "--bind", f"fd://{listener}"]
        command += ["--workers", str(processes), "--threads", str(threads), "whatsai.wsgi"]
        return Program(
            name="web",
            command=command,
            folder=self.folder,
            is_ready=self._is_healthy,
            stop_timeout=_STOP_TIMEOUT,
            environ={**self.environ, "PYTHONPATH": str(environment.BASE_DIR)},
            descriptors=(listener,),
        )

    def worker(self, number: int) -> Program:
        """Return an ingest worker."""
        command: Command = [sys.executable, environment.BASE_DIR / "manage.py", "ingest"]
        return Program(f"ingest-{number}", command, self.folder, stop_timeout=_STOP_TIMEOUT, environ=self.environ)

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
    """Migrate the database, create the credentials, and load the demo once; needs the site's environment variables.

    The demo only stores its events; `manage.py ingest --drain` applies them.
    """
    import django  # noqa: PLC0415 - only the setup process needs Django
    from django.core.management import call_command  # noqa: PLC0415 - as above

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    state = local_state.ensure_access(folder / STATE_FILE)
    if state.demo_due and demo:
        call_command("demo")
        call_command("ingest", drain=True, stdout=sys.stderr)
        local_state.save(folder / STATE_FILE, replace(state, demo_due=False))


if __name__ == "__main__":
    set_up(Path(sys.argv[1]), demo="--demo" in sys.argv[2:])
