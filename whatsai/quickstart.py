"""`make run`: sets up a fresh checkout, loads the demo once, and serves the site.

Variables in the environment or in `.env` override the defaults of `make run`. The first step of `make run` is to listen
on the port, so that a second `make run` fails immediately, and early clients wait until the site is ready.
"""

import argparse
import errno
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import NoReturn

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from logs.file_lock import exclusive_lock
from whatsai import command_line, environment, local_state, private_files
from whatsai.server import stop_signals

VAR = environment.VAR
MAX_PORT = 65535
WILDCARD_HOSTS = ("", "0.0.0.0", "::")  # noqa: S104 - the addresses are only compared with the option --host
LOOPBACK = "127.0.0.1"
MANAGE = ".venv/bin/python manage.py"


class StartError(Exception):
    """Raised if the machine or the settings prevent a start of the site; the error text is one line for the user."""


def main(arguments: Sequence[str]) -> NoReturn:
    """Set up the site, print its addresses and credentials, and replace this process with the web server."""
    try:
        command_line.speak_as_set()
        options = _parser().parse_args(arguments)
        private_files.protect(VAR)
        listener = listen(options.host, options.port)
        show(_("setting up the site …"))
        url = local_url(options.host, listener.getsockname()[1])
        state, password = set_up(VAR, local_defaults(options.host, url), demo=options.demo)
        local_state.write(VAR / "url", url + "\n")
    except StartError as error:
        sys.exit(f"make run: {error}")
    except ImproperlyConfigured as error:
        sys.exit("make run: " + _("configuration error: %(error)s") % {"error": error})
    except KeyboardInterrupt:
        sys.exit("\nmake run: " + _("stopped during the setup; the next start continues it."))
    stop_signals.hold_back()  # until gunicorn handles them; whoever reads the addresses may stop the site at once
    print(welcome(url, state, password), flush=True)
    serve(listener)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m whatsai.quickstart", description=_("Set up and serve the site on one machine.")
    )
    parser.add_argument(
        "--port", type=port_number, default=8000, help=_("the port to listen on (default 8000; 0: any free port)")
    )
    parser.add_argument("--host", default=LOOPBACK, help=_("the address to listen on (default: this machine only)"))
    parser.add_argument("--no-demo", dest="demo", action="store_false", help=_("do not load the demo"))
    return parser


def port_number(text: str) -> int:
    """Parse a port number.

    Raises:
        ArgumentTypeError: the text is not a port number.
    """
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(_("%(text)r is not a port (0 to %(last)s)") % {"text": text, "last": MAX_PORT})
    return int(text)


# --- the port ---------------------------------------------------------------------------------------------------------
def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port; clients that connect wait until the web server runs.

    Raises:
        StartError: the port is in use, or `host` is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = port + 1 if port < MAX_PORT else port - 1
            text = _("port %(port)s is in use; choose another one, such as: make run PORT=%(other)s")
            raise StartError(text % {"port": port, "other": other}) from None
        text = _("cannot listen on %(host)s port %(port)s: %(error)s")
        raise StartError(text % {"host": host, "port": port, "error": error.strerror}) from None


def local_url(host: str, port: int) -> str:
    """Return the URL of the site for a browser on this machine."""
    shown = LOOPBACK if host in WILDCARD_HOSTS else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def local_defaults(host: str, url: str) -> dict[str, str]:
    """Return default environment variables for a site without HTTPS that is used on this machine only."""
    hosts = dict.fromkeys([LOOPBACK, "localhost", *([] if host in WILDCARD_HOSTS else [host])])
    return {"DEBUG": "false", "HTTPS": "false", "ALLOWED_HOSTS": ",".join(hosts), "PUBLIC_URL": url}


# --- the setup --------------------------------------------------------------------------------------------------------
def set_up(var: Path, defaults: dict[str, str], *, demo: bool) -> tuple[local_state.LocalState, str]:
    """Migrate the database, create missing credentials, and load the demo if it must still be loaded.

    Returns:
        The saved state, and the administrator's password if it was created now, else "".

    Raises:
        StartError: `var` is not writable, or the database rejects a statement.
        ImproperlyConfigured: a setting is wrong.
    """
    try:
        _ensure_writable(var)
        with exclusive_lock(var, on_wait=_print_waiting):
            _set_default_variables(defaults)
            return _set_up_django(var, demo=demo)
    except OSError as error:
        raise _not_writable(error.filename or var, error) from None
    except DatabaseError as error:
        raise StartError(_("database error: %(error)s") % {"error": " ".join(str(error).split())}) from None
    except CommandError as error:
        raise StartError(str(error)) from None


