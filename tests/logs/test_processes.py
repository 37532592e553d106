"""Concurrent, forked, spawned and terminated processes write each log record once; a kill loses only queued records."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from logs.tail import rotated_files
from tests.logs.conftest import lines, messages, program, run

pytestmark = pytest.mark.once

SMALL = 64 * 1024  # maximum size of a log file in bytes, so that a few thousand lines rotate the file often


# --- forked and spawned -----------------------------------------------------------------------------------------------
def test_a_forked_process_logs_and_queued_records_are_written_once(directory: Path) -> None:
    run(
        directory,
        """
        set_up()
        for place in range(100):
            log.info("parent %d", place)
        child = os.fork()
        for place in range(100):
            log.info("%s %d", "after" if child else "child", place)
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
    )
    expected = [f"{who} {place}" for who in ("parent", "after", "child") for place in range(100)]
    assert sorted(messages(directory)) == sorted(expected)


def test_forks_under_load_do_not_hang_lose_or_duplicate_records(directory: Path) -> None:
    run(
        directory,
        """
        set_up(capacity=1_000_000)
        done = threading.Event()
        counts = [0]
        def load():
            while not done.is_set():
                log.info("load %d", counts[0])
                counts[0] += 1
        loader = threading.Thread(target=load)
        loader.start()
        for fork in range(20):
            if not (child := os.fork()):
                log.info("child %d", fork)
                logging.shutdown()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        done.set()
        loader.join()
        log.info("count %d", counts[0])
        """,
    )
    written = messages(directory)
    (count,) = [int(text.split()[1]) for text in written if text.startswith("count")]
    assert sorted(text for text in written if text.startswith("load")) == sorted(f"load {n}" for n in range(count))
    assert sorted(text for text in written if text.startswith("child")) == sorted(f"child {n}" for n in range(20))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_kind_of_child_writes_all_records_before_it_ends(method: str, directory: Path) -> None:
    run(
        directory,
        f"""
        def work(name):
            if {method!r} != "fork":
                set_up()
            for place in range(200):
                log.info("%s %d", name, place)

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            set_up()
            log.info("parent")
            children = [context.Process(target=work, args=(name,)) for name in "ab"]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
        """,
    )
    assert sorted(messages(directory)) == sorted(["parent", *(f"{name} {n}" for name in "ab" for n in range(200))])


def test_a_terminated_child_writes_all_records(directory: Path) -> None:
    run(
        directory,
        """
        def work(ready):
            for place in range(200):
                log.info("child %d", place)
            ready.send(None)
            time.sleep(60)

        set_up()
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
        child.start()
        ours.recv()
        child.terminate()
        child.join()
        assert child.exitcode == -signal.SIGTERM, child.exitcode
        """,
    )
    assert messages(directory) == [f"child {place}" for place in range(200)]


# --- ends -------------------------------------------------------------------------------------------------------------
ENDS = {
    "the end of the program": "pass",
    "sys.exit": "sys.exit(0)",
    "an exception": "raise SystemExit(0)",
    "atexit": "import atexit; atexit.register(lambda: log.info('at exit'))",
    "shutting down twice": "logging.shutdown(); logging.shutdown()",
    "a second configuration": "set_up(); log.info('second')",
}


@pytest.mark.parametrize("name", ENDS)
def test_all_records_are_written_at(name: str, directory: Path) -> None:
    errors = run(
        directory,
        f"""
        set_up()
        for place in range(1000):
            log.info("%d", place)
        {ENDS[name]}
        """,
    )
    more = {"atexit": ["at exit"], "a second configuration": ["second"]}.get(name, [])
    assert messages(directory) == [*map(str, range(1000)), *more]
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_under_load_loses_no_record(number: signal.Signals, directory: Path) -> None:
    process = program(
        directory,
        """
        set_up(capacity=1_000_000)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("ready", flush=True)
        place = 0
        try:
            while True:
                log.info("%d", place)
                place += 1
                if place % 2000 == 0:
                    print(place, flush=True)
        finally:
            log.info("interrupted")
        """,
    )
    assert process.stdout
    while (line := process.stdout.readline().strip()) != "6000":
        assert line, process.communicate()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -number
    written = messages(directory)
    numbers = [int(text) for text in written if text != "interrupted"]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= int(([line, *output.split()])[-1])
    assert ("interrupted" in written) == (number is signal.SIGINT)


