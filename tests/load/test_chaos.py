import asyncio
import os
from pathlib import Path

import pytest

from tests.load import chaos


def test_in_a_minute_a_web_process_and_a_worker_die_every_five_seconds_and_each_store_restarts_once() -> None:
    orders = list(chaos.chaos_plan(60))
    assert [at for at, order in orders if order == "kill web"] == list(range(5, 60, 5))
    assert [at for at, order in orders if order == "kill ingest"] == list(range(5, 60, 5))
    assert [order for _, order in orders if order.startswith("restart")] == ["restart postgresql", "restart valkey"]


def test_orders_come_through_the_pipe_in_the_order_of_their_time(tmp_path: Path) -> None:
    pipe = tmp_path / "orders"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    asyncio.run(chaos.run_chaos(pipe, seconds=0.3, lead=-1))
    assert os.read(reader, 1000) == b"restart postgresql\nrestart valkey\n"
    os.close(reader)


def test_nobody_who_takes_orders_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(chaos.NoStackError, match="make stack"):
        chaos.send_command(tmp_path / "orders", "kill web")
    os.mkfifo(tmp_path / "orders")
    with pytest.raises(chaos.NoStackError):
        chaos.send_command(tmp_path / "orders", "kill web")
