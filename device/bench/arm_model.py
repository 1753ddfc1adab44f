"""What the engine's ARM kernels should reach on boards that are not at hand, from their machine code.

    python3 device/bench/arm_model.py [X.onnx ...]

Compiles the kernels alone for aarch64, finds the loops that do the work, counts instructions per
multiply-accumulate and lets llvm-mca estimate cycles on each board's core. Students are those given
(they need the Python package onnx), or the four levels of the shipped ladder.
"""

import argparse
import functools
import heapq
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "src" / "engine"
# The rest of the engine is not needed: the kernels and the names they use.
CRATE = """#![allow(dead_code, missing_docs, unused_imports)]
pub mod engine {{
    #[path = "{engine}/isa.rs"] pub mod isa;
    #[path = "{engine}/kernels/mod.rs"] pub mod kernels;
    pub enum EngineError {{ Load(String) }}
    pub fn keep(isa: isa::Isa) -> [*const (); 2] {{
        [std::ptr::from_ref(kernels::f32::kernels(isa)).cast(), std::ptr::from_ref(kernels::int8::kernels(isa)).cast()]
    }}
}}
"""
BRANCH = re.compile(r"^(b|b\.\w+|cbn?z|tbn?z)$")
# Multiply-accumulates of one instruction, by the arrangement of its result where that tells.
MACS = {"fmla": 4, "sdot": 16, "smull .8h": 8, "smlal2 .8h": 8, "smlal .4s": 4}

@dataclass(frozen=True)
class Board:
    name: str
    core: str
    model: str  # llvm-mca's name; LLVM has no model of the A76, but one of its server twin
    gigahertz: float
    int8: str  # INT8 kernel
    cores: int = 4


BOARDS = [
    Board("Pi Zero 2 W", "Cortex-A53", "cortex-a53", 1.0, "smlal"),
    Board("Pi 3B+", "Cortex-A53", "cortex-a53", 1.4, "smlal"),
    Board("Jetson Nano", "Cortex-A57", "cortex-a57", 1.43, "smlal"),
    Board("Pi 4", "Cortex-A72", "cortex-a72", 1.8, "smlal"),
    Board("Pi 5", "Cortex-A76", "neoverse-n1", 2.4, "sdot"),
]
# Level of the shipped ladder (models/recipes/ladder-*.toml): SpaceToDepth factor, planes, channels from end to end.
LADDER = {
    "nano": (2, 1, [4, 8, 8, 8, 4]),
    "small": (2, 1, [4, 8, 8, 8, 8, 8, 4]),
    "medium": (2, 1, [4, 16, 16, 16, 12, 4]),
    "large": (2, 1, [4, 16, 16, 16, 16, 16, 12, 4]),
}
# Cycles a sample for loading camera bytes, adding the residual and storing: not in the kernels.
ENDS = 4.0
WIDTH, HEIGHT = 1280, 720
ASSUMPTIONS = f"""
First table: multiply-accumulates for an instruction (from the emitted code) and for a cycle (llvm-mca).
Second: predicted frames a second, f32 / INT8, at {WIDTH}x{HEIGHT}. Assumed: every load hits the first-level
cache, all cores share the frame evenly and do nothing else, the clock holds, {ENDS:.0f} cycles a sample for
camera bytes in and out, nothing for the overshoot limit. So these are upper bounds. The A76 is taken
for a Neoverse N1, its server twin."""


@dataclass
class Block:
    code: list
    then: str | None  # label jumped to
    falls: bool


class Function:
    """Basic blocks of one function."""

    def __init__(self, lines):
        self.blocks, self.order = {}, []
        label, code = "entry", []

        def close(then, falls):
            nonlocal label, code
            self.blocks[label] = Block(code, then, falls)
            self.order.append(label)
            label, code = f"{label}+", []

        for line in lines:
            if found := re.match(r"^(\.L\w+):", line):
                if code or label.endswith("+"):
                    close(None, True)
                label = found[1]
                continue
            text = line.split("//")[0].strip()
            if not text or text.startswith("."):
                continue
            code.append(text)
            op = text.split()[0]
            if BRANCH.match(op):
                close(text.split()[-1], op != "b")
            elif op in ("ret", "brk"):
                close(None, False)
        self.next = dict(zip(self.order, self.order[1:]))

    def ways(self, label):
        block = self.blocks[label]
        follower = self.next.get(label) if block.falls else None
        return [way for way in (block.then, follower) if way in self.blocks]

    def loops(self):
        return [label for label in self.order if self.blocks[label].then == label]

    def path(self, start, end, avoid):
        """Instructions on the shortest way from the end of block `start` to the start of block `end`."""
        heap, seen = [(0, n, [n]) for n in self.ways(start) if n != start], set()
        heapq.heapify(heap)
        while heap:
            cost, at, way = heapq.heappop(heap)
            if at == end:
                return [text for label in way[:-1] for text in self.blocks[label].code]
            if at in seen or at in avoid:
                continue
            seen.add(at)
            for n in self.ways(at):
                heapq.heappush(heap, (cost + len(self.blocks[at].code), n, [*way, n]))
        return None

    def around(self, loop):
        """(code from one turn of the loop's nearest outer loop to the next, code of a whole block)."""
        others = set(self.loops()) - {loop}
        tap = self.path(loop, loop, others) or []
        best = []
        for label in self.order:
            there, back = self.path(loop, label, others), None
            if there is not None and label != loop:
                back = self.path(label, loop, others)
            if back is not None and len(self.blocks[label].code) > len(best[0] if best else []):
                best = [self.blocks[label].code, there + self.blocks[label].code + back]
        return tap, best[1] if best else tap