def test_a_signal_handler_of_the_program_stays_installed(directory: Path) -> None:
    process = program(
        directory,
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        set_up()
        log.info("here")
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout
    process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 7
    assert messages(directory) == ["here"]


@pytest.mark.parametrize("attempt", range(3))
def test_a_kill_loses_only_queued_records_and_leaves_no_partial_line(attempt: int, directory: Path) -> None:
    process = program(
        directory,
        f"""
        from logs.files import ContextFiles
        ContextFiles.__init__.__kwdefaults__["max_file_bytes"] = {SMALL}
        set_up(backup_count=1000)
        place = 0
        while True:
            for _ in range(100):
                log.info("%d", place)
                place += 1
            logging.getLogger().handlers[0].flush()
            print(place, flush=True)
        """,
    )
    assert process.stdout
    while (flushed := int(process.stdout.readline())) < 500 * (attempt + 1):
        pass
    process.kill()
    output, _ = process.communicate()
    run(directory, "set_up(); log.info('next')")
    *killed, last = messages(directory)
    assert last == "next"
    assert killed == [str(place) for place in range(len(killed))]
    assert len(killed) >= max([flushed, *map(int, output.split("\n")[:-1])])


@pytest.mark.parametrize("number", [0, signal.SIGTERM])
def test_a_console_without_a_reader_blocks_neither_the_files_nor_the_exit(number: int, directory: Path) -> None:
    process = program(
        directory,
        f"""
        set_up(console=True)
        for place in range(3000):
            log.info("%d", place)
        logging.getLogger().handlers[0].flush()
        log.info("last")
        if {number}:
            os.kill(os.getpid(), {number})
        """,
    )
    assert process.wait(timeout=60) == -number
    assert messages(directory) == [*map(str, range(3000)), "last"]
    process.communicate()


# --- many at once -----------------------------------------------------------------------------------------------------
def test_four_processes_write_every_record_once_across_many_rotations(directory: Path) -> None:
    count = 4000
    source = f"""
        from logs.files import ContextFiles
        ContextFiles.__init__.__kwdefaults__["max_file_bytes"] = {SMALL}
        set_up(backup_count=1000, capacity=1_000_000)
        sys.stdin.readline()
        for place in range({count}):
            log.log(30 if place % 10 == 0 else 20, "%d %d", os.getpid(), place, extra={{"key": "x" * (place % 50)}})
        """
    processes = [program(directory, source, stdin=-1) for _ in range(4)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    wanted = [(process.pid, place) for process in processes for place in range(count)]
    found = [tuple(map(int, text.split())) for text in messages(directory)]
    assert sorted(found) == sorted(wanted)
    assert len(messages(directory, "cache-errors.log")) == 4 * count / 10
    assert len(rotated_files(directory / "cache.log")) > 20
    assert max(path.stat().st_size for path in rotated_files(directory / "cache.log")) <= SMALL


def test_the_records_of_a_process_stay_in_order(directory: Path) -> None:
    run(
        directory,
        """
        set_up()
        for _ in range(2):
            if not os.fork():
                break
        for place in range(500):
            log.info("%d", place)
        """,
    )
    by_process: dict[int, list[str]] = {}
    for line in lines(directory):
        by_process.setdefault(line["process"], []).append(line["message"])
    assert len(by_process) == 3
    assert all(texts == [str(place) for place in range(500)] for texts in by_process.values())


# --- a folder that is not writable ------------------------------------------------------------------------------------
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """Yield a temporary folder that users other than root can access."""
    with tempfile.TemporaryDirectory(prefix="whatsai-logs-") as above:
        Path(above).chmod(0o755)
        yield Path(above) / "log"


@needs_root
@pytest.mark.parametrize("owned", ["log", "", "log/api-errors.log", "log/.__media.lock"])
def test_a_path_that_is_not_writable_is_one_clear_error(owned: str, shared_directory: Path) -> None:
    wrong = shared_directory
    if owned:
        shared_directory.mkdir()
        if owned != "log":
            os.chown(shared_directory, NOBODY, NOBODY)
            wrong = shared_directory.parent / owned
            wrong.touch(0o644)
    process = program(shared_directory, f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); set_up()")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.endswith(f"ImproperlyConfigured: LOG_DIR: cannot write to {wrong}: Permission denied\n")


def test_a_file_in_place_of_the_folder_is_an_error(directory: Path) -> None:
    directory.parent.mkdir(parents=True)
    directory.touch()
    process = program(directory, "set_up()")
    assert process.communicate(timeout=60)[1].endswith(f"cannot write to {directory}: Not a directory\n")
