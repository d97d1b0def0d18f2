"""What the pages say is so: links lead somewhere, commands and settings exist, generated pages are fresh, code parses."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from farero.base.config import PREFIX, Settings
from farero.cli.main import build, common_first
from farero_container.serve import batching
from farero_container.serve.frameworks import accelerated

ROOT = Path(__file__).resolve().parent.parent
NAMES = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
    cwd=ROOT, check=True, capture_output=True, text=True,
).stdout.split()  # fmt: skip
PAGES = [name for name in NAMES if (ROOT / name).exists()]
TUTORIALS = sorted(p.name for p in (ROOT / "docs" / "tutorials").glob("*.md"))
#: Read by the start-up hook, which cannot ask the settings.
OF_THE_HOOK = {"FARERO_SHIM"}
#: What the model server reads from a model's environment.
OF_A_MODEL = {batching.VARIABLE, accelerated.VARIABLE}
#: What the tests under faults read (docs/reliability.md).
OF_THE_TESTS = {"FARERO_CHAOS_SEED", "FARERO_NIGHTLY"}
COMMANDS = typer.main.get_command(build())
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name):
    """Return a page without its code blocks."""
    return FENCE.sub("", read(name))


def anchors(name):
    """Return the anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links(name):
    return re.findall(r"\]\(([^)\s]+)\)", prose(name))


def commands(name):
    """Return the `farero …` commands that a page's bash blocks run, as lists of words."""
    code = "\n".join(text for kind, text in FENCE.findall(read(name)) if kind == "bash")
    code = re.sub(r"\\\n", " ", code)
    found = re.findall(r"(?:^|\$\()farero ([^\n|;&)]*)", code, re.MULTILINE)
    return [shlex.split(line.split(" #")[0]) for line in found]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if path.startswith(("http://", "https://", "mailto:")):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (
            anchor and anchor not in anchors(target.resolve().relative_to(ROOT))
        ):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_exists(page):
    known = {f"{PREFIX}{name.upper()}" for name in Settings.__dataclass_fields__}
    known |= OF_THE_HOOK | OF_A_MODEL | OF_THE_TESTS

    assert set(re.findall(r"FARERO_[A-Z_]+[A-Z]", read(page))) <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_printed_parses(page):
    for words in commands(page):
        context = COMMANDS.make_context("farero", common_first(words), resilient_parsing=False)
        name, command, rest = COMMANDS.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES)
def test_python_that_is_printed_parses(page):
    for kind, code in FENCE.findall(read(page)):
        if kind == "python":
            ast.parse(code)


@pytest.mark.parametrize("page", PAGES)
def test_no_line_is_wider_than_a_window(page):
    # Tables and lists of operations cannot be broken.
    lines = [
        line for line in read(page).splitlines() if not line.startswith(("|", "**", "!")) and " " in line
    ]  # fmt: skip
    generated = page in ("docs/supported.md", "docs/architecture.md")

    assert generated or [line for line in lines if len(line) > 140] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_the_machine_it_was_written_on(page):
    assert not re.search(r"(?<![\w.])/(?:work|root|home/\w+)/", read(page))


def test_generated_pages_are_fresh():
    done = subprocess.run(
        [sys.executable, "scripts/supported.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_two_commands_of_the_readme_are_targets_of_make():
    named = set(re.findall(r"^    make (\w+)", read("README.md"), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):.*##", read("Makefile"), re.MULTILINE))

    assert named == {"demo", "test"}
    assert named <= targets


def test_every_tutorial_is_there_in_both_languages():
    english = {name.removesuffix(".md") for name in TUTORIALS if not name.endswith(".es.md")}
    spanish = {name.removesuffix(".es.md") for name in TUTORIALS if name.endswith(".es.md")}

    assert english
    assert english == spanish


def test_the_help_names_every_command_that_the_documents_use():
    used = {words[0] for page in PAGES for words in commands(page)}

    assert used
    assert used <= set(COMMANDS.commands)
