"""Second opinions on an exported student: the ONNX checker and other runtimes.

check_onnx.py MODEL [--frame FILE C H W]... [--runtime ort|ort-plain|opencv] [--expect-integer]

MODEL must pass onnx.checker with full shape inference. FILE holds f32 samples [C,H,W], native
byte order, of a temporal student the frame's planes and those of `previous`; the network's output is written to FILE.out in the same form,
or, where the runtime refuses this size, its words to FILE.refused. `ort-plain` turns ONNX
Runtime's graph rewriting off. --expect-integer fails unless ONNX Runtime turns every convolution
into an integer one.
"""

import argparse
import os
import sys
import tempfile

import numpy as np
import onnx


def session(path, plain=False, rewritten=None):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    # AVX2 without VNNI saturates 16-bit sums otherwise.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if rewritten:
        options.optimized_model_filepath = rewritten
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs(path):
    """What turns the planes of a file into the network's inputs."""
    names = [value.name for value in onnx.load(path).graph.input]
    if "previous" in names:
        return lambda planes: dict(zip(("frame", "previous"), np.split(planes, 2, axis=1)))
    return lambda planes: {"frame": planes}


def runner(path, runtime):
    named = inputs(path)
    if runtime == "opencv":
        import cv2

        net = cv2.dnn.readNetFromONNX(path)

        def restore(planes):
            for name, frame in named(planes).items():
                net.setInput(np.ascontiguousarray(frame), name)
            return net.forward("restored")

        return restore
    network = session(path, plain=runtime == "ort-plain")
    return lambda planes: network.run(["restored"], named(planes))[0]


def check_integer(path):
    with tempfile.TemporaryDirectory() as folder:
        rewritten = os.path.join(folder, "rewritten.onnx")
        session(path, rewritten=rewritten)
        ops = [node.op_type for node in onnx.load(rewritten).graph.node]
    if "Conv" in ops or "QLinearConv" not in ops:
        sys.exit(f"ONNX Runtime keeps float convolutions: {ops}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--frame", nargs=4, action="append", default=[], metavar=("FILE", "C", "H", "W"))
    parser.add_argument("--runtime", choices=["ort", "ort-plain", "opencv"], default="ort")
    parser.add_argument("--expect-integer", action="store_true")
    args = parser.parse_args()
    onnx.checker.check_model(args.model, full_check=True)
    if args.expect_integer:
        check_integer(args.model)
    restore = runner(args.model, args.runtime) if args.frame else None
    for path, *sides in args.frame:
        planes = np.fromfile(path, np.float32).reshape([1, *map(int, sides)])
        shape = list(inputs(args.model)(planes)["frame"].shape)
        try:
            out = restore(planes)
        except Exception as error:  # each runtime has its own
            with open(path + ".refused", "w") as file:
                file.write(f"{type(error).__name__}: {error}")
            continue
        if list(out.shape) != shape:
            sys.exit(f"output is {list(out.shape)}, input {shape}")
        np.ascontiguousarray(out, np.float32).tofile(path + ".out")


if __name__ == "__main__":
    main()
