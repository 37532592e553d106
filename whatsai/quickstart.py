"""`make run`: from a fresh checkout to a running site with a demo in it, in one command, and the same ever after.

What the user has set, in the environment or in `.env`, stays; the rest gets the defaults of one machine. The port is
taken first and listened on at once: a second start fails at once, and early callers wait until the site is ready.
"""

import argparse
import errno
import fcntl
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from whatsai import environment, local_state

VAR = environment.BASE_DIR / "var"
HIGHEST_PORT = 65535
WILDCARD_HOSTS = ("", "0.0.0.0", "::")  # noqa: S104 - names such hosts, listens on none
LOOPBACK = "127.0.0.1"


class StartError(Exception):
    """Something outside the program is in the way; the message is one line for whoever typed the command."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Set up what is missing, say how to get in, and become the server."""
    options = _parser().parse_args(arguments)
    try:
        listener = listen(options.host, options.port)
        url = local_url(options.host, listener.getsockname()[1])
        way_in = set_up(VAR, local_defaults(options.host, url), demo=options.demo)
    except StartError as error:
        sys.exit(f"make run: {error}")
    except KeyboardInterrupt:
        sys.exit("\nmake run: stopped while setting up; the next start goes on from here.")
    print(welcome(url, way_in), flush=True)
    serve(listener)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m whatsai.quickstart", description="Set up and serve on one machine."
    )
    parser.add_argument("--port", type=port_number, default=8000, help="default 8000; 0 takes any free one")
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen on (default: this machine only)")
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="do not load the demo")
    return parser


def port_number(text: str) -> int:
    """Read a port.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) > HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to {HIGHEST_PORT})")
    return int(text)


# --- where ------------------------------------------------------------------------------------------------------------
def listen(host: str, port: int) -> socket.socket:
    """Take the port and listen on it; callers queue until the server runs.

    Raises:
        CannotStart: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} is taken; choose another one, such as: make run PORT={port + 1}") from None
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from None


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine's user reaches the server."""
    shown = LOOPBACK if host in WILDCARD_HOSTS else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def local_defaults(host: str, url: str) -> dict[str, str]:
    """Return the variables that one machine needs and a production site would set otherwise."""
    hosts = dict.fromkeys([LOOPBACK, "localhost", *([] if host in WILDCARD_HOSTS else [host])])
    return {"DEBUG": "false", "HTTPS": "false", "ALLOWED_HOSTS": ",".join(hosts), "PUBLIC_URL": url}


# --- what -------------------------------------------------------------------------------------------------------------
def set_up(var: Path, defaults: dict[str, str], *, demo: bool) -> local_state.LocalState:
    """Bring the database up to date and make the way in; load the demo where it is due. Quick when all is there.

    Raises:
        CannotStart: `var` cannot be written, a setting is wrong, or the database refuses.
    """
    try:
        with _alone(var):
            _add_to_environment(defaults)
            return _set_up_django(var, demo=demo)
    except OSError as error:
        raise StartError(f"cannot write to {error.filename or var}: {error.strerror}") from None
    except ImproperlyConfigured as error:
        raise StartError(f"configuration error: {error}") from None
    except DatabaseError as error:
        raise StartError(f"the database refuses: {' '.join(str(error).split())}") from None
    except CommandError as error:
        raise StartError(str(error)) from None


def _add_to_environment(defaults: dict[str, str]) -> None:
    """Set the variables that the user has not set, here and for the server that this process becomes."""
    users = environment.open_env()
    os.environ |= {name: value for name, value in defaults.items() if users.str(name, None) is None}


def _set_up_django(var: Path, *, demo: bool) -> local_state.LocalState:
    local_state.ensure_secret_key(var / "secret_key")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    way_in = local_state.ensure_access(var / "local.json")
    if way_in.demo_due and demo:
        call_command("demo")
        way_in = local_state.save(var / "local.json", replace(way_in, demo_due=False))
    connections.close_all()
    return way_in


@contextmanager
def _alone(var: Path) -> Iterator[None]:
    """Let one start at a time set up, once it is sure that the folder takes a file."""
    try:
        var.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=var) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise StartError(f"cannot write to {var}: {error.strerror}") from None
    handle = os.open(var, os.O_RDONLY)
    try:
        _wait_for_lock(handle)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another start is setting up; waiting for it …", file=sys.stderr)
        fcntl.flock(handle, fcntl.LOCK_EX)


# --- how to get in ----------------------------------------------------------------------------------------------------
def welcome(url: str, way_in: local_state.LocalState) -> str:
    """Return what the newcomer reads: the addresses, the login, and a request that works."""
    password = way_in.password or "(set by you; forgotten? .venv/bin/python manage.py changepassword admin)"
    return f"""
WhatsAI answers at {url}

  admin     {url}/admin/   user {local_state.USERNAME}, password {password}
  API       {url}/api/v1/conversations/
  API docs  {url}/api/docs/
  webhook   {url}/webhooks/evolution/<instance name>
            its token: .venv/bin/python manage.py webhook_token <instance name>

See the conversations from another shell:

  curl -H 'Authorization: Token {way_in.token}' '{url}/api/v1/conversations/?limit=2'

Ctrl-C stops the server.
"""


def serve(listener: socket.socket) -> NoReturn:
    """Become the server; this process does not return from here."""
    listener.set_inheritable(True)
    logging.shutdown()
    os.chdir(environment.BASE_DIR)
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:whatsai.gunicorn", "--log-level", "warning"]
    os.execv(sys.executable, [*gunicorn, "--bind", f"fd://{listener.fileno()}", "whatsai.wsgi"])  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
