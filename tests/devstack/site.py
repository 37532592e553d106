"""Defines a site: its environment variables, setup (migrations, credentials, demo), web server and ingest workers."""

import http.client
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.devstack.process import Command, Program
from whatsai import environment, local_state, quickstart

STATE_FILE = "local.json"
_STOP_TIMEOUT = 25.0  # seconds until a program must have stopped; more than gunicorn's `graceful_timeout`


@dataclass(frozen=True)
class SiteConfig:
    """The folder of one site, and the URLs of its web server, PostgreSQL and Valkey."""

    folder: Path
    url: str
    database_url: str
    redis_url: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that connect a process to the PostgreSQL, Valkey and folders of this site."""
        return {
            **quickstart.local_defaults(quickstart.LOOPBACK, self.url),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "LOG_DIR": str(self.folder / "log"),
            "MEDIA_DIR": str(self.folder / "media"),
            "API_RATE_LIMIT": "0",  # the load test reads every conversation with one token
            "WEBHOOKS_ALLOW_PRIVATE": "true",  # the load test receives webhooks on this machine
        }

    @property
    def environ(self) -> dict[str, str]:
        """All environment variables of the site's processes, without those in `.env`, which configures another site."""
        settings = {"ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "whatsai.settings"}
        return {**os.environ, **settings, **self.variables}

    def web(self, listener: int, *, processes: int, threads: int) -> Program:
        """Return how to run the web server: gunicorn with some worker processes, on an open listening socket."""
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
        """Return how to run one ingest worker, whose name ends with `number`."""
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
    """Migrate the database, create the credentials, and load the demo once.

    `manage.py demo` only stores webhook events; `manage.py ingest --drain` applies them. The environment variables of
    the site must be set.
    """
    import django  # noqa: PLC0415 - only the setup process needs Django
    from django.core.management import call_command  # noqa: PLC0415 - only the setup process needs Django

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    state = local_state.ensure_access(folder / STATE_FILE)
    if state.demo_due and demo:
        call_command("demo")
        call_command("ingest", drain=True, stdout=sys.stderr)
        local_state.save(folder / STATE_FILE, replace(state, demo_due=False))
    if password := local_state.create_password():
        print(f"stack: {quickstart.login(password)}", flush=True)


if __name__ == "__main__":
    set_up(Path(sys.argv[1]), demo="--demo" in sys.argv[2:])
