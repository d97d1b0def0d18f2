"""The section of docs/performance.md: what was run where, and the tables."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import textwrap
from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks.serving import load, places, table

if TYPE_CHECKING:
    from benchmarks.serving.table import Results

PAGE = places.ROOT / "docs" / "performance.md"
MODELS = {
    "a": "Model a: XGBoost, 4 features, 3 classes, 300 trees of depth 4; 34 bytes of JSON",
    "b": "Model b: XGBoost, 20 features, 500 trees of depth 6; 182 bytes of JSON",
    "c": "Model c: ECG, CNN and LSTM in PyTorch, 2000 x 3 numbers; 128 kB of JSON",
}
HOW = """
`make bench-serving` (`{flags}`), {ran_on}. wrk 4.1, one thread, closed loop, on the same cores. Farero runs as
`farero up` and boto3 leave it: signature checked, all requests captured, metrics on, the model in a process of its
own (two for c). The peers do none of this, have an environment each, call the same model in the quickest way their
form allows, and their numeric libraries run one thread as ours do. All take turns within a round; a window with one
failed request is no figure, and first answers are compared with the model's own. {disturbed} Only figures of one run
compare.
MLServer is sent its V2 form of the same numbers. No peer's environment but MLServer's has scikit-learn, which
XGBoost would import: they start quicker and stay smaller without. Not measured: Ray Serve, MLflow, Multi Model
Server and Flask with gunicorn, all far behind in earlier runs; Triton, which PyPI does not have.
"""
READING = """
MB: proportional set size of all processes of a server after its windows. CPU: of all of them, too. Start: from the
command to the first right answer; for Farero from CreateEndpoint, on a platform that runs, its first endpoint of that
framework. Farero's memory is the platform's and one endpoint's together (c: two replicas).
"""


def section(results: Results, flags: str, ran_on: str) -> str:
    """Return the whole section."""
    parts = [
        "## Serving",
        _filled(HOW.format(flags=flags, ran_on=ran_on, disturbed=_disturbed(results))),
        "\n".join(table.goals(results)),
    ]
    if results.failures:
        parts.append(
            "\n".join(
                ["Failed in this run:", "", *(f"- {_short(what)}" for what in results.failures)]
            )
        )
    parts.append(_filled(READING))
    for work, title in MODELS.items():
        if any(name == work for name, _, _ in results.points):
            parts += [f"### {title}", "\n".join(table.servers(results, work))]
    if results.roles:
        parts += ["### Where Farero's CPU goes, at 64 connections", "\n".join(table.roles(results))]
    return "\n\n".join(parts)


def _disturbed(results: Results) -> str:
    """Say what other guests of the host took meanwhile."""
    stolen = [point.stolen for points in results.points.values() for point in points]
    if not stolen:
        return ""
    many = sum(share > load.MOST_STOLEN for share in stolen)
    return (
        f"A window in which the host gives more than {load.MOST_STOLEN:.0%} of the cores' time to others is measured "
        f"again, up to {load.TRIES} times: the {len(stolen)} that count lost {statistics.median(stolen):.1%} at the "
        f"median and {max(stolen):.1%} at the most, {many} of them more than {load.MOST_STOLEN:.0%}."
    )


def write(text: str) -> None:
    """Put the section between its markers in docs/performance.md."""
    PAGE.write_text(table.put_between(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


def _filled(text: str) -> str:
    return textwrap.fill(text.strip(), 118, break_long_words=False, break_on_hyphens=False)


def _short(what: str) -> str:
    flat = " ".join(what.split())
    return flat if len(flat) <= 130 else flat[:127] + "..."


def ran_on() -> str:
    """Return the machine and the versions of what runs on it."""
    return f"{_machine()}; {_versions()}"


def _machine() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    python = platform.python_version()
    return f"{os.cpu_count()} cores ({_processor()}), {pages:.0f} GiB, {_system()}, Python {python}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a stream, not a file
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _system() -> str:
    try:
        facts = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return facts.get("PRETTY_NAME", platform.system()).partition(" (")[0]


def _versions() -> str:
    names = ("uvicorn", "uvloop", "xgboost-cpu", "onnxruntime")
    known = [f"{name} {version}" for name in names if (version := _version(name))]
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        check=False,
        cwd=places.ROOT,
        capture_output=True,
        text=True,
    )
    commit = f"Farero at {done.stdout.strip()}" if done.returncode == 0 else "Farero"
    return f"{commit}, {', '.join(known)}, {places.TORCH[0].replace('==', ' ')}"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
