"""Takes down what a test process leaves running that is killed: run by it, told of its platforms, waiting for its end.

Each line of the standard input is the JSON of one platform's environment variables.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

for told in [json.loads(line) for line in sys.stdin]:  # ends with the process that writes
    if Path(told["FARERO_DATA_DIR"], "run", "supervisor.sock").exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-m", "farero", "down"], env=told, timeout=60, check=False
            )
