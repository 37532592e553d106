"""Log files can be read and followed while they are written, rotated or damaged."""

import json
from pathlib import Path
from typing import Any

import pytest

from logs import tail
from logs.tail import Tail, Tails, merged, rotated_files


def text(number: int, message: str = "") -> str:
    data = {"timestamp": f"2026-03-01T12:{number:02}:00.000000Z", "level": "INFO", "context": "CACHE"}
    return json.dumps(data | {"message": message or str(number)}) + "\n"


def messages(lines: Any) -> list[str]:
    return [line["message"] for line in lines]


def append(path: Path, *texts: str) -> None:
    with path.open("a") as file:
        file.write("".join(texts))


def rotate(path: Path) -> None:
    for one in rotated_files(path):
        number = int(one.suffix[1:]) if one.suffix[1:].isdecimal() else 0
        one.rename(path.with_name(f"{path.name}.{number + 1}"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.log"


# --- existing files ---------------------------------------------------------------------------------------------------
def test_rotated_files_are_sorted_by_number(path: Path) -> None:
    for name in (
        "cache.log",
        "cache.log.1",
        "cache.log.2",
        "cache.log.10",
        "cache.log.x",
        "cache.log.lock",
        "api.log.1",
    ):
        path.with_name(name).touch()
    assert [one.name for one in rotated_files(path)] == ["cache.log.10", "cache.log.2", "cache.log.1", "cache.log"]


def test_missing_files_yield_nothing(path: Path) -> None:
    assert rotated_files(path) == []
    assert list(merged([path, path.parent / "nowhere" / "api.log"])) == []


def test_a_folder_with_the_name_of_a_rotated_file_is_skipped(path: Path) -> None:
    path.with_name("cache.log.1").mkdir()
    append(path, text(1))
    assert messages(merged([path])) == ["1"]


def test_the_lines_of_many_files_are_merged_by_time(path: Path) -> None:
    append(path.with_name("cache.log.1"), text(1), text(4))
    append(path, text(6), text(9))
    append(path.with_name("api.log"), text(2), text(3), text(8))
    assert messages(merged([path, path.with_name("api.log")])) == ["1", "2", "3", "4", "6", "8", "9"]


def test_lines_written_out_of_order_are_sorted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "REORDER_LINES", 4)
    append(path, *(text(number) for number in (0, 3, 4, 1, 2, 5, 8, 9, 6, 7)))
    assert messages(merged([path])) == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    "garbage",
    ["not JSON\n", "[]\n", "5\n", "{}\n", '{"timestamp": 5, "level": "INFO", "context": "", "message": ""}\n', "\n",
     '{"timestamp": "then", "level": "INFO", "context": "", "message": ""}\n', "{" * 10_000 + "\n",
     "[" * 100_000 + "\n", '{"timestamp"'],
)  # fmt: skip
def test_invalid_lines_are_skipped(garbage: str, path: Path) -> None:
    append(path, text(1), garbage, text(2) if garbage.endswith("\n") else "")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert messages(merged([path]))[:1] == ["1"]
    assert len(list(merged([path]))) == (2 if garbage.endswith("\n") else 1)


def test_files_last_written_before_the_time_are_skipped(path: Path) -> None:
    append(path, text(1))
    assert list(merged([path], since=path.stat().st_mtime + 2 * tail.MTIME_TOLERANCE)) == []
    assert len(list(merged([path], since=path.stat().st_mtime))) == 1


# --- following --------------------------------------------------------------------------------------------------------
def test_only_added_lines_are_read(path: Path) -> None:
    append(path, text(1))
    reader = Tail(path)
    assert list(reader.read_new()) == []
    append(path, text(2), text(3))
    assert messages(reader.read_new()) == ["2", "3"]
    assert list(reader.read_new()) == []
    reader.close()


def test_a_partial_line_is_read_once_it_is_complete(path: Path) -> None:
    reader = Tail(path)
    whole = text(1, "é").replace("\\u00e9", "é").encode()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        assert list(reader.read_new()) == []
    path.write_bytes(whole)
    assert messages(reader.read_new()) == ["é"]
    reader.close()


def test_a_file_created_later_is_read_from_its_beginning(path: Path) -> None:
    reader = Tail(path)
    assert list(reader.read_new()) == []
    append(path, text(1))
    assert messages(reader.read_new()) == ["1"]
    reader.close()


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_no_line_is_missed_across_rotations(rotations: int, path: Path) -> None:
    append(path, text(0))
    reader = Tail(path)
    number = 1
    for _ in range(rotations):
        append(path, text(number), text(number + 1))
        rotate(path)
        number += 2
    append(path, text(number))
    assert messages(reader.read_new()) == [str(one) for one in range(1, number + 1)]
    append(path, text(number + 1))
    assert messages(reader.read_new()) == [str(number + 1)]
    reader.close()


def test_lines_added_between_a_read_and_a_rotation_are_not_missed(path: Path) -> None:
    append(path, text(0))
    reader = Tail(path)
    append(path, text(1))
    new = reader.read_new()
    assert messages([next(new)]) == ["1"]
    append(path, text(2))
    rotate(path)
    append(path, text(3))
    assert messages(new) == ["2", "3"]
    reader.close()


def test_a_deleted_and_recreated_file_is_read_from_its_beginning(path: Path) -> None:
    append(path, text(0))
    reader = Tail(path)
    path.unlink()
    append(path, text(1))
    assert messages(reader.read_new()) == ["1"]
    reader.close()


def test_added_lines_of_several_files_are_sorted_by_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_SECONDS", 0)
    other = path.with_name("api.log")
    tails = Tails([path, other])
    append(path, text(1), text(3))
    append(other, text(2))
    found = iter(tails)
    assert messages(next(found) for _ in range(3)) == ["1", "2", "3"]
    append(other, text(4))
    assert messages([next(found)]) == ["4"]
    tails.close()
