# hone: every target does the set-up it needs, once, and is quiet when nothing is to do.
#
#   make demo    scenes -> teacher -> student -> INT8 -> bundle -> live pipeline -> out/demo
#   make test    all tests, from unit tests to that road end to end at toy size
#   make build   release `hone` and `honed` in target/release
#   make arm     cross-compile for aarch64 and test under qemu
#   make boards  honed for Raspberry Pi and Jetson Nano in target/arm
#   make lint    formatting, clippy, documentation
#   make bench   the five of the engine, the metrics, the loader, the teachers and the training
#   make bench-engine   the engine's speed beside ONNX Runtime
#   make arm-model      what boards should reach, predicted from the kernels' machine code
#   make sanitise       the engine's tests under the address sanitizer
#   make fuzz-engine    damaged models, and random students against tract, SECONDS=60 each
#   make bench-metrics   the metrics' speed beside scikit-image and pytorch_msssim
#   make int8-loss RUNS="DIR ..." KODAK=DIR   what INT8 costs trained students, by calibration and fine-tuned
#   make bench-teachers   the teachers' speed beside PyTorch
#   make bench-age   frame age, sharpened and passed as it came, at 720p and 1080p
#   make bench-preview   frame age with four viewers of the page against none
#   make bench-train   training speed beside PyTorch eager
#   make bench-loader   patches a second beside PyTorch's DataLoader (PHOTOS=DIR, else drawn scenes)
#   make ablation PHOTOS=DIR KODAK=DIR [TEACHER=RUN]   students with a teacher and without, three seeds
#   make footage PHOTOS=DIR KODAK=DIR [TEACHER=RUN]   students with a teacher's answers about a camera's own frames
#   make fuzz    the readers of checkpoints, bundles and telemetry on random bytes, two minutes each (SECONDS=...)
#   make container  a system with systemd in a container, deployed to as if it were a board; needs root
#   make soak    honed for half an hour, through fifty outages and an overload
#   make models PHOTOS=DIR KODAK=DIR   train the shipped models on one's own photographs
#   make models-report KODAK=DIR       measure the shipped models
#   make setup   system packages, libtorch, Python checks
#
# TORCH=/path or TORCH=python uses an existing libtorch or PyTorch 2.11 (CUDA builds too).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-builtin-rules

CACHE := .cache
CARGO ?= cargo
ifdef LIBTORCH
LIBTORCH_READY :=
else
export LIBTORCH := $(CURDIR)/$(CACHE)/libtorch
LIBTORCH_READY := libtorch
endif

PACKAGES := build-essential nasm pkg-config python3 python3-venv python3-pip \
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev gstreamer1.0-tools \
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
  gstreamer1.0-plugins-ugly gstreamer1.0-libav chromium openssh-client openssh-server mosquitto
VENV := $(CACHE)/venv
BENCH_VENV := $(CACHE)/bench-venv

.PHONY: setup system toolchain libtorch build demo test arm boards container lint bench bench-engine bench-age bench-preview bench-metrics bench-loader bench-teachers bench-train arm-model sanitise \
  fuzz fuzz-engine int8-loss soak models models-report ablation footage photos-and-kodak runs-and-kodak kodak clean

setup: system toolchain $(LIBTORCH_READY) $(VENV)/.ready

system:
	@.ci/packages $(PACKAGES)

toolchain:
	@command -v $(CARGO) >/dev/null || { \
	  echo "hone needs a Rust toolchain (1.92 or newer): see https://rustup.rs" >&2; exit 1; }

libtorch: system
	@host/libtorch.sh $(CACHE)/libtorch

$(VENV)/.ready: host/python/requirements.txt | system
	@echo "python: setting up $(VENV)"
	@python3 -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --requirement $<
	@touch $@

$(BENCH_VENV)/.ready: host/python/requirements.txt host/python/requirements-bench.txt | system
	@echo "python: setting up $(BENCH_VENV) (PyTorch is about 3 GB)"
	@python3 -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet $(addprefix --requirement ,$^)
	@touch $@

build: system toolchain $(LIBTORCH_READY)
	$(CARGO) build --release --workspace

demo: build $(VENV)/.ready
	models/demo/run.sh

# For who deploys the demo's bundle, whichever there is.
out/demo/demo.hone: | build $(VENV)/.ready
	models/demo/run.sh

test: setup
	$(CARGO) build --workspace
	$(CARGO) test --workspace

arm: system toolchain
	cross/test.sh

boards: system toolchain
	cross/build.sh raspberry-pi $(PROFILE)
	cross/build.sh jetson-nano $(PROFILE)

container: build out/demo/demo.hone
	cross/container.sh x86_64

