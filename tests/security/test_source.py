"""What the control plane never does, found by reading its source (R8)."""

import ast
from pathlib import Path

import pytest

import farero
import farero_container

CONTROL = sorted(Path(farero.__file__).parent.rglob("*.py"))
CONTAINER = sorted(Path(farero_container.__file__).parent.rglob("*.py"))
BANNED_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}  # fmt: skip
BANNED_CALLS = {
    "eval", "exec", "compile", "__import__",
    "os.system", "os.popen", "os.spawnl", "os.spawnv",
    "subprocess.getoutput", "subprocess.getstatusoutput",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "tempfile.mktemp", "ssl._create_unverified_context",
}  # fmt: skip
#: Methods by name alone, whatever they are called on.
BANNED_METHODS = {"extractall", "extract"}
#: Models of these frameworks are pickles; they are loaded in the model's own process, never in ours.
UNPICKLES = {"serve/frameworks/xgboost_files.py", "serve/frameworks/sklearn.py"}


def dotted(node):
    """`a.b.c` of a name or attribute, or an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def sins(text):
    """Every forbidden thing in a module's source, in words."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                found += [n.name for n in names if n.name.split(".")[0] in BANNED_MODULES]
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in BANNED_MODULES:
                found.append(module)
            case ast.Call(func=func, keywords=keywords):
                name = dotted(func)
                if name in BANNED_CALLS or name.rpartition(".")[2] in BANNED_METHODS:
                    found.append(name)
                found += [
                    a.value
                    for a in node.args
                    if name.endswith("import_module")
                    and isinstance(a, ast.Constant)
                    and str(a.value).split(".")[0] in BANNED_MODULES
                ]
                found += [
                    f"{name}({k.arg})"
                    for k in keywords
                    if (k.arg, getattr(k.value, "value", None))
                    in {("shell", True), ("allow_pickle", True), ("verify", False)}
                ]
            case _:
                pass
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import pickle", ["pickle"]),
        ("from joblib import load", ["joblib"]),
        ("importlib.import_module('joblib')", ["joblib"]),
        ("eval('1')", ["eval"]),
        ("import os\nos.system('ls')", ["os.system"]),
        ("run('ls', shell=True)", ["run(shell)"]),
        ("tar.extractall('x')", ["tar.extractall"]),
        ("yaml.load(f)", ["yaml.load"]),
        ("np.load(f, allow_pickle=True)", ["np.load(allow_pickle)"]),
        ("run('ls', shell=False)\nre.compile('x')", []),
    ],
)
def test_the_rules_find_what_they_forbid(text, expected):
    assert sins(text) == expected


def test_the_control_plane_runs_no_code_from_data():
    found = {str(p): s for p in CONTROL if (s := sins(p.read_text(encoding="utf-8")))}

    assert len(CONTROL) > 80
    assert found == {}


def test_only_model_loaders_unpickle_in_the_container():
    root = Path(farero_container.__file__).parent
    found = {
        p.relative_to(root).as_posix(): s
        for p in CONTAINER
        if (s := sins(p.read_text(encoding="utf-8")))
    }

    assert set(found) == UNPICKLES, found
