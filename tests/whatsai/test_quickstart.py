"""After the installation, `make run` starts a server with a free port, default settings and saved credentials."""

import os
import re
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from whatsai import environment, quickstart

pytestmark = pytest.mark.once

TIMEOUT = 120  # seconds after which a test fails because a process hangs
SOURCES = ("manage.py", "whatsai", "conversations", "cachelayer", "logs")


# --- the port ---------------------------------------------------------------------------------------------------------
def test_a_port_in_use_is_one_line_that_suggests_another() -> None:
    with quickstart.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(quickstart.StartError, match=rf"^port {port} is in use; .* PORT={port + 1}$"):
            quickstart.listen("127.0.0.1", port)


def test_the_suggested_port_exists() -> None:
    with quickstart.listen("127.0.0.1", 65535), pytest.raises(quickstart.StartError, match=r"PORT=65534$"):
        quickstart.listen("127.0.0.1", 65535)


def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(quickstart.StartError, match=r"^cannot listen on 192\.0\.2\.1 port 0: .+$"):
        quickstart.listen("192.0.2.1", 0)


@pytest.mark.parametrize("text", ["web", "-1", "65536", ""])
def test_an_invalid_port_is_rejected(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        quickstart.main(["--port", text])

    assert "not a port" in capsys.readouterr().err


# --- the defaults -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("host", "url", "hosts"),
    [
        ("127.0.0.1", "http://127.0.0.1:8001", "127.0.0.1,localhost"),
        ("::", "http://127.0.0.1:8001", "127.0.0.1,localhost"),
        ("inbox.lan", "http://inbox.lan:8001", "127.0.0.1,localhost,inbox.lan"),
        ("::1", "http://[::1]:8001", "127.0.0.1,localhost,::1"),
    ],
)
def test_the_site_accepts_the_host_it_listens_on(host: str, url: str, hosts: str) -> None:
    assert quickstart.local_url(host, 8001) == url
    assert quickstart.local_defaults(host, url)["ALLOWED_HOSTS"] == hosts


def test_the_defaults_are_known_variables() -> None:
    known = (environment.BASE_DIR / ".env.example").read_text(encoding="utf-8")

    assert all(f"# {name}=" in known for name in quickstart.local_defaults("127.0.0.1", "http://127.0.0.1:8000"))


# --- unwritable folders -----------------------------------------------------------------------------------------------
def test_a_file_in_place_of_var_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "var").touch()

    with pytest.raises(quickstart.StartError, match=r"^cannot write to .*/var: File exists$"):
        quickstart.set_up(tmp_path / "var", {}, demo=False)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(quickstart.StartError, match=r"^cannot write to .*/var: File too large$"):
            quickstart.set_up(tmp_path / "var", {}, demo=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- the running site -------------------------------------------------------------------------------------------------
def copy_project(folder: Path) -> Path:
    """Copy the project's files to a folder, without saved credentials or logs; return the folder."""
    for name in SOURCES:
        source = environment.BASE_DIR / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("samples"))
        else:
            shutil.copy2(source, folder)
    return folder


@dataclass(frozen=True)
class FirstStart:
    """A folder with the project after its first start, and the text that was printed."""

    folder: Path
    welcome: str


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> FirstStart:
    """Start the project in a new folder, whose `var` others may read; the first start takes seconds."""
    folder = copy_project(tmp_path_factory.mktemp("started"))
    (folder / "var").mkdir(mode=0o755)
    (folder / "var" / "older").touch(mode=0o644)
    with started(folder) as (welcome, _):
        assert status(welcome) == 200
    return FirstStart(folder, welcome)


@pytest.fixture
def project(first_start: FirstStart, tmp_path: Path) -> Path:
    """Return a copy of the folder after the first start."""
    return shutil.copytree(first_start.folder, tmp_path, dirs_exist_ok=True)


