"""What a process leaves out of itself, and what the supervisor has ready for its forks."""

import json
import subprocess
import sys

from farero.base.sparing import standing_in

PRELOAD = """
import json, os, sys
from farero.supervisor import preload
preload()
print(json.dumps([sorted(sys.modules), len(os.listdir("/proc/self/task"))]))
"""


def test_a_module_stands_in_only_while_others_are_imported():
    with standing_in("not.there", "thing"):
        assert sys.modules["not.there"].thing is None

    assert "not.there" not in sys.modules


def test_a_module_that_is_there_stays_as_it_is():
    with standing_in("json", "loads"):
        assert json.loads("1") == 1

    assert sys.modules["json"] is json


def test_the_supervisor_has_what_its_forks_need_and_no_thread():
    done = subprocess.run([sys.executable, "-c", PRELOAD], check=True, capture_output=True)
    modules, threads = json.loads(done.stdout)

    needed = {"farero.processes", "uvicorn.lifespan.off", "sqlalchemy.dialects.sqlite.pysqlite"}
    assert needed <= set(modules)
    assert not {"click", "watchfiles", "awscrt.auth", "regex"} & set(modules)
    assert threads == 1
