"""The units of systemd are valid, and the web unit's command reports when it is ready and stops in time."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.deploy import files
from tests.deploy.running import TIMEOUT, run, running
from whatsai import environment

SERVICES = [one.name for one in files.units() if one.suffix == ".service"]
FOLDER = "/srv/whatsai"
MIGRATE = "whatsai-migrate.service"
START = "/usr/bin/env .venv/bin/"  # relative to the folder that the link `current` led to at the start


@pytest.mark.once
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_systemd_accepts_them(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    for unit in files.units():
        text = unit.read_text(encoding="utf-8").replace(FOLDER, str(tmp_path))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")

    names = [tmp_path / one.name.replace("@.", "@1.") for one in files.units()]
    shutil.copy2(tmp_path / "whatsai-worker@.service", tmp_path / "whatsai-worker@1.service")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )

    assert "whatsai" not in checked.stderr
    assert checked.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
def test_they_run_in_one_folder_and_write_to_var_alone(name: str) -> None:
    service = files.unit(name)["Service"]

    assert service["WorkingDirectory"] == f"{FOLDER}/current"
    assert service["ExecStart"].startswith(START)
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == f"{FOLDER}/var"
    assert service["EnvironmentFile"] == "/etc/whatsai.env"


def test_the_target_starts_the_web_processes_and_two_workers_after_the_migrations() -> None:
    wanted = files.unit("whatsai.target")["Unit"]["Wants"].split()

    assert wanted[:2] == [MIGRATE, "whatsai-web.socket"]
    assert wanted[2:] == ["whatsai-web.service", "whatsai-worker@1.service", "whatsai-worker@2.service"]
    assert all(MIGRATE in files.unit(name)["Unit"]["After"].split() for name in SERVICES if name != MIGRATE)


@pytest.mark.parametrize("name", SERVICES)
def test_migrations_of_an_upgrade_restart_no_other_unit(name: str) -> None:
    unit = files.unit(name)["Unit"]

    assert all(MIGRATE not in unit.get(kind, "") for kind in ("Requires", "Requisite", "BindsTo", "PartOf"))


def test_the_site_accepts_the_variables_of_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    filled = {"SECRET_KEY": "k" * 50, "PUBLIC_URL": "https://inbox.example", "ALLOWED_HOSTS": "inbox.example"}
    for key, value in {**files.example("whatsai.env.example"), **filled, "LOG_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("ENV_FILE", "/dev/null")
    monkeypatch.delenv("HTTPS")

    site = environment.read()

    assert site.database["NAME"] == "whatsai"
    assert site.media_dir == Path(FOLDER) / "var" / "media"
    assert site.https
    assert site.language_code == "pt-br"


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """Lay out a folder of a version with a migrated database; return its environment variables."""
    for name in files.copied():
        (tmp_path / name).symlink_to(environment.BASE_DIR / name)
    values = {"ENV_FILE": "/dev/null", "SECRET_KEY": "k" * 50, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    values |= {"LOG_DIR": str(tmp_path / "log"), "MEDIA_DIR": str(tmp_path / "media")}
    run(["python", "manage.py", "migrate", "--no-input"], tmp_path, values)
    return values


def web_command() -> str:
    command: str = files.unit("whatsai-web.service")["Service"]["ExecStart"]
    return files.replace_variables(command, {"WEB_PROCESSES": "1"}).removeprefix(START)


@pytest.mark.once
def test_the_web_command_tells_systemd_when_it_is_ready(site: dict[str, str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT)
        *words, application = web_command().split()
        bound = [*words, "--bind", "127.0.0.1:0", application]
        with running(bound, tmp_path, {**site, "NOTIFY_SOCKET": str(tmp_path / "notify")}) as server:
            assert b"READY=1" in systemd.recv(1024)

    assert server.returncode == 0


@pytest.mark.once
def test_requests_wait_at_the_open_address_during_a_restart(site: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as address:  # as systemd opens it, and gives it as the descriptor 3
        start = f"export LISTEN_FDS=1 LISTEN_PID=$$; exec {web_command()} 3<&{address.fileno()}"
        for _ in range(2):
            with socket.create_connection(address.getsockname(), TIMEOUT) as client:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                with running(["bash", "-c", start], tmp_path, site, pass_fds=[address.fileno()]) as server:
                    assert client.recv(1024).startswith(b"HTTP/1.1 200")
            assert server.returncode == 0
