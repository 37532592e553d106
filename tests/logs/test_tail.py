"""Reading files that are written, rotated and damaged meanwhile."""

import json
from pathlib import Path
from typing import Any

import pytest

from logs import tail
from logs.tail import Tail, Tails, merged, rotated_files


def text(place: int, message: str = "") -> str:
    said = {"timestamp": f"2026-03-01T12:{place:02}:00.000000Z", "level": "INFO", "context": "CACHE"}
    return json.dumps(said | {"message": message or str(place)}) + "\n"


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


# --- what there is ----------------------------------------------------------------------------------------------------
def test_the_oldest_file_comes_first_by_number_and_with_a_gap(path: Path) -> None:
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


def test_there_may_be_nothing(path: Path) -> None:
    assert rotated_files(path) == []
    assert list(merged([path, path.parent / "nowhere" / "api.log"])) == []


def test_a_folder_that_is_called_like_an_old_file_is_passed_over(path: Path) -> None:
    path.with_name("cache.log.1").mkdir()
    append(path, text(1))
    assert messages(merged([path])) == ["1"]


def test_many_files_are_one_story(path: Path) -> None:
    append(path.with_name("cache.log.1"), text(1), text(4))
    append(path, text(6), text(9))
    append(path.with_name("api.log"), text(2), text(3), text(8))
    assert messages(merged([path, path.with_name("api.log")])) == ["1", "2", "3", "4", "6", "8", "9"]


def test_lines_that_several_processes_wrote_are_put_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "REORDER_LINES", 4)
    append(path, *(text(place) for place in (0, 3, 4, 1, 2, 5, 8, 9, 6, 7)))
    assert messages(merged([path])) == [str(place) for place in range(10)]


@pytest.mark.parametrize(
    "garbage",
    ["not JSON\n", "[]\n", "5\n", "{}\n", '{"timestamp": 5, "level": "INFO", "context": "", "message": ""}\n', "\n",
     '{"timestamp": "then", "level": "INFO", "context": "", "message": ""}\n', "{" * 10_000 + "\n",
     "[" * 100_000 + "\n", '{"timestamp"'],
)  # fmt: skip
def test_what_is_no_line_of_ours_is_passed_over(garbage: str, path: Path) -> None:
    append(path, text(1), garbage, text(2) if garbage.endswith("\n") else "")
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert messages(merged([path]))[:1] == ["1"]
    assert len(list(merged([path]))) == (2 if garbage.endswith("\n") else 1)


def test_files_last_written_before_are_not_opened(path: Path) -> None:
    append(path, text(1))
    assert list(merged([path], since=path.stat().st_mtime + 1)) == []
    assert len(list(merged([path], since=path.stat().st_mtime))) == 1


# --- what comes -------------------------------------------------------------------------------------------------------
def test_only_what_is_added_is_followed(path: Path) -> None:
    append(path, text(1))
    follower = Tail(path)
    assert list(follower.read_new()) == []
    append(path, text(2), text(3))
    assert messages(follower.read_new()) == ["2", "3"]
    assert list(follower.read_new()) == []
    follower.close()


def test_half_a_line_waits_for_its_other_half(path: Path) -> None:
    follower = Tail(path)
    whole = text(1, "é").replace("\\u00e9", "é").encode()
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        assert list(follower.read_new()) == []
    path.write_bytes(whole)
    assert messages(follower.read_new()) == ["é"]
    follower.close()


def test_a_file_that_is_made_later_is_followed_from_its_beginning(path: Path) -> None:
    follower = Tail(path)
    assert list(follower.read_new()) == []
    append(path, text(1))
    assert messages(follower.read_new()) == ["1"]
    follower.close()


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_nothing_is_missed_across_rotations(rotations: int, path: Path) -> None:
    append(path, text(0))
    follower = Tail(path)
    place = 1
    for _ in range(rotations):
        append(path, text(place), text(place + 1))
        rotate(path)
        place += 2
    append(path, text(place))
    assert messages(follower.read_new()) == [str(one) for one in range(1, place + 1)]
    append(path, text(place + 1))
    assert messages(follower.read_new()) == [str(place + 1)]
    follower.close()


def test_what_is_added_between_a_look_and_a_rotation_is_not_missed(path: Path) -> None:
    append(path, text(0))
    follower = Tail(path)
    append(path, text(1))
    new = follower.read_new()
    assert messages([next(new)]) == ["1"]
    append(path, text(2))
    rotate(path)
    append(path, text(3))
    assert messages(new) == ["2", "3"]
    follower.close()


def test_a_file_whose_every_trace_is_gone_is_followed_anew(path: Path) -> None:
    append(path, text(0))
    follower = Tail(path)
    path.unlink()
    append(path, text(1))
    assert messages(follower.read_new()) == ["1"]
    follower.close()


def test_several_files_are_followed_in_the_order_of_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_SECONDS", 0)
    other = path.with_name("api.log")
    followers = Tails([path, other])
    append(path, text(1), text(3))
    append(other, text(2))
    found = iter(followers)
    assert messages(next(found) for _ in range(3)) == ["1", "2", "3"]
    append(other, text(4))
    assert messages([next(found)]) == ["4"]
    followers.close()
