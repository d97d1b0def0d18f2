"""What a training script is told: its arguments and the SM_* variables.

Facts: sagemaker-training-toolkit's `ENVIRONMENT_VARIABLES.md`, `mapping.to_cmd_args` and `mapping.to_env_vars`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero_container.contract import base_dir, framework, model_dir, output_dir
from farero_container.train import channels

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sent by tuning jobs; the toolkit keeps it from the script, whose argparse would refuse it.
TUNING_METRIC = "_tuning_objective_metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The script to run and what it is given."""

    program: str
    submit_directory: str
    #: The user's, decoded from JSON.
    hyperparameters: dict[str, Any]
    #: Those named `sagemaker_…`, and tuning's, decoded.
    platform: dict[str, Any]

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Job:
        """Take apart what CreateTrainingJob's HyperParameters say."""
        decoded = {name: _decoded(text) for name, text in given.items()}
        platform = {
            n: v for n, v in decoded.items() if n.startswith("sagemaker_") or n == TUNING_METRIC
        }
        return cls(
            program=str(platform["sagemaker_program"]),
            submit_directory=str(platform.get("sagemaker_submit_directory", "")),
            hyperparameters={n: v for n, v in decoded.items() if n not in platform},
            platform=platform,
        )


def user_arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return `--name value …` sorted by name; a mapping becomes `key=value,…`."""
    arguments: list[str] = []
    for name in sorted(hyperparameters):
        value = hyperparameters[name]
        if isinstance(value, dict):
            items: list[tuple[str, Any]] = sorted(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - JSON
            value = ",".join(f"{key}={item}" for key, item in items)
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", str(value)]
    return arguments


def variables(job: Job, code: Path) -> dict[str, str]:
    """Return every SM_* variable."""
    facts = _facts(job)
    named = {f"SM_{name.upper()}": _text(value) for name, value in facts.items()}
    named |= {f"SM_HP_{name.upper()}": _text(value) for name, value in job.hyperparameters.items()}
    named |= {
        f"SM_CHANNEL_{name.upper()}": str(folder)
        for name, (folder, _) in channels.folders().items()
    }
    named["SM_TRAINING_ENV"] = _text({
        **{key: value for key, value in facts.items() if key not in ("hps", "user_args", "channels")},
        "hyperparameters": job.hyperparameters,
        "channel_input_dirs": {name: str(folder) for name, (folder, _) in channels.folders().items()},
        "code_dir": str(code), "job_name": os.environ.get("TRAINING_JOB_NAME", ""), "is_master": True,
    })  # fmt: skip
    return named


def _facts(job: Job) -> dict[str, Any]:
    resources = channels.resource_config()
    host = resources.get("current_host", "algo-1")
    hosts = resources.get("hosts", [host])
    groups: list[dict[str, Any]] = resources.get("instance_groups", [])
    group = resources.get("current_group_name", "homogeneousCluster")
    input_dir, output = channels.input_dir(), output_dir()
    return {
        "hosts": hosts, "current_host": host, "master_hostname": hosts[0],
        "network_interface_name": resources.get("network_interface_name", "lo"),
        "current_instance_type": resources.get("current_instance_type", ""), "current_instance_group": group,
        "current_instance_group_hosts": next((g["hosts"] for g in groups if g["instance_group_name"] == group), hosts),
        "instance_groups": [g["instance_group_name"] for g in groups],
        "instance_groups_dict": {g["instance_group_name"]: g for g in groups},
        "distribution_instance_groups": [], "is_hetero": False,
        "hps": job.hyperparameters, "user_args": user_arguments(job.hyperparameters),
        "user_entry_point": job.program, "module_name": job.program.removesuffix(".py"),
        "module_dir": job.submit_directory, "framework_params": job.platform,
        "framework_module": f"sagemaker_{framework() or 'xgboost'}_container.training:main",
        "resource_config": resources, "input_data_config": channels.input_data_config(),
        "channels": sorted(channels.folders()), "input_dir": str(input_dir),
        "input_config_dir": str(input_dir / "config"),
        "output_dir": str(output), "output_data_dir": str(output / "data"),
        "output_intermediate_dir": str(output / "intermediate"), "model_dir": str(model_dir()),
        "checkpoint_dir": str(base_dir() / "checkpoints"),
        "num_cpus": len(os.sched_getaffinity(0)), "num_gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "num_neurons": 0, "log_level": job.platform.get("sagemaker_container_log_level", 20),
    }  # fmt: skip


def _decoded(text: str) -> Any:
    """SDKs of framework estimators send JSON, a plain Estimator sends str(value)."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
