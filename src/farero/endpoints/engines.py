"""What predicts behind a variant where acceleration was asked for, and where a user can read it.

A replica tells it in output/engine.json. It becomes a tag of the endpoint, `farero:engine:<variant>`, which every AWS
client can list, and a part of the image's name in DescribeEndpoint; the replica's log says it, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from farero.records.tag import Tag
from farero.store import tags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero.endpoints.replicas import Replicas
    from farero.records.endpoint import Endpoint, Replica, Variant
    from farero.store.engine import Store

#: Set to `onnx` in a model's Environment; AWS's own containers take no notice of it.
VARIABLE = "FARERO_ACCELERATE"
#: What can run in the framework's place.
OTHERS = ("leaf-masks", "onnxruntime")
#: Framework → name of the Python environment that has ONNX Runtime beside it.
ACCELERATED = {"xgboost": "xgboost-accelerated", "pytorch": "pytorch-accelerated"}
TAG = "farero:engine:"
#: "Tag" in SageMaker's API reference: at most 256 of these.
_NO_TAG = re.compile(r"[^\w .:/=+\-@]+")
_LONGEST = 256
_NOTHING_SAID = "not accelerated: only XGBoost and TorchScript models without an inference.py of their own can be"


class Engines:
    """Notes what replicas say about the engine they predict with."""

    def __init__(self, store: Store, replicas: Replicas) -> None:
        self._store, self._replicas = store, replicas

    def note(self, endpoint: Endpoint, variant: Variant, replica: Replica) -> str:
        """Write down what a replica that has become ready says; take back what one of an earlier model said.

        Return what to put behind the version of what runs, e.g. `+leaf-masks-3`; "" for the framework itself.
        """
        key = TAG + variant.name
        said: dict[str, Any] | None = None
        if is_asked(variant.container.get("Environment", {})):
            said = self._replicas.engine(replica)
            if not said.get("text"):
                said = {"text": _NOTHING_SAID}
                self._replicas.say(replica, f"[farero] {_NOTHING_SAID}")
        value = None if said is None else tag_value(str(said["text"]))
        with self._store.read() as db:
            there = {tag.key: tag.value for tag in tags.find(db, endpoint.arn)}
        if there.get(key) != value:
            with self._store.begin() as db:
                if value is None:
                    tags.remove(db, endpoint.arn, [key])
                else:
                    tags.put(db, endpoint.arn, [Tag(key=key, value=value)])
        return mark_of(said or {})


def is_asked(variables: Mapping[str, str]) -> bool:
    """Say whether a model's environment asks for acceleration."""
    return bool(variables.get(VARIABLE))


def environment_for(framework: str, variables: Mapping[str, str]) -> str:
    """Return the name of the environment that serves a model best."""
    is_own = "SAGEMAKER_PROGRAM" not in variables
    is_onnx = variables.get(VARIABLE) == "onnx"
    return ACCELERATED.get(framework, framework) if is_own and is_onnx else framework


def mark_of(said: Mapping[str, Any]) -> str:
    """Return `+engine-version` if it is not the framework itself."""
    engine, version = str(said.get("engine", "")), str(said.get("version", ""))
    return f"+{engine}-{version}" if engine in OTHERS and version else ""


def tag_value(text: str) -> str:
    """Return a text with the characters and the length that a tag's value may have."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace(", ", " - ")
    return " ".join(_NO_TAG.sub(" ", text).split())[:_LONGEST].strip()
