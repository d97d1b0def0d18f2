"""Runs at every Python start whose PYTHONPATH holds this folder; makes SageMaker SDK code reach Farero unchanged.

It acts only when AWS_ENDPOINT_URL points at this machine, and never with FARERO_SHIM=0. Nothing is imported but the
import system: what has to change is changed when the module in question is loaded.

- botocore: the SDK names the STS host itself, which beats AWS_ENDPOINT_URL; such a name is dropped. Waiters look every
  second instead of every 30 to 120, for as long in all as before.
- sagemaker: pauses between two looks at a status last a second at most; the SDK's telemetry is not sent.

Standard library only, because it runs in the user's own environment.
"""

import importlib.machinery
import os
import re
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would cost more than all of this
_STS = re.compile(r"https://sts[.a-z0-9-]*\.amazonaws\.com/?")
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)")
LONGEST_PAUSE_S = 1.0


def _is_wanted():
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    return os.environ.get("FARERO_SHIM", "1") != "0" and _LOCAL.match(url) is not None


class _Time:
    """The module `time`, with shorter sleeps."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)

    def sleep(self, seconds):
        self._module.sleep(min(seconds, LONGEST_PAUSE_S))


class _Loader:
    """Loads a module as its own loader would, then changes it."""

    def __init__(self, loader, change):
        self._loader = loader
        self._change = change

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._change(module)


class _Finder:
    """Finds the modules that are changed; every other one is found as ever."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        change = _change_of(name)
        if change is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, change)
        return spec


def _change_of(name):
    if name == "botocore.session":
        return _change_session
    if name == "botocore.waiter":
        return _change_waiter
    if name.startswith("sagemaker."):
        return _change_sdk
    return None


def _change_session(module):
    original = module.Session.create_client

    def create_client(self, service_name, *args, **kwargs):
        url = kwargs.get("endpoint_url")
        if service_name == "sts" and url and _STS.fullmatch(url):
            kwargs["endpoint_url"] = None
        return original(self, service_name, *args, **kwargs)

    module.Session.create_client = create_client


def _change_waiter(module):
    original = module.SingleWaiterConfig.__init__

    def init(self, single_waiter_config):
        original(self, single_waiter_config)
        if self.delay > LONGEST_PAUSE_S:
            self.max_attempts = int(self.max_attempts * self.delay)
            self.delay = LONGEST_PAUSE_S

    module.SingleWaiterConfig.__init__ = init


def _change_sdk(module):
    time = module.__dict__.get("time")
    if getattr(time, "__name__", "") == "time" and hasattr(time, "sleep"):
        module.time = _Time(time)
    if "_send_telemetry_request" in module.__dict__:
        module._send_telemetry_request = lambda *_, **__: None  # noqa: SLF001


def _run_next():
    """Run the sitecustomize that this one hides, if there is one."""
    others = [path for path in sys.path if os.path.abspath(path) != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = type(sys)("sitecustomize")
        module.__spec__ = spec
        module.__file__ = spec.origin
        spec.loader.exec_module(module)


if _is_wanted():
    sys.meta_path.insert(0, _Finder)
_run_next()
