"""`make stack`: starts all programs, prints the addresses and credentials, and supervises the programs until Ctrl-C.

The data of the site are kept for the next start. The sockets of PostgreSQL and Valkey are in a private temporary
folder; the web server listens on the loopback interface only.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from logs.file_lock import AlreadyLocked, exclusive_lock
from tests.devstack import folders, servers, site
from tests.devstack import process as program
from tests.devstack.process import ServerFailed
from tests.devstack.site import SiteConfig
from tests.devstack.supervisor import COMMAND_PIPE, Supervisor
from whatsai import environment, local_state, private_files, quickstart
from whatsai.quickstart import StartError

VAR = environment.VAR
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Run all programs until Ctrl-C or another POSIX signal arrives; return the exit status."""
    options = _parser().parse_args(arguments)
    # A signal handler that raised could interrupt the start of a program before the new process is recorded.
    caught: list[int] = []
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _frame: caught.append(number))
    private_files.protect(VAR)
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(options.folder, timeout=0), folders.short_tempdir() as sockets:
            _run(options, sockets, lambda: bool(caught))
    except AlreadyLocked:
        print(f"make stack: it runs already, with its data in {options.folder}", file=sys.stderr)
        return 1
    except (StartError, ServerFailed) as error:
        if not caught:  # a POSIX signal may have stopped a program during its start
            print(f"make stack: {error}", file=sys.stderr)
            return 1
    except OSError as error:
        print(f"make stack: {error.filename or options.folder}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.devstack", description="Run the production topology on this machine."
    )
    parser.add_argument(
        "--port",
        type=quickstart.port_number,
        default=8000,
        help="the port to listen on (default 8000; 0: any free port)",
    )
    parser.add_argument(
        "--folder", type=_absolute, default=VAR / "stack", help="the folder of its data (default var/stack)"
    )
    parser.add_argument("--web", type=int, default=2, help="web processes (default 2)")
    parser.add_argument("--threads", type=int, default=6, help="threads of each web process (default 6)")
    parser.add_argument("--workers", type=int, default=2, help="ingest workers (default 2)")
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="do not load the demo")
    return parser


def _absolute(text: str) -> Path:
    return Path(text).absolute()


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
        config = SiteConfig(folder, url, database_url, redis_url)
        env = _write_env(folder / "env", config.variables)
        stack.callback(env.unlink, missing_ok=True)
        _set_up(config, is_stopped, demo=options.demo)
        for number in range(1, options.workers + 1):
            supervisor.start(config.worker(number), is_stopped)
        supervisor.start(config.web(listener.fileno(), processes=options.web, threads=options.threads), is_stopped)
        if not is_stopped():
            print(_welcome(url, env, local_state.load(folder / site.STATE_FILE)), flush=True)
        supervisor.supervise(is_stopped)


def _write_env(file: Path, values: dict[str, str]) -> Path:
    """Write environment variables to a file, so that `ENV_FILE=… manage.py` in another shell uses the same servers."""
    local_state.write(file, "".join(f"{name}={value}\n" for name, value in values.items()))
    return file


def _set_up(config: SiteConfig, is_stopped: Callable[[], bool], *, demo: bool) -> None:
    """Set the site up in a separate process, so that the supervisor's process neither loads Django nor has threads.

    Raises:
        ServerFailed: the setup process failed, after it had printed the reason.
    """
    VAR.mkdir(exist_ok=True)
    local_state.ensure_secret_key(VAR / "secret_key")
    command = [sys.executable, "-m", "tests.devstack.site", str(config.folder), *(["--demo"] if demo else [])]
    process = subprocess.Popen(command, cwd=environment.BASE_DIR, env=config.environ, process_group=0)
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


def _welcome(url: str, env: Path, state: local_state.LocalState) -> str:
    shown = env.relative_to(Path.cwd()) if env.is_relative_to(Path.cwd()) else env
    return f"""
WhatsAI runs at {url}: PostgreSQL, Valkey, web processes and ingest workers

  admin     {url}/admin/   user {local_state.USERNAME}, password as shown at the first start
  API       {url}/api/v1/conversations/
            curl -H 'Authorization: Token {state.token}' '{url}/api/v1/conversations/?limit=2'
  commands  ENV_FILE={shown} .venv/bin/python manage.py ingest --status
  load      make simulate RATE=100 DURATION=10 PORT={url.rpartition(":")[2]}
  failures  make simulate ARGS=--chaos, or: echo kill web > {shown.parent / COMMAND_PIPE}

Ctrl-C stops all programs; the data stay in {shown.parent}.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
