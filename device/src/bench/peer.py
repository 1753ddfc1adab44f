"""ONNX Runtime for `honed bench --vs-ort`: MODEL WIDTH HEIGHT THREADS, then a count of runs a line."""

import sys
import time

import numpy
import onnxruntime

model, width, height, threads = sys.argv[1], *map(int, sys.argv[2:5])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
frame = session.get_inputs()[0]
shape = (1, frame.shape[1], height, width)
pixels = numpy.random.default_rng(1).integers(0, 256, shape).astype(numpy.float32) / 255
# A temporal student takes the frame before, too.
feed = {value.name: pixels for value in session.get_inputs()}
session.run(None, feed)
print("ready", flush=True)
for line in sys.stdin:
    session.run(None, feed)
    times = []
    for _ in range(int(line)):
        start = time.perf_counter()
        session.run(None, feed)
        times.append(1e3 * (time.perf_counter() - start))
    print(*times, flush=True)
