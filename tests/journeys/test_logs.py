"""docs/logs.md by the AWS CLI: every block runs as it stands, one after the other, in one shell."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "logs.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.journey
@pytest.mark.network
def test_the_page_about_logs_runs_by_cli(shared_platform, client_python, tmp_path):
    folder = Path(client_python("sdk2")).parent
    env = {**shared_platform.client_env, "AWS_PAGER": ""}
    env["PATH"] = os.pathsep.join([str(folder), env["PATH"]])
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 4

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(f"{block}echo ---\n" for block in blocks)],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    found, tested, asked, subscribed, _ = done.stdout.split("---\n")
    assert '"ms": 250' in found
    assert '"ms": 12' not in found
    assert '"$status": "503"' in tested
    assert asked.split() == ["ERROR", "1", "250", "INFO", "1", "12"]
    assert subscribed.split() == ["to-topic"]