# The fuzzers are no part of the workspace; they compile files of it, which may have moved.
lint: system toolchain $(LIBTORCH_READY)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	for crate in shared device host; do \
	  $(CARGO) clippy --manifest-path $$crate/fuzz/Cargo.toml --target-dir target/fuzz --locked -- -D warnings; done
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

# The engine beside ONNX Runtime, interleaved in one run; ISA=avx2 keeps both sides to AVX2.
bench: bench-engine bench-metrics bench-loader bench-teachers bench-train

bench-engine: build $(VENV)/.ready
	$(VENV)/bin/python device/bench/table.py target/release/honed $(if $(ISA),--isa $(ISA))

# Frame age of the shipped students on 30 frames a second, sharpened and passed as they came.
bench-age: build
	python3 device/bench/age.py target/release/honed

# Frame age with four viewers of the page's preview against none, in turns.
bench-preview: build
	python3 device/bench/preview.py target/release/honed

arm-model: toolchain
	@.ci/packages llvm-19
	@rustup --quiet target add aarch64-unknown-linux-gnu
	python3 device/bench/arm_model.py

# Only our own code is checked, not the dependencies.
sanitise: system toolchain
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/device/sanitise.sh $(CARGO) test --package hone-device --lib engine::

fuzz-engine: system toolchain
	.ci/fuzz device students $(or $(SECONDS),60)
	.ci/fuzz device models $(or $(SECONDS),60) ../tests/data

# Every teacher beside PyTorch eager, in turns.
bench-teachers: build $(BENCH_VENV)/.ready
	$(BENCH_VENV)/bin/python host/python/bench_teachers.py --hone target/release/hone

fuzz: system toolchain
	.ci/fuzz host checkpoint $(or $(SECONDS),120) corpus
	.ci/fuzz shared bundle $(or $(SECONDS),120) corpus/bundle
	.ci/fuzz shared telemetry $(or $(SECONDS),120) corpus/telemetry

# Training beside PyTorch eager, interleaved in one run.
bench-train: build $(BENCH_VENV)/.ready
	$(BENCH_VENV)/bin/python host/python/bench_train.py target/release/hone

# HONE_SOAK_MINUTES=N shortens or lengthens the half hour.
soak: system toolchain $(LIBTORCH_READY)
	$(CARGO) test --release --workspace --test field -- --ignored --nocapture

# PHOTOS=DIR measures on one's own photographs; else scenes are drawn and stored as JPEG.
bench-loader: build $(BENCH_VENV)/.ready
	$(BENCH_VENV)/bin/python host/python/bench_loader.py target/release/hone $(if $(PHOTOS),--photos $(PHOTOS))

bench-metrics: build $(BENCH_VENV)/.ready
	$(BENCH_VENV)/bin/python host/python/bench_metrics.py target/release/hone

# What a target has to be told is asked for before anything is built.
photos-and-kodak:
	@test -n "$(PHOTOS)" -a -n "$(KODAK)" || { echo "name sharp photographs and pictures to measure on: make $(MAKECMDGOALS) PHOTOS=DIR KODAK=DIR" >&2; exit 1; }

runs-and-kodak:
	@test -n "$(RUNS)" -a -n "$(KODAK)" || { echo "name runs of hone distill and pictures: make $(MAKECMDGOALS) RUNS=\"DIR ...\" KODAK=DIR" >&2; exit 1; }

kodak:
	@test -n "$(KODAK)" || { echo "name the folder of the Kodak pictures: make $(MAKECMDGOALS) KODAK=DIR" >&2; exit 1; }

int8-loss: runs-and-kodak build
	@python3 host/python/int8_loss.py --hone target/release/hone --pictures $(KODAK) $(RUNS)

models: photos-and-kodak build $(VENV)/.ready
	models/train.sh

ablation: photos-and-kodak build $(VENV)/.ready
	$(VENV)/bin/python models/ablation.py --photos $(PHOTOS) --kodak $(KODAK) $(if $(TEACHER),--teacher $(TEACHER))

# What a teacher's answers about a camera's own frames are worth; EPOCHS=N trains longer.
footage: photos-and-kodak build $(VENV)/.ready
	$(VENV)/bin/python models/footage.py --photos $(PHOTOS) --kodak $(KODAK) $(if $(TEACHER),--teacher $(TEACHER)) $(if $(EPOCHS),--epochs $(EPOCHS))

# CLIPS="a.mp4 b.mp4" adds video, TEACHER=RUN a run of `hone teacher train`.
models-report: kodak build
	@models/report.py --kodak $(KODAK) $(addprefix --clip ,$(CLIPS)) $(addprefix --teacher ,$(TEACHER))

clean:
	rm -rf target out
