"""A network as an ONNX file, and its outputs by onnxruntime: the one door to both (extra ``onnx``).

The graph is written node by node from the plain layers, with the names of the state dict: torch's own exporter folds
weights away, notes paths of this machine in the file and takes most of a minute. What is written is run before it is
kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from skexplore.arch import Resolution, whole_size
from skexplore.errors import StudyError, UserError
from skexplore.nn import InvertedResidual, Network, Shuffle, SKConv, Unit, plain_layers

EXTRA = 'pip install "skexplore[onnx]"'
OPSET, IR_VERSION = 17, 8  # of 2022: what runtimes of any age in use read
INPUT, OUTPUT = "images", "logits"
TOLERANCE = 1e-4  # of the largest output: both sides compute in float32, in another order
BATCHES = (1, 2)  # images in the batches that are compared: the file must take any number
LARGEST = 2_000_000_000  # bytes of weights: an ONNX file is one protobuf message, of less than 2 GiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the outputs of an ONNX file are from torch's: the largest difference, the largest output."""

    largest_difference: float
    largest_output: float

    @property
    def ok(self) -> bool:
        """Whether the difference is rounding."""
        # "not >" would let NaN pass
        return self.largest_difference <= TOLERANCE * self.largest_output

    def __str__(self) -> str:
        return f"largest difference {self.largest_difference:.1e}, largest output {self.largest_output:.2g}"


class NoRuntimeError(UserError):
    """onnxruntime is not installed."""


def onnx_bytes(
    network: Network, resolution: Resolution, labels: Sequence[str] = ()
) -> tuple[bytes, Agreement]:
    """Return ``network`` in evaluation mode as an ONNX file, and how far onnxruntime's outputs are from torch's.

    It takes ``images``, float32 (batch, channels, height, width) of any batch and size, and gives ``logits`` (batch,
    classes); ``resolution`` is the size of the images that are compared. labels: names of the classes, kept in the
    file's metadata as a JSON list. Raises ``UserError`` without the extra ``onnx`` or for a network too large for one
    file, ``StudyError`` if what was written does not compute what the network does.
    """
    require()
    size = sum(4 * tensor.numel() for tensor in network.state_dict().values())
    if size > LARGEST:
        raise UserError(
            f"{size / 1e9:.1f} GB of weights: an ONNX file holds at most {LARGEST / 1e9:.0f}; export without --onnx, "
            "or with --scale proxy"
        )
    content = _Graph().file(network.eval(), labels)
    agreement = compare(content, network, resolution)
    if not agreement.ok:
        raise StudyError(
            f"block.onnx: onnxruntime does not compute what torch does ({agreement}); it was not written. Export "
            "without --onnx, and report this with the block"
        )
    return content, agreement


