import os
import subprocess
import sys
from pathlib import Path

from tests.scratch import remove_leftovers, scratch_folder


def test_a_folder_is_removed_at_its_end_and_after_its_process_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left, foreign, other = (tmp_path / name for name in (f"whatsai-test-{ended.pid}-x1_", "whatsai-x1", "else-99-x"))
    for folder in (left, foreign, other):
        folder.mkdir()
        (folder / "file").touch()
    with scratch_folder("test", str(tmp_path)) as own:
        remove_leftovers(str(tmp_path))
        assert {path.name for path in tmp_path.iterdir()} == {foreign.name, other.name, Path(own).name}
        assert f"-{os.getpid()}-" in own
    assert {path.name for path in tmp_path.iterdir()} == {foreign.name, other.name}