def compile_kernels():
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "kernels.rs"), Path(folder, "kernels.s")
        source.write_text(CRATE.format(engine=ENGINE))
        command = ["rustc", "--edition", "2024", "--crate-type", "lib", "-O", "-C", "codegen-units=1"]
        command += ["--target", "aarch64-unknown-linux-gnu", "--emit", "asm", "-o", out, source]
        subprocess.run(command, check=True)
        text = out.read_text()
    functions = {}
    for name, body in re.findall(r"^(_ZN\S+):\n(.*?)^\.Lfunc_end", text, re.M | re.S):
        functions[name] = body
    return functions


def find(functions, *parts, holds=""):
    """The function whose name has all `parts`, or of several the one with most instructions that hold `holds`."""
    names = [n for n in functions if all(p in n for p in parts)]
    if not holds:
        (name,) = names
    else:
        name = max(names, key=lambda n: functions[n].count(holds))
    return Function(functions[name].splitlines())


def macs(code):
    ops = Counter()
    for text in code:
        op, to = (text + " .").split()[:2]
        ops.update([op, f"{op} {to[to.find('.'):].rstrip(',')}"])
    return sum(count * ops[op] for op, count in MACS.items())


MCA = "llvm-mca-19"


@functools.cache
def cycles(core, code, turns=100):
    """Cycles of one run of straight code in a long row of runs."""
    if not code:
        return 0.0
    command = [MCA, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+dotprod", f"-iterations={turns}"]
    command += ["-instruction-info=false", "-resource-pressure=false"]
    text = subprocess.run(command, input="\n".join(code), check=True, capture_output=True, text=True).stdout
    return int(re.search(r"Total Cycles:\s+(\d+)", text)[1]) / turns


class Kernel:
    """One kernel's main block: its inner loop and the code around it."""

    def __init__(self, function):
        loop = max(function.loops(), key=lambda label: macs(function.blocks[label].code))
        self.loop = tuple(function.blocks[loop].code)
        self.macs = macs(self.loop)
        self.per_instruction = self.macs / len(self.loop)
        tap, block = function.around(loop)
        self.tap, self.block = tuple(tap), tuple(block)

    def cycles(self, core, turns, taps):
        """Cycles of a block: `taps` times `turns` of the loop."""
        inner = taps * turns * cycles(core, self.loop)
        return inner + (taps - 1) * cycles(core, self.tap) + cycles(core, self.block)


def straight(function):
    """The longest chain of blocks that returns to its start: a loop with branches inside."""
    best = max(function.order, key=lambda label: len(function.blocks[label].code))
    back = function.path(best, best, set()) or []
    return tuple(function.blocks[best].code + back)


def mac_per_pixel(shape):
    scale, _, channels = shape
    return sum(9 * i * o for i, o in zip(channels, channels[1:])) / scale**2


class Kernels:
    def __init__(self):
        functions = compile_kernels()
        table = lambda name: find(functions, "3f324neon5table", name)
        self.direct = Kernel(table("6direct"))
        self.multiply = Kernel(table("8multiply17"))
        self.narrow = Kernel(table("15multiply_narrow"))
        self.input = straight(table("15transform_input"))
        self.output = straight(table("16transform_output17"))
        self.output_narrow = straight(table("23transform_output_narrow"))
        whole = lambda name, holds="": find(functions, "4int88winograd4neon", name, holds=holds)
        # Four tiles times four vectors of outputs: the block of 16 channels.
        self.smlal = Kernel(whole("8products", ".h[3]"))
        # Eight channels of a tile, or four each of two tiles.
        self.input8 = straight(whole("5input17", "ldr\td"))
        self.input4 = straight(whole("5input17", "}[1]"))
        self.output_int8 = straight(whole("16transform_output", "sqxtun"))
        self.smull = Kernel(find(functions, "4int84neon5smull"))
        self.sdot = Kernel(find(functions, "4int84neon4sdot"))

    # Cycles of one layer for one of its own pixels. Channels are padded to 4.

    def f32(self, core, inputs, outputs, last):
        vectors = -(-outputs // 4)
        direct = self.direct.cycles(core, 3 * inputs / 4, 3) / 8 * vectors / 2
        if last and outputs <= 4:
            products = 36 * self.narrow.cycles(core, inputs / 4, 1) / 4
            out = cycles(core, self.output_narrow)
        else:
            products = 36 * self.multiply.cycles(core, inputs / 4, 1) / 8 * vectors / 2
            out = vectors * cycles(core, self.output)
        tile = products + out + inputs / 4 * cycles(core, self.input)
        return min(direct, tile / 16)

    def int8(self, core, kernel, inputs, outputs):
        turns = -(-3 * inputs // 16)
        if kernel == "sdot":
            return self.sdot.cycles(core, turns, 3) / 8 * -(-outputs // 8)
        vectors = -(-outputs // 4)
        products = 36 * self.smlal.cycles(core, inputs / 4, 1) / 4 * vectors / 4
        transform = cycles(core, self.input4) / 2 if inputs == 4 else -(-inputs // 8) * cycles(core, self.input8)
        return (products + vectors * cycles(core, self.output_int8) + transform) / 16

    def rate(self, board, shape, precision):
        """Frames a second on all of a board's cores."""
        scale, planes, channels = shape
        total = 0.0
        for at, (inputs, outputs) in enumerate(zip(channels, channels[1:])):
            inputs = -(-inputs // 4) * 4
            if precision == "f32":
                total += self.f32(board.model, inputs, outputs, at + 2 == len(channels))
            else:
                total += self.int8(board.model, board.int8, inputs, outputs)
        pixel = total / scale**2 + ENDS * planes
        return board.cores * board.gigahertz * 1e9 / (pixel * WIDTH * HEIGHT)


def students(paths):
    if not paths:
        return LADDER
    import onnx

    found = {}
    for path in paths:
        graph = onnx.load(path).graph
        dims = {t.name: list(t.dims) for t in graph.initializer}
        weights = [dims[n.input[1]] for n in graph.node if n.op_type == "Conv" and n.input[1] in dims]
        if not weights or any(w[2:] != [3, 3] for w in weights):
            sys.exit(f"{path}: give f32 students of 3x3 convolutions")
        block = [a.i for n in graph.node if n.op_type == "SpaceToDepth" for a in n.attribute if a.name == "blocksize"]
        scale = block[0] if block else 1
        channels = [weights[0][1]] + [w[0] for w in weights]
        found[Path(path).stem] = (scale, channels[0] // scale**2, channels)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", nargs="*", help="f32 students")
    options = parser.parse_args()
    if not shutil.which(MCA):
        sys.exit(f"{MCA} is missing: make arm-model installs it")
    kernels, levels = Kernels(), students(options.onnx)
    cores = {b.core: b for b in BOARDS}.values()

    print("| inner loop | MAC/instruction |" + "".join(f" {b.core} |" for b in cores))
    print("|---|---|" + "---|" * len(cores))
    for name in ("direct", "multiply", "narrow", "smull", "smlal", "sdot"):
        k = getattr(kernels, name)
        runs = lambda b: (name != "sdot" and not name.startswith("sm")) or (name == "sdot") == (b.int8 == "sdot")
        cells = [f"{k.macs / cycles(b.model, k.loop):.1f}" if runs(b) else "" for b in cores]
        print(f"| {name} | {k.per_instruction:.2f} | " + " | ".join(cells) + " |")

    print("\n| board | cores |" + "".join(f" {level}, {mac_per_pixel(shape):.0f} MAC/pixel |" for level, shape in levels.items()) + " measured |")
    print("|---|---|" + "---|" * len(levels) + "---|")
    for b in BOARDS:
        cells = ["{:.0f} / {:.0f}".format(*(kernels.rate(b, shape, p) for p in ("f32", "int8"))) for shape in levels.values()]
        print(f"| {b.name} | {b.cores} x {b.core}, {b.gigahertz} GHz | " + " | ".join(cells) + " | not yet |")
    print(ASSUMPTIONS)


if __name__ == "__main__":
    main()
