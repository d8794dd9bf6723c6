"""The temporary folder of a launch goes with it, or, when its launcher was killed, with the next launch."""

import subprocess
import sys
from pathlib import Path

from tandem.distributed.launch.temporary import launch_folder

LAUNCHER = """\
import time
from tandem.distributed.launch.temporary import launch_folder
with launch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_launcher_left_is_removed_by_the_next_and_nothing_else() -> None:
    launchers = [subprocess.Popen([sys.executable, "-c", LAUNCHER], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    try:
        folders = [Path(one.stdout.readline().strip()) for one in launchers if one.stdout is not None]
        (folders[0] / "sockets").mkdir()
        launchers[0].kill()
        launchers[0].wait()
        assert folders[0].is_dir()
        with launch_folder() as own:
            assert own.is_dir()
            assert not folders[0].exists()
            assert folders[1].is_dir()
        assert not own.exists()
    finally:
        for one in launchers:
            one.kill()
            one.communicate()