def _set_default_variables(defaults: dict[str, str]) -> None:
    """Set the environment variables that the user has not set; the web server inherits the environment."""
    env = environment.open_env()
    os.environ |= {name: value for name, value in defaults.items() if env.str(name, None) is None}


def _set_up_django(var: Path, *, demo: bool) -> tuple[local_state.LocalState, str]:
    local_state.ensure_secret_key(var / "secret_key")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "whatsai.settings")
    django.setup()
    if count := _count_migrations():
        text = ngettext(
            "preparing the database (%(count)d migration) …", "preparing the database (%(count)d migrations) …", count
        )
        show(text % {"count": count})
    call_command("migrate", verbosity=0, interactive=False)
    state = local_state.ensure_access(var / "local.json")
    if state.demo_due and demo:
        show(_("loading the demo (once; ARGS=--no-demo leaves it out) …"))
        call_command("demo", stdout=sys.stderr)
        state = local_state.save(var / "local.json", replace(state, demo_due=False))
    password = local_state.create_password()  # last, because an interrupted set-up would not show it
    connections.close_all()
    return state, password


def _count_migrations() -> int:
    """Return how many migrations the database lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def show(step: str) -> None:
    """Tell the user what happens now; standard output has only the result."""
    print(f"make run: {step}", file=sys.stderr, flush=True)


def _ensure_writable(folder: Path) -> None:
    """Create the folder, and check that a file can be written in it.

    Raises:
        StartError: the folder is not writable, or the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise _not_writable(folder, error) from None


def _not_writable(folder: object, error: OSError) -> StartError:
    text = _("cannot write to %(folder)s: %(error)s")
    return StartError(text % {"folder": folder, "error": error.strerror})


def _print_waiting() -> None:
    show(_("another one is setting up the site; waiting for it …"))


# --- the server -------------------------------------------------------------------------------------------------------
def welcome(url: str, state: local_state.LocalState, password: str) -> str:
    """Return the text that `make run` prints: the addresses, the login, and an API request to try."""
    name = _("<instance name>")
    rows = (
        (_("admin"), f"{url}/admin/   {login(password)}"),
        (_("API"), f"{url}/api/v1/conversations/"),
        (_("API docs"), f"{url}/api/docs/"),
        (_("webhook"), f"{url}/webhooks/evolution/{name}"),
        ("", _("create its token: %(command)s") % {"command": f"{MANAGE} webhook_token {name}"}),
    )
    width = max(len(title) for title, _text in rows)
    lines = [
        *("", _("WhatsAI runs at %(url)s") % {"url": url}, ""),
        *(f"  {title:<{width}}  {text}" for title, text in rows),
        *("", _("To list conversations, run in another shell:"), ""),
        f"  curl -H 'Authorization: Token {state.token}' '{url}/api/v1/conversations/?limit=2'",
        *("", _("Ctrl-C stops the server."), ""),
    ]
    return "\n".join(lines)


def login(password: str) -> str:
    """Return how to log in to the admin; `password` is "" unless it was created now."""
    user = local_state.USERNAME
    if password:
        return _("user %(user)s, password %(password)s (shown only now)") % {"user": user, "password": password}
    command = f"{MANAGE} changepassword {user}"
    return _("user %(user)s; to set a new password: %(command)s") % {"user": user, "command": command}


def serve(listener: socket.socket) -> NoReturn:
    """Replace this process with gunicorn, which accepts connections on `listener`."""
    listener.set_inheritable(True)
    logging.shutdown()
    os.chdir(environment.BASE_DIR)
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:whatsai.gunicorn", "--log-level", "warning"]
    os.execv(sys.executable, [*gunicorn, "--bind", f"fd://{listener.fileno()}", "whatsai.wsgi"])  # noqa: S606 - execv runs no shell


if __name__ == "__main__":
    main(sys.argv[1:])
