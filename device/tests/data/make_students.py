"""Writes luma.onnx and rgb.onnx: tiny students of random weights for the pipeline's tests.

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
    helper.set_model_props(
        model, {"hone.colour": colour, "hone.scale": "2", "hone.halo": "4", "hone.name": "tiny"}
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    for channels, colour in [(1, "luma"), (3, "rgb")]:
        onnx.save(student(channels, colour), folder / f"{colour}.onnx")
