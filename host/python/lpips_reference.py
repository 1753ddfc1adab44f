"""LPIPS 0.1 on made-up weights, from its published definition with ONNX Runtime's convolutions.

Prints the distances that `metric/tests.rs` expects of `lpips_alex` and `lpips_vgg`. Weight k of a
tensor is ((k * 2654435761 mod 2^32) / 2^32 * 2 - 1) * sqrt(6 / fan-in), biases are 0.01, linear
layers are the same numbers in 0..1; the pictures are 3 x 40 x 36 bytes, (k * 37 mod 251) and
(k * 53 mod 251), planes one after another.

    .cache/venv/bin/python host/python/lpips_reference.py
"""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

ALEX = [(64, 11, 4, 2), "M", "P3", (192, 5, 1, 2), "M", "P3", (384, 3, 1, 1), "M", (256, 3, 1, 1), "M", (256, 3, 1, 1), "M"]
VGG = []
for block, (count, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]):
    VGG += (["P2"] if block else []) + [(width, 3, 1, 1)] * count + ["M"]


def hashed(count):
    return (np.arange(count, dtype=np.uint64) * 2654435761 % 2**32).astype(np.float64) / 2**32


def network(plan):
    nodes, weights, maps, x, channels = [], [], [], "x", 3
    for i, step in enumerate(plan):
        if step == "M":
            maps.append(x)
        elif isinstance(step, str):
            side = int(step[1])
            nodes.append(helper.make_node("MaxPool", [x], [f"p{i}"], kernel_shape=[side] * 2, strides=[2, 2]))
            x = f"p{i}"
        else:
            outputs, side, stride, pad = step
            fan_in = channels * side * side
            kernel = (hashed(outputs * fan_in) * 2 - 1) * np.sqrt(6 / fan_in)
            kernel = kernel.reshape(outputs, channels, side, side).astype(np.float32)
            weights.append(numpy_helper.from_array(kernel, f"w{i}"))
            weights.append(numpy_helper.from_array(np.full(outputs, 0.01, np.float32), f"b{i}"))
            nodes.append(helper.make_node("Conv", [x, f"w{i}", f"b{i}"], [f"c{i}"], strides=[stride] * 2, pads=[pad] * 4))
            nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
            x, channels = f"r{i}", outputs
    info = lambda name, shape: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [info("x", [1, 3, 40, 36])], [info(m, None) for m in maps], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda picture: session.run(maps, {"x": picture})


def distance(plan, a, b):
    shift, scale = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in ([-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]))
    run = network(plan)
    total = 0.0
    for left, right in zip(*(run((p * 2 - 1 - shift) / scale) for p in (a, b))):
        unit = lambda f: f / (np.sqrt((f**2).sum(1, keepdims=True)) + 1e-10)
        linear = hashed(left.shape[1]).astype(np.float32).reshape(1, -1, 1, 1)
        total += ((unit(left) - unit(right)) ** 2 * linear).sum(1).mean()
    return total


def main():
    k = np.arange(3 * 40 * 36)
    pictures = [(k * factor % 251).astype(np.float32).reshape(1, 3, 40, 36) / 255 for factor in (37, 53)]
    for name, plan in (("lpips_alex", ALEX), ("lpips_vgg", VGG)):
        print(name, repr(float(distance(plan, *pictures))))


if __name__ == "__main__":
    main()
