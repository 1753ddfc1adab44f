"""Writes luma.onnx, rgb.onnx and luma.int8.onnx: tiny students of random weights for the pipeline's tests,
and a luma frame with what luma.int8.onnx makes of it, by integer arithmetic of its own.

.cache/venv/bin/python device/tests/data/make_students.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def student(channels: int, colour: str) -> onnx.ModelProto:
    """SpaceToDepth 2, two 3x3 convolutions, DepthToSpace 2, Add: the student contract."""
    random = np.random.default_rng(7)
    ends, middle = channels * 4, 8
    weights = [
        numpy_helper.from_array(random.normal(0, 0.2, shape).astype(np.float32), name)
        for name, shape in [
            ("w1", (middle, ends, 3, 3)),
            ("b1", (middle,)),
            ("w2", (ends, middle, 3, 3)),
            ("b2", (ends,)),
        ]
    ]
    shape = [1, channels, "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("SpaceToDepth", ["frame"], ["blocks"], blocksize=2),
            helper.make_node("Conv", ["blocks", "w1", "b1"], ["c1"], pads=[1] * 4, kernel_shape=[3, 3]),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1] * 4, kernel_shape=[3, 3]),
            helper.make_node("DepthToSpace", ["c2"], ["residual"], blocksize=2, mode="DCR"),
            helper.make_node("Add", ["frame", "residual"], ["restored"]),
        ],
        "student",
        [helper.make_tensor_value_info("frame", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("restored", TensorProto.FLOAT, shape)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return checked(model, colour)


def checked(model: onnx.ModelProto, colour: str) -> onnx.ModelProto:
    helper.set_model_props(
        model, {"hone.colour": colour, "hone.scale": "2", "hone.halo": "4", "hone.name": "tiny"}
    )
    onnx.checker.check_model(model)
    return model


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The luma student in QDQ form: s8 weights of one scale a channel, u8 activations."""
    weight = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def through(tensor: str, scale: float, zero: int) -> str:
        pair = [constant(f"{tensor}_scale", np.float32(scale)), constant(f"{tensor}_zero", np.uint8(zero))]
        nodes.append(helper.make_node("QuantizeLinear", [tensor, *pair], [f"{tensor}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{tensor}_q", *pair], [f"{tensor}_dq"]))
        return f"{tensor}_dq"

    def convolution(tensor: str, scale: float, i: int) -> str:
        w, b = weight[f"w{i}"], weight[f"b{i}"]
        unit = (np.abs(w).max(axis=(1, 2, 3)) / 127).astype(np.float32)
        whole = np.rint(w / unit[:, None, None, None]).astype(np.int8)
        bias = (unit * np.float32(scale)).astype(np.float32)
        for name, values, units in [("w", whole, unit), ("b", np.rint(b / bias).astype(np.int32), bias)]:
            inputs = [
                constant(f"{name}{i}", values),
                constant(f"{name}{i}_scale", units),
                constant(f"{name}{i}_zero", np.zeros(len(units), values.dtype)),
            ]
            nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}{i}_dq"], axis=0))
        inputs = [tensor, f"w{i}_dq", f"b{i}_dq"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], pads=[1] * 4, kernel_shape=[3, 3]))
        return f"c{i}"

    nodes.append(helper.make_node("SpaceToDepth", ["frame"], ["blocks"], blocksize=2))
    last = convolution(through("blocks", 1 / 255, 0), 1 / 255, 1)
    nodes.append(helper.make_node("Relu", [last], ["r1"]))
    last = convolution(through("r1", 2 / 255, 0), 2 / 255, 2)
    last = through(last, 3 / 255, 128)
    nodes.append(helper.make_node("DepthToSpace", [last], ["residual"], blocksize=2, mode="DCR"))
    nodes.append(helper.make_node("Add", ["frame", "residual"], ["restored"]))
    graph = helper.make_graph(nodes, "student", model.graph.input, model.graph.output, constants)
    opset = [helper.make_opsetid("", 17)]
    return checked(helper.make_model(graph, opset_imports=opset, ir_version=8), "luma")


def scene(width: int, height: int) -> np.ndarray:
    """A ramp and a chequerboard with noise."""
    y, x = np.mgrid[:height, :width]
    drawn = np.where(x < width // 2, 2 * x + y, np.where((x // 4 + y // 4) % 2, 230, 25))
    noise = np.random.default_rng(3).integers(-16, 16, drawn.shape)
    return (drawn + noise).clip(0, 255).astype(np.uint8)


def restored(model: onnx.ModelProto, frame: np.ndarray) -> np.ndarray:
    """What the contract makes of a frame: exact sums, one f32 product, rounded half to even."""
    constant = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    corners = [(i, j) for i in (0, 1) for j in (0, 1)]
    a = np.stack([frame[i::2, j::2] for i, j in corners]).astype(np.int64)
    for i, (input, output) in enumerate([("blocks", "r1"), ("r1", "c2")], 1):
        w = constant[f"w{i}"].astype(np.int64)
        _, height, width = a.shape
        padded = np.pad(a, ((0, 0), (1, 1), (1, 1)))
        taps = [(r, c, padded[:, r : r + height, c : c + width]) for r in range(3) for c in range(3)]
        sums = sum(np.einsum("oi,ihw->ohw", w[:, :, r, c], tap) for r, c, tap in taps)
        sums += constant[f"b{i}"][:, None, None]
        scale = constant[f"w{i}_scale"] * constant[f"{input}_scale"] / constant[f"{output}_scale"]
        product = sums.astype(np.float32) * scale[:, None, None]
        a = np.rint(product).astype(np.int64) + constant[f"{output}_zero"]
        a = a.clip(0, 255)
    residual = np.zeros(frame.shape)
    for channel, (i, j) in zip(a, corners):
        residual[i::2, j::2] = (channel - 128) * constant["c2_scale"].astype(np.float64)
    return np.rint((frame / 255 + residual).clip(0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    for channels, colour in [(1, "luma"), (3, "rgb")]:
        onnx.save(student(channels, colour), folder / f"{colour}.onnx")
    int8 = quantised(student(1, "luma"))
    onnx.save(int8, folder / "luma.int8.onnx")
    frame = scene(96, 64)
    frame.tofile(folder / "frame.gray8")
    restored(int8, frame).tofile(folder / "frame.int8.gray8")