def test_it_serves_and_prints_credentials_that_stay_valid(first_start: FirstStart, project: Path) -> None:
    with started(project) as (second, _):
        assert status(second) == 200

    (password,) = re.findall(r"password (\S+) \(shown only now\)", first_start.welcome)
    assert "password" in second
    assert password not in second
    assert re.findall(r"Token [\w-]+", second) == re.findall(r"Token [\w-]+", first_start.welcome)
    files = [path for path in (project / "var").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if password.encode() in path.read_bytes()]


def test_only_the_owner_can_read_what_it_writes(first_start: FirstStart) -> None:
    var = first_start.folder / "var"
    paths = [var, *var.rglob("*")]
    assert len(paths) > 5
    assert not [path for path in paths if path.stat().st_mode & 0o077]


def test_variables_set_by_the_user_win(project: Path) -> None:
    (project / ".env").write_text("ALLOWED_HOSTS=inbox.example\n", encoding="utf-8")

    with started(project) as (welcome, _):
        assert status(welcome) == 400
        assert status(welcome, host="inbox.example") == 200


def test_it_says_what_it_does_from_the_beginning(first_start: FirstStart) -> None:
    lines = (first_start.folder / "errors").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "make run: setting up the site …"
    assert re.fullmatch(r"make run: preparing the database \(\d+ migrations\) …", lines[1])


def test_all_printed_addresses_have_its_port(project: Path) -> None:
    with started(project) as (welcome, _):
        assert set(re.findall(r"127\.0\.0\.1:(\d+)", welcome)) == {str(port(welcome))}
        assert (project / "var" / "url").read_text(encoding="utf-8") == f"http://127.0.0.1:{port(welcome)}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_it_serves_stops_it_at_once(project: Path, number: signal.Signals) -> None:
    with started(project) as (_, server):
        os.kill(server.pid, number)  # gunicorn has not started yet
        assert server.wait(TIMEOUT) == 0
    assert "Traceback" not in (project / "errors").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_its_processes(project: Path, number: signal.Signals) -> None:
    with started(project) as (welcome, server):
        assert status(welcome) == 200
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        server.send_signal(number)
        assert server.wait(TIMEOUT) == 0

    assert len(processes) == 2
    assert not psutil.wait_procs(processes, timeout=TIMEOUT)[1]
    assert "Traceback" not in (project / "errors").read_text(encoding="utf-8")


def test_no_token_of_a_request_line_is_logged(project: Path) -> None:
    with started(project) as (welcome, _):
        for line in ("GET /admin/?token=sesame HTTP/1.1", "GET/?token=sesame HTTP/1.1", "GET /?token=sesame HTTP/9.9"):
            with socket.create_connection(("127.0.0.1", port(welcome)), timeout=TIMEOUT) as caller:
                caller.sendall(f"{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                assert caller.makefile("rb").read().startswith(b"HTTP/1.1 ")

    written = [project / "errors", *(project / "var" / "log").iterdir()]
    text = "".join(file.read_text(encoding="utf-8") for file in written)
    assert "sesame" not in text


@contextmanager
def started(project: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run the project's server on a free port until the block ends; yield the printed text and the process."""
    with (
        (project / "errors").open("a") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "whatsai.quickstart", "--port", "0", "--no-demo"],
            cwd=project,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        assert server.stdout
        welcome = "".join(iter(server.stdout.readline, "Ctrl-C stops the server.\n"))
        try:
            yield welcome, server
        finally:
            server.terminate()


def port(welcome: str) -> int:
    return int(re.findall(r"http://127\.0\.0\.1:(\d+)$", welcome, re.MULTILINE)[0])


def status(welcome: str, host: str = "127.0.0.1") -> int:
    """Send the request of the `curl` command in the text `welcome`; return the HTTP status of the response."""
    (_, _, header, url), name = shlex.split(welcome.splitlines()[-2]), "Authorization"
    request = urllib.request.Request(url, headers={name: header.removeprefix(f"{name}: "), "Host": host})  # noqa: S310 - the URL is an http URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - the URL is an http URL
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
