"""Environments for frameworks and requirements, made from tiny packages of our own: no network is needed."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile

import pytest

from farero.base.errors import Invalid
from farero.compute import requirements
from farero.compute.environments import MARKER, Environments, Framework
from farero.compute.failures import EnvironmentFailed

TINY = Framework(distributions=("tinyframework",), also=(), install=("tinyframework>=1,<2",))
TINIER = Framework(
    distributions=("tinyframework",), also=("tinyextra",), install=("tinyextra>=2",), base="tiny"
)
EVIL = Framework(distributions=("nosuchframework",), also=(), install=("nosuchframework>=1",))
BARE = Framework(distributions=(), also=(), install=())


def write_wheel(folder, name, version, *, requires=()):
    """Write a pure-Python wheel of one module with `VERSION` in it (binary distribution format)."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def _hash(text):
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def write_source(folder, name, setup):
    """Write a source distribution whose setup.py is `setup`; its own little build backend runs it."""
    import io
    import tarfile

    backend = (
        "import runpy\n"
        "def get_requires_for_build_wheel(settings=None):\n    runpy.run_path('setup.py'); return []\n"
        "def build_wheel(*_): raise SystemExit('unreachable')\n"
    )
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    files = {
        "pyproject.toml": project,
        "backend.py": backend,
        "setup.py": setup,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "tinyframework", "1.4.2")
    write_wheel(folder, "tinyextra", "1.0")
    write_wheel(folder, "tinyextra", "2.0")
    write_wheel(folder, "tinyold", "1.0", requires=["tinyextra<2"])
    write_wheel(folder, "tinynew", "1.0", requires=["tinyextra>=2"])
    write_source(folder, "tinybroken", "raise RuntimeError('no compiler here')")
    write_source(folder, "tinyhang", "import time; time.sleep(600)")
    return folder


