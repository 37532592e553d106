"""Callbacks that are registered for forks run in each forked child process."""

from pathlib import Path

import pytest

from tests.logs.conftest import messages, run

pytestmark = pytest.mark.once


def test_callbacks_run_once_in_the_child_in_the_order_of_their_registration(directory: Path) -> None:
    run(
        directory,
        """
        from logs.fork import after_fork

        called = []

        @after_fork
        def first():
            called.append("first")

        after_fork(lambda: called.append("second"))
        after_fork(first)
        set_up()
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        log.info("%s %s", "parent" if child else "child", " ".join(called))
        """,
    )
    assert sorted(messages(directory)) == ["child first second", "parent "]


def test_a_callback_that_raises_does_not_stop_the_others(directory: Path) -> None:
    errors = run(
        directory,
        """
        from logs.fork import after_fork

        called = []
        after_fork(lambda: 1 / 0)
        after_fork(lambda: called.append("second"))
        set_up()
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            log.info(called[0])
        """,
    )
    assert messages(directory) == ["second"]
    assert "ZeroDivisionError" in errors