def require() -> None:
    """Raise ``UserError`` that names the extra unless onnx and onnxruntime are installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"--onnx needs {error.name}, which is not installed: {EXTRA}") from None


def compare(content: bytes, network: Network, resolution: Resolution) -> Agreement:
    """Run an ONNX file and ``network`` (in evaluation mode) on batches of fixed noise, and return how they agree.

    Raises ``NoRuntimeError`` without onnxruntime, ``UserError`` if it cannot read or run the file.
    """
    try:
        import onnxruntime
    except ImportError:
        raise NoRuntimeError(f"onnxruntime is not installed: {EXTRA}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: what is wrong comes as an exception
    options.intra_op_num_threads = torch.get_num_threads()
    generator = torch.Generator().manual_seed(0)
    differences, largest = [], []
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for batch in BATCHES:
            size = whole_size(resolution)
            images = torch.randn(batch, network.in_channels, *size, generator=generator)
            (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
            with torch.no_grad(), plain_layers():
                expected: Tensor = network(images)
            # a shape that differs is an error of the subtraction, or of the batch size that it was made for
            differences.append((torch.from_numpy(found).view_as(expected) - expected).abs().max())
            largest.append(expected.abs().max())
    except Exception as error:  # onnxruntime has a dozen kinds, none of them exported
        raise UserError((str(error).splitlines() or [type(error).__name__])[0]) from None
    return Agreement(
        largest_difference=float(torch.stack(differences).max()),
        largest_output=float(torch.stack(largest).max()),
    )


@dataclass(slots=True)
class _Graph:
    """An ONNX graph in the making: nodes in their order, and the tensors they read."""

    nodes: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def file(self, network: Network, labels: Sequence[str] = ()) -> bytes:
        from onnx import TensorProto, helper

        x = self._walk(network.stem, INPUT, "stem")
        x = self._walk(network.stages, x, "stages")
        x = self._walk(network.head, x, "head")
        x = self._mean(x, "mean")
        self._linear(network.classifier, x, "classifier", output=OUTPUT)
        shape = ["batch", network.in_channels, "height", "width"]
        images = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)
        logits = helper.make_tensor_value_info(
            OUTPUT, TensorProto.FLOAT, ["batch", network.classifier.out_features]
        )
        graph = helper.make_graph(self.nodes, "network", [images], [logits], self.tensors)
        model = helper.make_model(
            graph,
            producer_name="skexplore",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        if labels:
            helper.set_model_props(model, {"labels": json.dumps(labels)})
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _node(
        self, kind: str, inputs: list[str], name: str, outputs: list[str] | None = None, **more: Any
    ) -> str:
        from onnx import helper

        outputs = outputs or [name]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **more))
        return outputs[0]

    def _tensor(self, tensor: Tensor, name: str) -> str:
        from onnx import numpy_helper

        self.tensors.append(numpy_helper.from_array(tensor.detach().cpu().contiguous().numpy(), name))
        return name

    def _walk(self, module: nn.Module, x: str, name: str) -> str:
        """Write ``module`` and its parts, and return the name of what comes out."""
        if isinstance(module, Unit):
            return self._unit(module, x, name)
        if isinstance(module, SKConv):
            return self._sk(module, x, name)
        if isinstance(module, nn.Sequential):
            for key, part in module.named_children():
                x = self._walk(part, x, f"{name}.{key}")
            return x
        if isinstance(module, nn.Identity):
            return x
        return self._layer(module, x, name)

    def _layer(self, layer: nn.Module, x: str, name: str) -> str:
        """Write one layer without parts."""
        if isinstance(layer, nn.Conv2d):
            return self._conv(layer, x, name)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            return self._norm(layer, x, name)
        if isinstance(layer, nn.MaxPool2d):
            return self._pool("MaxPool", layer, x, name, pads=[layer.padding] * 4)
        if isinstance(layer, nn.AvgPool2d):
            return self._pool("AveragePool", layer, x, name, ceil_mode=1)
        if isinstance(layer, nn.ReLU6):  # before ReLU, of which it is no kind
            limits = [self._tensor(torch.tensor(limit), f"{name}.{limit:g}") for limit in (0.0, 6.0)]
            return self._node("Clip", [x, *limits], name)
        assert isinstance(layer, nn.ReLU), layer
        return self._node("Relu", [x], name)

    def _conv(self, conv: nn.Conv2d, x: str, name: str) -> str:
        assert conv.bias is None
        padding = [int(side) for side in conv.padding]
        return self._node(
            "Conv",
            [x, self._tensor(conv.weight, f"{name}.weight")],
            name,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            pads=padding * 2,
            dilations=list(conv.dilation),
            group=conv.groups,
        )

    def _norm(self, norm: nn.Module, x: str, name: str) -> str:
        state = norm.state_dict()
        inputs = [
            self._tensor(state[key], f"{name}.{key}")
            for key in ("weight", "bias", "running_mean", "running_var")
        ]
        return self._node("BatchNormalization", [x, *inputs], name, epsilon=norm.eps)

    def _pool(self, kind: str, pool: nn.MaxPool2d | nn.AvgPool2d, x: str, name: str, **more: Any) -> str:
        return self._node(
            kind, [x], name, kernel_shape=[pool.kernel_size] * 2, strides=[pool.stride] * 2, **more
        )

    def _linear(self, linear: nn.Linear, x: str, name: str, output: str = "") -> str:
        inputs = [x, self._tensor(linear.weight, f"{name}.weight")]
        if linear.bias is not None:
            inputs.append(self._tensor(linear.bias, f"{name}.bias"))
        return self._node("Gemm", inputs, name, [output or name], transB=1)

    def _mean(self, x: str, name: str) -> str:
        """Write the mean over pixels: (batch, channels, height, width) to (batch, channels)."""
        return self._node("Flatten", [self._node("GlobalAveragePool", [x], f"{name}.pool")], name)

    def _unit(self, unit: Unit, x: str, name: str) -> str:
        assert isinstance(unit.gate, nn.Identity)
        if isinstance(unit, Shuffle):
            return self._shuffle(unit, x, name)
        y = x
        for key in unit.paths[0]:
            y = self._walk(getattr(unit, key), y, f"{name}.{key}")
        if isinstance(unit, InvertedResidual):
            return self._node("Add", [y, x], name) if unit.adds else y
        if len(unit.paths) == 1:
            return y
        x = self._walk(unit.shortcut, x, f"{name}.shortcut")
        return self._walk(unit.act, self._node("Add", [y, x], f"{name}.add"), name)

    def _shuffle(self, unit: Shuffle, x: str, name: str) -> str:
        ways = [x, x]
        if unit.halves:
            ways = [f"{name}.kept", f"{name}.seen"]
            self._node("Split", [x], f"{name}.split", ways, axis=1)
        main, side = unit.paths
        for number, keys in enumerate((side, main)):
            for key in keys:
                ways[number] = self._walk(getattr(unit, key), ways[number], f"{name}.{key}")
        width = unit.outputs // 2
        turns = torch.arange(2 * width).view(2, width).T.flatten()  # one channel of each way in turns
        order = self._tensor(turns, f"{name}.order")
        both = self._node("Concat", ways, f"{name}.concat", axis=1)
        return self._node("Gather", [both, order], name, axis=1)

    def _sk(self, sk: SKConv, x: str, name: str) -> str:
        parts = [x] * len(sk.branches)
        if sk.share is not None and len(parts) > 1:
            parts = [f"{name}.part.{number}" for number in range(len(parts))]
            self._node("Split", [x], f"{name}.parts", parts, axis=1)
        maps = [
            self._walk(branch, part, f"{name}.branches.{number}")
            for number, (branch, part) in enumerate(zip(sk.branches, parts, strict=True))
        ]
        if not sk.selects:
            return self._node("Sum", maps, name) if len(maps) > 1 else maps[0]
        linear, norm, _ = sk.fc
        assert isinstance(linear, nn.Linear)
        z = self._linear(
            linear, self._mean(self._node("Sum", maps, f"{name}.sum"), f"{name}.s"), f"{name}.fc.0"
        )
        z = self._node("Relu", [self._norm(norm, z, f"{name}.fc.1")], f"{name}.fc.2")
        # (batch, M * C) to (batch, M, C, 1, 1): 0 keeps the batch, whatever it is
        shape = torch.tensor([0, len(maps), sk.attend.out_features // len(maps), 1, 1])
        logits = self._linear(sk.attend, z, f"{name}.attend")
        weights = self._node("Reshape", [logits, self._tensor(shape, f"{name}.shape")], f"{name}.logits")
        weights = self._node("Softmax", [weights], f"{name}.softmax", axis=1)
        parts = [f"{name}.weights.{number}" for number in range(len(maps))]
        self._node("Split", [weights], f"{name}.split", parts, axis=1)
        axis = self._tensor(torch.tensor([1]), f"{name}.axis")
        scaled = [
            self._node("Mul", [each, self._node("Squeeze", [part, axis], f"{part}.squeeze")], f"{part}.times")
            for each, part in zip(maps, parts, strict=True)
        ]
        return self._node("Sum", scaled, name)