@pytest.fixture(autouse=True)
def pip_settings_of_this_machine_do_not_count(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def make(tmp_path, wheels):
    """A function: more settings → Environments over the tiny packages."""

    def build(**settings):
        values = {
            "frameworks": {"tiny": TINY, "tinier": TINIER, "evil": EVIL, "none": BARE},
            "pip_options": ("--no-index", "--find-links", str(wheels)),
        }
        return Environments(tmp_path / "envs", **{**values, **settings})

    return build


@pytest.fixture
def environments(make):
    return make()


@pytest.fixture
def asked(tmp_path):
    """A function: text → path of a requirements.txt."""

    def write(text):
        path = tmp_path / "code" / "requirements.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def said_by(environment, code):
    """Run code in the environment as a replica would be run; return what it prints."""
    done = subprocess.run(
        [environment.python, "-c", code], capture_output=True, text=True, check=True, env={}
    )
    return done.stdout.strip()


def silent(_line):
    pass


def test_a_framework_beside_farero_is_used_as_it_is(tmp_path):
    found = Environments(tmp_path).find("sklearn", "1.2-1")

    assert (os.fspath(found.python), found.how) == (sys.executable, "installed")
    assert found.framework_version == said_by(found, "import sklearn; print(sklearn.__version__)")


def test_another_version_than_asked_for_is_logged(tmp_path, caplog):
    Environments(tmp_path).find("sklearn", "0.23-1")

    assert [record.message for record in caplog.records] == [
        "another version of the framework is used than asked for"
    ]


def test_no_framework_is_plain_python(tmp_path):
    assert Environments(tmp_path).ensure("none").how == "installed"


def test_an_unknown_framework_is_invalid(environments):
    with pytest.raises(Invalid, match="'fortran' is not one of evil, none, tinier, tiny"):
        environments.find("fortran")


def test_a_framework_that_is_not_there_is_made_once(environments, make):
    assert environments.find("tiny") is None
    progress = []

    made = environments.ensure("tiny", on_progress=progress.append)
    again = make().ensure("tiny", on_progress=pytest.fail)

    assert made == again
    assert (made.how, made.framework_version) == ("made", "1.4.2")
    assert said_by(made, "import tinyframework; print(tinyframework.VERSION)") == "1.4.2"
    assert progress[0].startswith("making an environment for tiny")
    assert progress[-1] == "the environment for tiny is ready"


def test_an_environment_is_found_again_after_its_folder_has_moved(environments, tmp_path):
    environments.ensure("tiny", on_progress=silent)
    (tmp_path / "envs").rename(tmp_path / "moved")

    moved = Environments(
        tmp_path / "moved", frameworks={"tiny": TINY}, pip_options=("--no-index",)
    ).find("tiny")

    assert moved.python.is_relative_to(tmp_path / "moved")
    assert said_by(moved, "import tinyframework; print(tinyframework.VERSION)") == "1.4.2"
    assert all(path.startswith(str(tmp_path / "moved")) for path in moved.packages)


def test_farero_is_not_to_be_seen_in_a_made_environment(environments):
    made = environments.ensure("tiny", on_progress=silent)

    assert said_by(made, "import importlib.util as u; print(u.find_spec('farero'))") == "None"


def test_callers_at_the_same_time_wait_for_one_builder(make):
    progress = []
    found = []

    def build():
        found.append(make().ensure("tiny", on_progress=progress.append))

    threads = [threading.Thread(target=build) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(found) == 4
    assert progress.count("the environment for tiny is ready") == 1


def test_what_a_killed_builder_left_is_built_anew(environments, tmp_path):
    made = environments.ensure("tiny", on_progress=silent)
    (made.python.parent.parent / MARKER).unlink()
    rubbish = made.python.parent.parent / "rubbish"
    rubbish.touch()

    assert environments.find("tiny") is None
    assert environments.ensure("tiny", on_progress=silent) == made
    assert not rubbish.exists()


def test_an_environment_whose_python_is_gone_is_built_anew(environments):
    made = environments.ensure("tiny", on_progress=silent)
    made.python.unlink()

    assert environments.find("tiny") is None
    assert environments.ensure("tiny", on_progress=silent) == made
    assert said_by(made, "print(1)") == "1"


def test_a_framework_that_cannot_be_installed_says_so_and_leaves_nothing(environments, tmp_path):
    with pytest.raises(EnvironmentFailed, match="nosuchframework") as caught:
        environments.ensure("evil", on_progress=silent)

    assert caught.value.cause == "E-ENV-INSTALL"
    assert [one.suffix for one in (tmp_path / "envs").iterdir()] == [".lock"]


def test_without_a_network_the_command_to_run_is_named(make):
    nowhere = make(pip_options=("--index-url", "http://127.0.0.1:9/simple"))

    with pytest.raises(EnvironmentFailed) as caught:
        nowhere.ensure("tiny", on_progress=silent)

    assert caught.value.cause == "E-ENV-OFFLINE"
    assert caught.value.fix == f"{sys.executable} -m pip install 'tinyframework>=1,<2'"
    assert caught.value.fix in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n  \n", "# nothing\n   # at all\n"])
def test_requirements_that_ask_for_nothing_change_nothing(environments, asked, text):
    base = environments.ensure("none")

    assert environments.requirements(base, asked(text)) is base


def test_requirements_that_are_met_already_change_nothing(environments, asked, tmp_path):
    base = environments.ensure("none")
    text = "pip\npytest>=8  # here\nPyTest>=7\nnosuch; python_version < '3'\n"

    assert environments.requirements(base, asked(text)) is base
    assert not (tmp_path / "envs").exists()


def test_requirements_are_installed_over_the_framework_once(environments, make, asked):
    base = environments.ensure("tiny", on_progress=silent)
    path = asked("tinyframework\ntinyextra==1.0\n")

    layered = environments.requirements(base, path, silent)
    again = make().requirements(base, path, pytest.fail)

    assert layered == again
    assert (layered.how, layered.framework_version) == ("layered", "1.4.2")
    code = "import tinyframework, tinyextra; print(tinyframework.VERSION, tinyextra.VERSION)"
    assert said_by(layered, code) == "1.4.2 1.0"
    assert said_by(base, "import importlib.util as u; print(u.find_spec('tinyextra'))") == "None"


def test_a_framework_over_another_one_looks_into_its_environment(environments, make, asked):
    base = environments.ensure("tiny", on_progress=silent)

    over = environments.ensure("tinier", on_progress=silent)

    code = "import tinyframework, tinyextra; print(tinyframework.VERSION, tinyextra.VERSION)"
    assert said_by(over, code) == "1.4.2 2.0"
    assert (over.framework_version, over.is_plain) == ("1.4.2", True)
    assert over.packages[1:] == base.packages
    assert make().find("tinier") == over
    required = environments.requirements(over, asked("tinyextra==1.0"), silent)
    assert said_by(required, code) == "1.4.2 1.0"
    assert not required.is_plain


def test_requirements_may_replace_a_package_of_the_framework(environments, wheels, asked):
    base = environments.ensure("tiny", on_progress=silent)
    write_wheel(wheels, "tinyframework", "1.5.0")

    layered = environments.requirements(base, asked("tinyframework==1.5.0"), silent)

    code = "import tinyframework; print(tinyframework.VERSION)"
    assert said_by(layered, code) == layered.framework_version == "1.5.0"
    assert said_by(base, code) == "1.4.2"


def test_farero_own_packages_are_not_touched_by_requirements(environments, wheels, asked):
    base = environments.ensure("none")
    write_wheel(wheels, "pytest", "999.0")

    layered = environments.requirements(base, asked("pytest==999.0"), silent)

    assert said_by(layered, "import pytest; print(pytest.VERSION)") == "999.0"
    assert said_by(base, "import pytest; print(pytest.__version__)") == pytest.__version__


def test_an_included_file_counts_too(environments, asked):
    base = environments.ensure("tiny", on_progress=silent)
    path = asked("-r more.txt\n")
    (path.parent / "more.txt").write_text("tinyextra==1.0\n")
    first = environments.requirements(base, path, silent)

    (path.parent / "more.txt").write_text("tinyextra==2.0\n")
    second = environments.requirements(base, path, silent)

    code = "import tinyextra; print(tinyextra.VERSION)"
    assert [said_by(first, code), said_by(second, code)] == ["1.0", "2.0"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("tinyextra\n# why\nnosuchpackage==1.0\n", 3, "nosuchpackage", id="unknown package"),
        pytest.param("tinyextra\ntinyframework==9.9\n", 2, "tinyframework==9.9", id="unknown version"),
        pytest.param(
            "tinyextra==1.0\ntinynew\n",
            2,
            "tinynew 1.0 depends on tinyextra>=2",
            id="conflict",
        ),
        pytest.param(
            "tinynew\n\ntinyold\n",
            1,
            "Cannot install tinynew and tinyold because",
            id="conflict of two",
        ),
        pytest.param("tinyextra\n\ntinyold tinynew\n", 3, "Invalid requirement", id="syntax"),
        pytest.param("tinyextra\ntinybroken\n", 2, "RuntimeError: no compiler here", id="build failure"),
        pytest.param("tinyextra \\\n  >=1\nnosuchpackage\n", 3, "nosuchpackage", id="continued line"),
    ],
)  # fmt: skip
def test_the_line_to_blame_is_named(environments, asked, tmp_path, text, line, words):
    base = environments.ensure("none")

    with pytest.raises(EnvironmentFailed) as caught:
        environments.requirements(base, asked(text), silent)

    assert (caught.value.cause, caught.value.line) == ("E-REQ-INSTALL", line)
    assert f"requirements.txt line {line} " in str(caught.value)
    assert words in str(caught.value)
    assert not [one for one in (tmp_path / "envs").iterdir() if one.is_dir()]


def write_files(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "requirements.txt"


def test_included_files_and_constraints_count(environments, tmp_path):
    files = {
        "requirements.txt": "-r parts/extra.txt\n--constraint=limits.txt\n",
        "parts/extra.txt": "-c deeper/none.txt\ntinyextra\n",
        "parts/deeper/none.txt": "# nothing\n",
        "limits.txt": "tinyextra<2\n",
    }
    path = write_files(tmp_path / "code", files)
    base = environments.ensure("none")

    first = environments.requirements(base, path, silent)
    write_files(tmp_path / "code", {"limits.txt": "tinyextra>=2\n"})
    second = environments.requirements(base, path, silent)

    show = "from importlib.metadata import version; print(version('tinyextra'))"
    assert [said_by(first, show), said_by(second, show)] == ["1.0", "2.0"]


def test_files_that_include_one_another_end(environments, tmp_path):
    files = {
        "requirements.txt": "tinyextra==1.0\n-c other.txt\n",
        "other.txt": "-c requirements.txt\n",
    }

    path = write_files(tmp_path / "code", files)

    assert [line.text for line in requirements.read(path)] == [
        "tinyextra==1.0",
        "-c other.txt",
        "-c requirements.txt",
    ]


def test_a_line_of_an_included_file_is_blamed_by_its_place(environments, tmp_path):
    files = {
        "requirements.txt": "tinyextra\n-r parts/more.txt\n",
        "parts/more.txt": "\ntinynew\nnosuchpackage==3\n",
    }
    path = write_files(tmp_path / "code", files)

    with pytest.raises(EnvironmentFailed) as caught:
        environments.requirements(environments.ensure("none"), path, silent)

    assert (caught.value.file, caught.value.line) == ("parts/more.txt", 3)
    assert str(caught.value).startswith("parts/more.txt line 3 (nosuchpackage==3): ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../secret.txt", "../secret.txt lies outside of the folder of requirements.txt"),
        ("link.txt", "link.txt lies outside of the folder of requirements.txt"),
        ("/etc/hostname", "/etc/hostname lies outside of the folder of requirements.txt"),
        ("absent.txt", "there is no file absent.txt beside requirements.txt"),
        (".", "there is no file . beside requirements.txt"),
    ],
)
def test_files_that_are_not_the_users_are_not_included(environments, tmp_path, name, words):
    path = write_files(tmp_path / "code", {"requirements.txt": f"tinyextra\n-r {name}\n"})
    (tmp_path / "secret.txt").write_text("password=1\n")
    (tmp_path / "code" / "link.txt").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(EnvironmentFailed) as caught:
        environments.requirements(environments.ensure("none"), path, silent)

    assert str(caught.value) == f"requirements.txt line 2 (-r {name}): {words}"
    assert caught.value.cause == "E-REQ-INSTALL"


