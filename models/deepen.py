#!/usr/bin/env python3
"""Makes the start of a deeper student from a trained one: new layers that pass their input on.

usage: models/deepen.py RUN OUT --after N --count K

Puts K convolutions as wide as convolution N of RUN behind it (counted from 1) and writes OUT/best.safetensors for
`hone distill --from OUT`. What follows a ReLU passes an identity and another ReLU unchanged, so the deeper student
begins exactly as good as the one it comes from (Chen et al., "Net2Net", ICLR 2016). For students with branches.
"""
import argparse
import json
import pathlib
import struct

import numpy

SEED = 1


def read(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = numpy.frombuffer(data[8 + size + begin:8 + size + end], "<f4")
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def write(path, tensors):
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(numpy.ascontiguousarray(t, "<f4").tobytes() for t in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def passing(width, random):
    """Branches whose sum with the built-in identity is the identity, and that can still learn."""

    def uniform(*shape, fan):
        return random.uniform(-1, 1, shape).astype("f4") / numpy.float32(fan ** 0.5)

    return {
        "plain": numpy.zeros((width, width, 3, 3), "f4"),
        "bias": numpy.zeros(width, "f4"),
        "widen": uniform(2 * width, width, 1, 1, fan=width),
        "narrow": numpy.zeros((width, 2 * width, 3, 3), "f4"),
        "edge_mix": uniform(3, width, width, 1, 1, fan=width * width),
        "edge_strength": numpy.zeros((3, width, 1, 1, 1), "f4"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--after", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    args = parser.parse_args()
    old, new = read(args.run / "best.safetensors"), {}
    width = old[f"conv{args.after}.plain"].shape[0]
    for name, tensor in old.items():
        layer, part = name.split(".", 1)
        number = int(layer.removeprefix("conv"))
        number += args.count if number > args.after else 0
        new[f"conv{number}.{part}"] = tensor
    random = numpy.random.default_rng(SEED)
    for i in range(args.count):
        for part, tensor in passing(width, random).items():
            new[f"conv{args.after + 1 + i}.{part}"] = tensor
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "best.safetensors", dict(sorted(new.items())))


if __name__ == "__main__":
    main()
