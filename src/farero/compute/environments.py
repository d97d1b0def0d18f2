"""Which Python runs a framework: Farero's own if the framework is there, else an environment made on first need.

An environment is made once and kept: a folder named by what went into it, finished only when its marker file is there;
what a killed builder left behind is built anew. One builder at a time per folder; others wait for it. The packages of
a model's requirements.txt go into a thin environment of their own that looks into the framework's.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import sysconfig
import venv
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.compute import failures, pip, requirements
from farero.compute.pip import PipFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

log = logging.getLogger(__name__)

#: A framework may be large (PyTorch: hundreds of megabytes); requirements have SageMaker users waiting.
FRAMEWORK_LIMIT_S = 1800.0
REQUIREMENTS_LIMIT_S = 300.0
MARKER = "farero.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """What a framework's environment holds."""

    #: Distributions that give its version, either of them; empty for a bare Python.
    distributions: tuple[str, ...]
    #: What else must be there.
    also: tuple[str, ...]
    #: What is installed when an environment is made.
    install: tuple[str, ...]
    #: The framework into whose environment this one looks for all else; empty for none.
    base: str = ""


FRAMEWORKS = {
    "xgboost": Framework(
        distributions=("xgboost-cpu", "xgboost"),
        also=("numpy",),
        install=("xgboost-cpu>=3,<4", "numpy>=2"),
    ),
    "xgboost-accelerated": Framework(
        distributions=("xgboost-cpu", "xgboost"),
        also=("numpy", "onnxruntime"),
        install=("xgboost-cpu>=3,<4", "numpy>=2", "onnxruntime>=1.20,<2"),
    ),
    "sklearn": Framework(
        distributions=("scikit-learn",),
        also=("numpy", "joblib"),
        install=("scikit-learn>=1.5,<2", "joblib", "numpy>=2"),
    ),
    "pytorch": Framework(
        distributions=("torch",),
        also=("numpy",),
        # the last two are for the model server: its loop, and tensors from JSON
        install=("torch==2.13.0", "numpy>=2", "uvloop>=0.21,<1", "pysimdjson>=7,<8"),
    ),
    "pytorch-accelerated": Framework(
        distributions=("torch",),
        also=("numpy", "onnxruntime"),
        install=("onnxruntime>=1.20,<2",),
        base="pytorch",
    ),
    "model-monitor": Framework(
        distributions=("datasketches",),
        also=("numpy", "pyarrow", "msgspec"),
        install=("datasketches>=5.2,<6", "numpy>=2,<3", "pyarrow>=17", "msgspec>=0.19,<1"),
    ),
    "none": Framework(distributions=(), also=(), install=()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A Python that can run something."""

    python: Path
    framework: str
    #: Version of the framework that is there, e.g. `3.3.0`; empty for none.
    framework_version: str
    #: `installed` beside Farero, `made` for the framework, or `layered` over one of those for requirements.
    how: str
    #: Folders in which its packages lie, its own first.
    packages: tuple[str, ...]
    #: Nothing but the framework is in it; no requirements.
    is_plain: bool = True


class Environments:
    """The environments below one folder. Any thread or process may use it at the same time."""

    def __init__(
        self,
        root: Path,
        *,
        frameworks: Mapping[str, Framework] = FRAMEWORKS,
        pip_options: Sequence[str] = (),
        requirements_limit_s: float = REQUIREMENTS_LIMIT_S,
    ) -> None:
        """pip_options: put before what is installed, e.g. `--find-links` for a folder of wheels."""
        self._root = root
        self._frameworks = frameworks
        self._pip_options = tuple(pip_options)
        self._requirements_limit_s = requirements_limit_s

    def find(self, framework: str, version: str = "") -> Environment | None:
        """Return the environment for `framework` if it is there; `version` is a hint, a difference is logged.

        Raises Invalid for a framework that is not known.
        """
        wanted = self._framework(framework)
        found = self._installed(framework, wanted) or self._made(self._folder(framework, wanted))
        if found and version and not _agree(version, found.framework_version):
            facts = {"framework": framework, "asked": version, "used": found.framework_version}
            log.warning("another version of the framework is used than asked for", extra=facts)
        return found

    def ensure(
        self, framework: str, version: str = "", on_progress: Callable[[str], None] = log.info
    ) -> Environment:
        """Return the environment for `framework`, making it first if need be. Blocks, minutes perhaps.

        Raises EnvironmentFailed with cause E-ENV-OFFLINE, E-ENV-TIMEOUT or E-ENV-INSTALL.
        """
        if found := self.find(framework, version):
            return found
        wanted = self._framework(framework)
        folder = self._folder(framework, wanted)
        with self._building(folder):
            if self._made(folder) is None:
                on_progress(
                    f"making an environment for {framework} (once): {', '.join(wanted.install)}"
                )
                self._make_framework(folder, framework, wanted, on_progress)
                on_progress(f"the environment for {framework} is ready")
        made = self.find(framework, version)
        assert made is not None
        return made

    def requirements(
        self,
        environment: Environment,
        requirements_txt: Path,
        on_line: Callable[[str], None] = log.info,
    ) -> Environment:
        """Return `environment` with what `requirements_txt` asks for; itself if that is all there.

        Installed once per text and environment. Blocks, up to five minutes.

        Raises EnvironmentFailed with cause E-REQ-INSTALL, E-REQ-TIMEOUT or E-ENV-OFFLINE, and the line to blame.
        """
        try:
            lines = requirements.read(requirements_txt)
        except requirements.BadInclude as error:
            raise failures.of_include(error) from error
        if not lines or requirements.are_satisfied(lines, environment.packages):
            return environment
        text = requirements.fingerprint(lines, requirements_txt.parent)
        folder = self._root / f"req-{_digest(text, str(environment.python), sys.version)}"
        with self._building(folder):
            if (made := self._made(folder)) is None:
                self._make_layer(folder, environment)
                self._install_requirements(folder, requirements_txt, lines, on_line)
                made = _finish(folder, self._layered(folder, environment))
        return made

    def container_path(self) -> Path:
        """Return a folder for PYTHONPATH that holds the package `farero_container` and nothing else."""
        return self._alone("container", "farero_container")

    def monitor_path(self) -> Path:
        """Return a folder for PYTHONPATH that holds the package `farero_monitor` and nothing else."""
        return self._alone("monitor", "farero_monitor")

    def _alone(self, name: str, package: str) -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise Invalid(f"the package {package} is not installed")
        target = spec.submodule_search_locations[0]
        # named after the installation too: another one that shares the root has a link of its own
        folder = self._root / f"{name}-{_digest(target)}"
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / package
        if not link.is_symlink() or os.fspath(link.readlink()) != target:
            new = folder / f".{package}.{os.getpid()}"
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            new.replace(link)
        return folder

    def _framework(self, name: str) -> Framework:
        if name not in self._frameworks:
            known = ", ".join(sorted(self._frameworks))
            raise Invalid(f"framework '{name}' is not one of {known}")
        return self._frameworks[name]

    def _installed(self, name: str, wanted: Framework) -> Environment | None:
        version = _first_version(wanted, sys.path)
        if wanted.distributions and not version:
            return None
        if not all(_version(other, sys.path) for other in wanted.also):
            return None
        return Environment(
            python=Path(sys.executable),
            framework=name,
            framework_version=version,
            how="installed",
            packages=tuple(path for path in sys.path if path.endswith("-packages")),
        )

    def _made(self, folder: Path) -> Environment | None:
        try:
            facts = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        python = folder / "bin" / "python"
        if not python.exists():  # the Python it was made from is gone
            return None
        packages = tuple(facts["packages"])
        if Path(facts["python"]) != python:  # the data directory has moved
            if facts["how"] == "layered":  # looks into a folder that has moved too
                return None
            packages = (_packages(folder),)
        return Environment(
            python=python,
            framework=facts["framework"],
            framework_version=facts["framework_version"],
            how=facts["how"],
            packages=packages,
            is_plain=facts.get("is_plain", facts["how"] != "layered"),
        )

    def _folder(self, name: str, wanted: Framework) -> Path:
        base = self._framework(wanted.base).install if wanted.base else ()
        digest = _digest(*wanted.install, *base, sys.base_prefix, sys.version)
        return self._root / f"{name}-{digest}"

    @contextlib.contextmanager
    def _building(self, folder: Path) -> Generator[None]:
        """Be the only builder of `folder`, in this process and in all others."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._root / f"{folder.name}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_framework(
        self, folder: Path, name: str, wanted: Framework, on_progress: Callable[[str], None]
    ) -> None:
        base = self.ensure(wanted.base, on_progress=on_progress) if wanted.base else None
        python = _new(folder) if base is None else self._make_layer(folder, base)
        try:
            pip.install(
                python,
                [*self._pip_options, *wanted.install],
                cwd=folder,
                limit_s=FRAMEWORK_LIMIT_S,
                on_line=on_progress,
            )
        except PipFailed as error:
            shutil.rmtree(folder)
            raise failures.of_framework(name, wanted.install, error, FRAMEWORK_LIMIT_S) from error
        packages = (_packages(folder), *(base.packages if base is not None else ()))
        environment = Environment(
            python=python,
            framework=name,
            framework_version=_first_version(wanted, packages),
            how="made" if base is None else "layered",
            packages=packages,
        )
        _finish(folder, environment)

    def _make_layer(self, folder: Path, base: Environment) -> Path:
        python = _new(folder)
        # addsitedir, unlike a bare path, also follows the .pth files in there (editable installs).
        lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in base.packages)
        Path(_packages(folder), "farero_base.pth").write_text(lines, encoding="utf-8")
        return python

    def _layered(self, folder: Path, base: Environment) -> Environment:
        packages = (_packages(folder), *base.packages)
        # Requirements may bring another version of the framework itself.
        version = _first_version(self._framework(base.framework), packages)
        return replace(
            base,
            python=folder / "bin" / "python",
            framework_version=version,
            how="layered",
            packages=packages,
            is_plain=False,
        )

    def _install_requirements(
        self,
        folder: Path,
        path: Path,
        lines: Sequence[requirements.Line],
        on_line: Callable[[str], None],
    ) -> None:
        path = path.absolute()
        if any(requirements.is_editable(line) for line in lines):
            # What is installed so stays where it lies, for as long as the environment.
            path = shutil.copytree(path.parent, folder / "source", symlinks=True) / path.name
        limit_s = self._requirements_limit_s
        try:
            pip.install(
                folder / "bin" / "python",
                [*self._pip_options, "-r", os.fspath(path)],
                cwd=path.parent,
                limit_s=limit_s,
                on_line=on_line,
            )
        except PipFailed as error:
            shutil.rmtree(folder)
            raise failures.of_requirements(lines, error, path=path, limit_s=limit_s) from error


def _new(folder: Path) -> Path:
    """Make an empty environment in place of what a killed builder may have left; return its Python."""
    shutil.rmtree(folder, ignore_errors=True)
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    return folder / "bin" / "python"


def _finish(folder: Path, environment: Environment) -> Environment:
    """Write the marker, by which the environment counts as made."""
    new = folder / (MARKER + ".new")
    new.write_text(json.dumps(asdict(environment), default=str), encoding="utf-8")
    new.replace(folder / MARKER)
    return environment


def _packages(folder: Path) -> str:
    return sysconfig.get_path("purelib", "venv", {"base": str(folder)})


def _first_version(wanted: Framework, search: Sequence[str]) -> str:
    return next((v for d in wanted.distributions if (v := _version(d, search))), "")


def _version(distribution: str, search: Sequence[str]) -> str:
    found = next(iter(metadata.distributions(name=distribution, path=list(search))), None)
    return found.version if found else ""


def _agree(asked: str, used: str) -> bool:
    """Compare major and minor: SageMaker's tags are like `1.2-1`, `1.7-1`, `3.0-5` and `2.6.0-cpu-py312`."""
    return asked.partition("-")[0].split(".")[:2] == used.split(".")[:2]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