def test_a_package_beside_the_code_is_installed_anew_when_it_changes(
    environments, wheels, tmp_path
):
    path = write_files(
        tmp_path / "code", {"requirements.txt": "./tinyextra-1.0-py3-none-any.whl\n"}
    )
    wheel = path.parent / "tinyextra-1.0-py3-none-any.whl"
    base = environments.ensure("none")
    shutil.copy(wheels / wheel.name, wheel)

    first = environments.requirements(base, path, silent)
    again = environments.requirements(base, path, pytest.fail)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tinyextra/more.py", "")
    changed = environments.requirements(base, path, silent)

    assert first == again
    assert changed.python != first.python


def test_an_editable_folder_is_kept_with_the_environment(environments, tmp_path):
    backend = (
        "def build_editable(folder, *_):\n"
        "    import os, zipfile\n"
        "    name = 'tinyedit-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:\n"
        "        info = 'tinyedit-1.0.dist-info/'\n"
        "        wheel.writestr('tinyedit.pth', os.getcwd())\n"
        "        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tinyedit\\nVersion: 1.0\\n')\n"
        "        tag = 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n"
        "        wheel.writestr(info + 'WHEEL', tag)\n"
        "        wheel.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    files = {
        "requirements.txt": "-e ./lib\n",
        "lib/pyproject.toml": project,
        "lib/backend.py": backend,
        "lib/tinyedit.py": "WORD = 'still here'",
    }
    path = write_files(tmp_path / "code", files)

    layered = environments.requirements(environments.ensure("none"), path, silent)
    shutil.rmtree(path.parent)

    assert said_by(layered, "import tinyedit; print(tinyedit.WORD)") == "still here"


