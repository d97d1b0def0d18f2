"""Runs at every Python start whose PYTHONPATH holds this folder; makes SageMaker SDK code reach Farero unchanged.

It acts only when AWS_ENDPOINT_URL (or AWS_ENDPOINT_URL_STS) points at this machine, and never with FARERO_SHIM=0.
Nothing is imported: what has to change is changed when the module in question is loaded, and only then.

- botocore: the SDK names the STS host itself, which beats AWS_ENDPOINT_URL; such a name is dropped. Waiters look every
  second instead of every 30 to 120, for as long in all as before.
- sagemaker: pauses between two looks at a status last a second at most, and a job's status is looked at with its logs
  instead of every 30 s; the SDK's telemetry is not sent.

Standard library only and no syntax newer than Python 3.8, because it runs in the user's own environment.
"""

import os
import sys

LONGEST_PAUSE_S = 1.0
#: Modules of botocore that are changed; of the SDK it is every one.
BOTOCORE = ("botocore.session", "botocore.waiter")
TELEMETRY = ("_send_telemetry", "_send_telemetry_request", "_emit_failure_telemetry")
#: The SDK's functions that try a number of times: their pauses say how long they try in all, and stay.
COUNTED = ("retries", "retry_with_backoff")


FUNCTION = type(lambda: None)


def is_local(url):
    """Say whether a URL points at this machine."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    host = (
        authority[: authority.rfind(":")] if authority.rpartition(":")[2].isdigit() else authority
    )
    return scheme in ("http", "https") and (
        host in ("localhost", "127.0.0.1", "[::1]") or host.endswith(".localhost")
    )


def is_sts_of_aws(url):
    """Say whether a URL names AWS's own STS, of any region."""
    host = url.partition("://")[2].partition("/")[0]
    is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return is_aws and host.partition(".")[0] in ("sts", "sts-fips")


def is_wanted(environ):
    """Say whether this process is to work with Farero."""
    if environ.get("FARERO_SHIM") == "0":
        return False
    names = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS")
    return any(is_local(environ.get(name, "")) for name in names)


class Time:
    """The module `time` as the SDK sees it: with shorter sleeps."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)

    def sleep(self, seconds):
        """Sleep, a second at most unless the caller counts its tries."""
        if sys._getframe(1).f_code.co_name not in COUNTED:
            seconds = min(seconds, LONGEST_PAUSE_S)
        self._module.sleep(seconds)


class Loader:
    """Loads a module as its own loader would, then changes it and leaves no trace of itself."""

    def __init__(self, loader, change):
        self._loader = loader
        self._change = change

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        """Let the module's own loader do it."""
        return self._loader.create_module(spec)

    def exec_module(self, module):
        """Load, then change."""
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._change(module)


class Finder:
    """Finds the modules that are changed by asking the other finders; every other module it leaves to them."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Return the spec of a module that is changed, else None."""
        if name not in BOTOCORE and not name.startswith("sagemaker."):
            return None
        spec = find_elsewhere(name, path, target)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = Loader(spec.loader, change_botocore if name in BOTOCORE else change_sdk)
        return spec


def find_elsewhere(name, path, target=None):
    """Ask every finder but ours."""
    for finder in sys.meta_path:
        find = None if finder is Finder else getattr(finder, "find_spec", None)
        spec = find(name, path, target) if find else None
        if spec is not None:
            return spec
    return None


def change_botocore(module):
    """Drop the SDK's name of STS; let waiters look every second."""
    if module.__name__ == "botocore.waiter":
        config = module.SingleWaiterConfig
        original_init = config.__init__

        def init(self, single_waiter_config):
            original_init(self, single_waiter_config)
            if self.delay > LONGEST_PAUSE_S:
                self.max_attempts = int(self.max_attempts * self.delay)
                self.delay = LONGEST_PAUSE_S

        config.__init__ = init
        return
    session = module.Session
    original = session.create_client

    def create_client(self, service_name, *args, **kwargs):
        if service_name == "sts" and is_sts_of_aws(kwargs.get("endpoint_url") or ""):
            kwargs["endpoint_url"] = None
        return original(self, service_name, *args, **kwargs)

    create_client.__doc__ = original.__doc__
    session.create_client = create_client


def change_sdk(module):
    """Shorten pauses and drop telemetry in one module of the SDK."""
    names = vars(module)
    for name in TELEMETRY:
        if callable(names.get(name)):
            setattr(module, name, send_nothing)
    if names.get("time") is not sys.modules.get("time"):
        return
    for value in list(names.values()):
        for function in list(vars(value).values()) if isinstance(value, type) else [value]:
            look_at_jobs_sooner(function)
    module.time = Time(names["time"])


def send_nothing(*_, **__):
    """Stand in for the SDK's telemetry."""


def look_at_jobs_sooner(function):
    """Take away the 30 s that the SDK's log followers let pass between two looks at the job they follow.

    The number is a constant of the code, and the only 30 in it: `time.time() - last_describe_job_call >= 30`.
    """
    while type(function) is FUNCTION and "__wrapped__" in function.__dict__:
        function = function.__wrapped__
    if type(function) is not FUNCTION:
        return
    code = function.__code__
    if "last_describe_job_call" in code.co_varnames:
        sooner = tuple(1 if type(c) is int and c == 30 else c for c in code.co_consts)
        function.__code__ = code.replace(co_consts=sooner)


def run_hidden():
    """Run the sitecustomize that this one hides, if there is one, and leave the name to it."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path) != here]
    spec = find_elsewhere("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = type(sys)("sitecustomize")
        module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if is_wanted(os.environ):
    sys.meta_path.insert(0, Finder)
run_hidden()
