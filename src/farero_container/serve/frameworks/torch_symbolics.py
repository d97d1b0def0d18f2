"""Convolutions over one dimension, written into ONNX as convolutions over two of which the first has length 1.

ONNX Runtime has its quick kernels, which keep channels together in memory, for two dimensions alone; an ECG network
takes two thirds of the time so. Between convolutions the dimension stays: what is done with each number by itself, or
with a channel, is done on four dimensions. Used while TorchScript is exported, through PyTorch's own way to replace how
an operator is written.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Symbolic = Callable[..., Any]

#: Where the dimension is put in.
_AXIS = 2
#: What is done with each number by itself or with each channel, so that a dimension of length 1 makes no difference.
_EACH = ("relu", "relu_", "batch_norm", "dropout", "sigmoid", "tanh", "leaky_relu", "leaky_relu_",
         "gelu", "silu", "silu_", "elu", "elu_", "hardtanh", "hardtanh_")  # fmt: skip


def register(torch: Any, opset: int) -> None:
    """Have all later exports of this process written so; one export must have been made before."""
    writer = _Writer(torch)
    own = {
        "conv1d": writer.conv1d,
        "_convolution": writer.convolution,
        "max_pool1d": writer.max_pool1d,
        "add": writer.add,
        **dict.fromkeys(_EACH, writer.each),
    }
    for name, write in own.items():
        group = _registry().get_function_group(f"aten::{name}")
        original = group.get(opset) if group is not None else None
        if original is not None:
            torch.onnx.register_custom_op_symbolic(f"aten::{name}", _with(write, original), opset)


def _with(write: Symbolic, original: Symbolic) -> Symbolic:
    def symbolic(g: Any, *given: Any) -> Any:
        return write(original, g, *given)

    return symbolic


def _registry() -> Any:
    """Return what knows how each operator is written; it moved with PyTorch 2.9."""
    for place in ("torchscript_exporter.registration", "registration"):
        try:
            module: Any = importlib.import_module(f"torch.onnx._internal.{place}")
        except ImportError:
            continue
        return module.registry
    raise LookupError("PyTorch's table of operators is not where it was")


class _Writer:
    """Writes operators; each method gets the one of PyTorch, which takes what is not done here."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._helper: Any = torch.onnx.symbolic_helper

    def conv1d(self, original: Symbolic, g: Any, *given: Any) -> Any:
        x, weight, bias, stride, padding, dilation, groups = given
        try:
            numbers = [self._numbers(one) for one in (stride, padding, dilation)]
            kernel: int = self._helper._get_tensor_sizes(weight)[_AXIS]  # noqa: SLF001 - symbolics are written with it
            count: int = self._helper._parse_arg(groups, "i")  # noqa: SLF001
        except (LookupError, RuntimeError, TypeError, ValueError):  # padding="same"
            return original(g, *given)
        (step,), (pad,), (spread,) = numbers
        arguments = [self._lifted(g, x), self._put_in(g, weight)]
        if not self._helper._is_none(bias):  # noqa: SLF001
            arguments.append(bias)
        made = g.op("Conv", *arguments, kernel_shape_i=[1, kernel], strides_i=[1, step], pads_i=[0, pad, 0, pad],
                    dilations_i=[1, spread], group_i=count)  # fmt: skip
        return self._take_out(g, made)

    def convolution(self, original: Symbolic, g: Any, *given: Any) -> Any:
        """As traces have it, for any number of dimensions."""
        x, weight, bias, stride, padding, dilation, transposed, _, groups = given[:9]
        rank = self._helper._get_tensor_rank(weight)  # noqa: SLF001
        if rank != _AXIS + 1 or self._helper._parse_arg(transposed, "i"):  # noqa: SLF001
            return original(g, *given)

        def as_given(g: Any, *_: Any) -> Any:
            return original(g, *given)

        return self.conv1d(as_given, g, x, weight, bias, stride, padding, dilation, groups)

    def max_pool1d(self, original: Symbolic, g: Any, *given: Any) -> Any:
        x, kernel, stride, padding, dilation, ceil = given
        inner = self._inner(x)
        if inner is None or self._helper._parse_arg(ceil, "i"):  # noqa: SLF001
            return original(g, *given)
        (size,), (pad,), (spread,) = [self._numbers(one) for one in (kernel, padding, dilation)]
        (step,) = self._numbers(stride) or (size,)
        made = g.op("MaxPool", inner, kernel_shape_i=[1, size], strides_i=[1, step], pads_i=[0, pad, 0, pad],
                    dilations_i=[1, spread])  # fmt: skip
        return self._take_out(g, made)

    def add(self, original: Symbolic, g: Any, *given: Any) -> Any:
        inner = [self._inner(one) for one in given[:2]]
        if None in inner:
            return original(g, *given)
        return self._take_out(g, original(g, *inner, *given[2:]))

    def each(self, original: Symbolic, g: Any, *given: Any) -> Any:
        inner = self._inner(given[0])
        if inner is None:
            return original(g, *given)
        return self._take_out(g, original(g, inner, *given[1:]))

    def _numbers(self, value: Any) -> list[int]:
        return list(self._helper._parse_arg(value, "is"))  # noqa: SLF001

    def _lifted(self, g: Any, value: Any) -> Any:
        inner = self._inner(value)
        return self._put_in(g, value) if inner is None else inner

    def _inner(self, value: Any) -> Any:
        """Return what the dimension was taken out of, None if it was not."""
        node = value.node()
        if node.kind() != "onnx::Squeeze":
            return None
        inner, axes = node.inputs()
        if axes.node().kind() != "onnx::Constant":
            return None
        given: Any = axes.node().t("value").reshape(-1).tolist()
        return inner if given == [_AXIS] else None

    def _put_in(self, g: Any, value: Any) -> Any:
        return g.op("Unsqueeze", value, self._axes(g))

    def _take_out(self, g: Any, value: Any) -> Any:
        return g.op("Squeeze", value, self._axes(g))

    def _axes(self, g: Any) -> Any:
        return g.op("Constant", value_t=self._torch.tensor([_AXIS]))