def test_paths_with_blanks_are_fine(make, tmp_path):
    folder = tmp_path / "año uno"
    folder.mkdir()
    (folder / "requirements.txt").write_text("tinyextra==1.0\ntinynew\n")
    environments = make()

    with pytest.raises(EnvironmentFailed, match=r"line 2 \(tinynew\)"):
        environments.requirements(environments.ensure("none"), folder / "requirements.txt", silent)


def test_a_line_of_an_included_file_is_not_mistaken_for_one_of_ours(environments, asked):
    path = asked("tinyextra\n-r more.txt\n")
    (path.parent / "more.txt").write_text("nonsense nonsense\n")

    with pytest.raises(EnvironmentFailed, match="Invalid requirement") as caught:
        environments.requirements(environments.ensure("none"), path, silent)

    assert (caught.value.file, caught.value.line) == ("more.txt", 1)


def test_requirements_without_a_network_say_so(make, asked):
    nowhere = make(pip_options=("--index-url", "http://127.0.0.1:9/simple"))

    with pytest.raises(EnvironmentFailed) as caught:
        nowhere.requirements(nowhere.ensure("none"), asked("tinyextra\n"), silent)

    assert (caught.value.cause, caught.value.line) == ("E-ENV-OFFLINE", 1)


def test_a_build_that_hangs_is_ended_with_all_it_started(make, asked):
    environments = make(requirements_limit_s=12.0)  # pip gets to the second line by then

    with pytest.raises(EnvironmentFailed, match="took over 12 s") as caught:
        environments.requirements(
            environments.ensure("none"), asked("tinyextra\ntinyhang\n"), silent
        )

    assert (caught.value.cause, caught.value.line) == ("E-REQ-TIMEOUT", 2)


def test_builds_see_no_credentials(environments, wheels, asked, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    report = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'seen')!r}, 'w')); raise SystemExit(1)"
    write_source(wheels, "tinyspy", report)

    with pytest.raises(EnvironmentFailed):
        environments.requirements(environments.ensure("none"), asked("tinyspy\n"), silent)

    assert "AWS_SECRET_ACCESS_KEY" not in json.loads((tmp_path / "seen").read_text())


def test_the_container_package_is_all_that_its_folder_holds(environments, make):
    path = environments.container_path()

    assert path == make().container_path()
    assert [one.name for one in path.iterdir()] == ["farero_container"]
    assert (path / "farero_container" / "__init__.py").is_file()


def test_a_container_folder_of_a_moved_installation_is_corrected(environments, tmp_path):
    link = environments.container_path() / "farero_container"
    link.unlink()
    link.symlink_to(tmp_path)

    environments.container_path()

    assert (link / "__init__.py").is_file()
