import asyncio
import os
from pathlib import Path

import pytest

from tests.load import chaos


def test_a_minute_has_a_web_and_a_worker_kill_every_five_seconds_and_one_restart_of_each_store() -> None:
    plan = list(chaos.chaos_plan(60))
    assert [at for at, command in plan if command == "kill web"] == list(range(5, 60, 5))
    assert [at for at, command in plan if command == "kill ingest"] == list(range(5, 60, 5))
    assert [command for _, command in plan if command.startswith("restart")] == ["restart postgresql", "restart valkey"]


def test_commands_are_written_to_the_pipe_ordered_by_time(tmp_path: Path) -> None:
    pipe = tmp_path / "orders"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    asyncio.run(chaos.run_chaos(pipe, seconds=0.3, delay=-1))
    assert os.read(reader, 1000) == b"restart postgresql\nrestart valkey\n"
    os.close(reader)


def test_a_missing_pipe_and_a_pipe_without_a_reader_are_errors(tmp_path: Path) -> None:
    with pytest.raises(chaos.NoStackError, match="make stack"):
        chaos.send_command(tmp_path / "orders", "kill web")
    os.mkfifo(tmp_path / "orders")
    with pytest.raises(chaos.NoStackError):
        chaos.send_command(tmp_path / "orders", "kill web")
