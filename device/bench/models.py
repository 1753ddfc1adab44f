"""Writes students of given shapes as ONNX, f32 and INT8 (QDQ), with weights that look trained.

    python device/bench/models.py OUT_DIR

The files keep hone's student contract. INT8 activations are calibrated on noise with ONNX Runtime.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

# Name: planes, SpaceToDepth factor, channels from end to end.
SHAPES = {
    "rgb-4-48-32-32-32-48": (3, 4, [48, 32, 32, 32, 48]),
    "rgb-1-3-64-64-64-3": (3, 1, [3, 64, 64, 64, 3]),
    "luma-4-16-16-16-16": (1, 4, [16, 16, 16, 16]),
    "luma-2-4-16-16-16-4": (1, 2, [4, 16, 16, 16, 4]),
}


class Writer:
    """Nodes and initialisers of one graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def quantised(self, tensor, scale, zero):
        names = [self.constant(f"{tensor}.scale", np.float32(scale)), self.constant(f"{tensor}.zero", np.uint8(zero))]
        self.node("QuantizeLinear", [tensor, *names], f"{tensor}.q")
        return self.node("DequantizeLinear", [f"{tensor}.q", *names], f"{tensor}.dq")


def student(planes, scale, channels, ranges=None, extra=()):
    """The model; INT8 when `ranges` gives (low, high) for each convolution's output."""
    rng = np.random.default_rng(1)
    w, at, scale_in = Writer(), "frame", np.float32(1 / 255)
    if scale > 1:
        at = w.node("SpaceToDepth", [at], "blocks", blocksize=scale)
    if ranges:
        at = w.quantised(at, scale_in, 0)
    for i, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
        last = i + 2 == len(channels)
        weight = rng.normal(0, np.sqrt(2 / (9 * inputs)) * (0.05 if last else 1), (outputs, inputs, 3, 3)).astype(np.float32)
        bias = rng.normal(0, 0.02, outputs).astype(np.float32)
        if ranges:
            scales = (np.abs(weight).max((1, 2, 3)) / 127).astype(np.float32)
            q = np.clip(np.rint(weight / scales[:, None, None, None]), -127, 127).astype(np.int8)
            names = [w.constant(f"w{i}", q), w.constant(f"w{i}.scale", scales), w.constant(f"w{i}.zero", np.zeros(outputs, np.int8))]
            weight_name = w.node("DequantizeLinear", names, f"w{i}.dq", axis=0)
            units = scales * scale_in
            names = [w.constant(f"b{i}", np.rint(bias / units).astype(np.int32)), w.constant(f"b{i}.scale", units), w.constant(f"b{i}.zero", np.zeros(outputs, np.int32))]
            bias_name = w.node("DequantizeLinear", names, f"b{i}.dq", axis=0)
        else:
            weight_name, bias_name = w.constant(f"w{i}", weight), w.constant(f"b{i}", bias)
        at = w.node("Conv", [at, weight_name, bias_name], f"conv{i}", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        if not last:
            at = w.node("Relu", [at], f"relu{i}")
        if ranges:
            low, high = ranges[i]
            scale_in = np.float32((high - low) / 255)
            at = w.quantised(at, scale_in, int(round(-low / scale_in)))
    if scale > 1:
        at = w.node("DepthToSpace", [at], "residual", blocksize=scale)
    w.node("Add", ["frame", at], "restored")
    shape = [1, planes, "height", "width"]
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    outputs = [value("restored")] + [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", "c", "y", "x"]) for n in extra]
    graph = helper.make_graph(w.nodes, "student", [value("frame")], outputs, w.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def calibrate(planes, scale, channels):
    count = len(channels) - 1
    names = [f"relu{i}" for i in range(count - 1)] + [f"conv{count - 1}"]
    model = student(planes, scale, channels, extra=names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    frame = np.random.default_rng(2).random((1, planes, 64, 64), np.float32)
    return [(min(0.0, float(x.min())), float(x.max())) for x in session.run(names, {"frame": frame})]


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, shape in SHAPES.items():
        onnx.save(student(*shape), out / f"{name}.f32.onnx")
        onnx.save(student(*shape, ranges=calibrate(*shape)), out / f"{name}.int8.onnx")


if __name__ == "__main__":
    main()
