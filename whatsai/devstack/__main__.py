"""`make stack`: starts all of it, says how to get in, keeps it running, and leaves nothing behind.

The data stay in the folder, for the next start. Sockets of the stores are in a private temporary folder; the web server
listens on this machine only.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from whatsai import environment, local_state, quickstart
from whatsai.devstack import folders, servers, site
from whatsai.devstack import process as program
from whatsai.devstack.process import ServerFailed
from whatsai.devstack.site import SiteConfig
from whatsai.devstack.supervisor import Supervisor
from whatsai.quickstart import StartError

VAR = environment.BASE_DIR / "var"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; return the exit status."""
    options = _parser().parse_args(arguments)
    # Noted, not raised: no signal can come between starting a process and knowing it.
    caught: list[int] = []
    for number in ENDING:
        signal.signal(number, lambda number, _frame: caught.append(number))
    try:
        with _alone(options.folder), folders.short_tempdir() as sockets:
            _run(options, sockets, lambda: bool(caught))
    except (StartError, ServerFailed) as error:
        if not caught:  # else it is the end of what was being started
            print(f"make stack: {error}", file=sys.stderr)
            return 1
    except OSError as error:
        print(f"make stack: {error.filename or options.folder}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m whatsai.devstack", description="The production topology, here.")
    parser.add_argument("--port", type=quickstart.port_number, default=8000, help="default 8000; 0 takes any free one")
    parser.add_argument("--folder", type=_absolute, default=VAR / "stack", help="for its data (var/stack)")
    parser.add_argument("--web", type=int, default=2, help="web processes (default 2)")
    parser.add_argument("--threads", type=int, default=6, help="threads of each (default 6)")
    parser.add_argument("--workers", type=int, default=2, help="ingest workers (default 2)")
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="do not load the demo")
    return parser


def _absolute(text: str) -> Path:
    return Path(text).absolute()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder, and let one in.

    Raises:
        CannotStart: somebody is in there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"it runs already, with its data in {folder}") from None
    else:
        yield
    finally:
        os.close(handle)


def _run(options: argparse.Namespace, sockets: Path, is_stopped: Callable[[], bool]) -> None:
    folder: Path = options.folder
    with ExitStack() as stack:
        listener = stack.enter_context(quickstart.listen(quickstart.LOOPBACK, options.port))
        supervisor = Supervisor(folder, lambda line: print(f"stack: {line}", flush=True))
        stack.callback(supervisor.stop)
        data = folder / "postgresql"
        data.mkdir(exist_ok=True)
        postgresql, database_url = servers.postgresql(data, sockets, servers.DURABLE)
        valkey, redis_url = servers.valkey(folder, sockets)
        supervisor.start(postgresql, is_stopped)
        supervisor.start(valkey, is_stopped)
        url = quickstart.local_url(quickstart.LOOPBACK, listener.getsockname()[1])
        here = SiteConfig(folder, url, database_url, redis_url)
        env = _write_env(folder / "env", here.variables)
        stack.callback(env.unlink, missing_ok=True)
        _set_up(here, is_stopped, demo=options.demo)
        for number in range(1, options.workers + 1):
            supervisor.start(here.worker(number), is_stopped)
        supervisor.start(here.web(listener.fileno(), processes=options.web, threads=options.threads), is_stopped)
        if not is_stopped():
            print(_welcome(url, env, local_state.load(folder / site.STATE_FILE)), flush=True)
        supervisor.supervise(is_stopped)


def _write_env(file: Path, values: dict[str, str]) -> Path:
    """Write the variables down, so that `manage.py` in another shell is one of this site's processes."""
    local_state.write(file, "".join(f"{name}={value}\n" for name, value in values.items()))
    return file


def _set_up(here: SiteConfig, is_stopped: Callable[[], bool], *, demo: bool) -> None:
    """Have another process set the site up: this one stays small, and has no threads.

    Raises:
        ServerFailed: that process failed; it has said why.
    """
    VAR.mkdir(exist_ok=True)
    local_state.ensure_secret_key(VAR / "secret_key")
    command = [sys.executable, "-m", "whatsai.devstack.site", str(here.folder), *(["--demo"] if demo else [])]
    process = subprocess.Popen(command, cwd=environment.BASE_DIR, env=here.environ, process_group=0)
    try:
        while not is_stopped():
            try:
                status = process.wait(program.POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            if status:
                raise ServerFailed(f"the site could not be set up: exit status {status}")
            return
    finally:
        program.stop(process, signal.SIGTERM)


def _welcome(url: str, env: Path, way_in: local_state.LocalState) -> str:
    shown = env.relative_to(Path.cwd()) if env.is_relative_to(Path.cwd()) else env
    password = way_in.password or "(set by you)"
    return f"""
WhatsAI answers at {url}: PostgreSQL, Valkey, web processes and ingest workers

  admin     {url}/admin/   user {local_state.USERNAME}, password {password}
  API       {url}/api/v1/conversations/
            curl -H 'Authorization: Token {way_in.token}' '{url}/api/v1/conversations/?limit=2'
  commands  ENV_FILE={shown} .venv/bin/python manage.py ingest --status
  load      make simulate RATE=100 DURATION=10 PORT={url.rpartition(":")[2]}
  disasters make simulate ARGS=--chaos, or: echo kill web > {shown.parent}/orders

Ctrl-C stops all of it; the data stay in {shown.parent}.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
