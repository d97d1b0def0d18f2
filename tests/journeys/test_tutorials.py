"""Every tutorial's code blocks run, in order, as a reader would run them; both languages have the same code."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PAGES = sorted(p.stem for p in FOLDER.glob("*.md") if not p.name.endswith(".es.md"))
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNER = """
import json, subprocess, sys
namespace = {"__name__": "__main__"}
for number, (language, code) in enumerate(json.load(open("blocks.json")), 1):
    print(f"--- block {number}: {language}", flush=True)
    if language == "bash":
        subprocess.run(["bash", "-euo", "pipefail", "-c", code], check=True)
    else:
        exec(compile(code, f"block-{number}", "exec"), namespace)
"""


def blocks(page):
    """Return (language, code) of every block of a page."""
    return BLOCK.findall((FOLDER / page).read_text(encoding="utf-8"))


def skeleton(language, code):
    """Return code without what a translation may change: comments and texts."""
    if language == "bash":
        return re.sub(r"#.*", "", code)
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


@pytest.mark.journey
@pytest.mark.network
@pytest.mark.parametrize("page", PAGES)
def test_a_tutorial_runs_as_printed(page, shared_platform, client_python, tmp_path):
    import json

    python = client_python("sdk2")
    (tmp_path / "blocks.json").write_text(json.dumps(blocks(f"{page}.md")), encoding="utf-8")
    (tmp_path / "run.py").write_text(RUNNER, encoding="utf-8")
    env = {**shared_platform.client_env, "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
    env["PATH"] = os.pathsep.join([str(Path(python).parent), env["PATH"]])

    done = subprocess.run(
        [python, "run.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_code(page):
    english, spanish = blocks(f"{page}.md"), blocks(f"{page}.es.md")

    assert [skeleton(*block) for block in english] == [skeleton(*block) for block in spanish]
