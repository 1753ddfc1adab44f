#!/usr/bin/env bash
# Trains the shipped models on one's own photographs: four sizes of student for each camera, INT8, cards, bundles.
# `make models PHOTOS=DIR KODAK=DIR` calls it. What is finished stays in OUT, so a stopped run goes on where it was.
#   PHOTOS=DIR    sharp photographs
#   KODAK=DIR     pictures to measure on, never trained on
#   OUT=DIR       runs, caches, bundles (out/models)
#   BIN=DIR       where `hone` is (target/release)
#   TEACHER=yes   train teachers first (a GPU is needed) and learn from them too
#   EPOCHS=N      length of every training, 1,000 updates each (14)
#   MORE=N        then go on from the best weights for so long, at a learning rate of 2e-3 (9)
#   KEY=FILE      secret key that signs the bundles; without one they stay unsigned
#   CLIPS="a.mp4 b.mp4"   video for the cards
#   CAMERAS="mixed ..."   a part of all; `rgb` is the RGB students of the five reports, which want a GPU
set -euo pipefail
photos=$(realpath "${PHOTOS:?name a folder of photographs: PHOTOS=DIR}")
kodak=$(realpath "${KODAK:?name the folder of the Kodak pictures: KODAK=DIR}")
clips=()
for clip in ${CLIPS:-}; do clips+=(--clip "$(realpath "$clip")"); done
cd "$(dirname "$0")/.."
out=${OUT:-out/models}
hone=${BIN:-target/release}/hone
python=${PYTHON:-.cache/venv/bin/python}
recipes=models/recipes
step() { printf '\n-- %s\n' "$*"; }
mkdir -p "$out"

# Drawn scenes beside the photographs: they are as sharp as edges can be, which few photographs' are, so that a student
# learns to leave such edges alone.
if [ "$(cat "$out/sharp.ready" 2>/dev/null)" != "$photos" ]; then
  step "photographs and drawn scenes"
  rm -rf "$out/sharp.ready" "$out/scenes" "$out/sharp"
  "$hone" data synth --degrade none --images 40 --size 768x512 --seed 7 --out "$out/scenes"
  mkdir -p "$out/sharp"
  # An index of the photographs would leave the scenes out.
  find -L "$photos" -type f ! -name hone-index.toml -exec ln -s -t "$out/sharp" {} +
  [ -n "$(ls -A "$out/sharp")" ] || { echo "models/train.sh: no files in $photos: name a folder of photographs by PHOTOS=DIR" >&2; exit 1; }
  for scene in "$(realpath "$out")"/scenes/*/sharp/*.png; do ln -s "$scene" "$out/sharp/scene-$(basename "$scene")"; done
  echo "$photos" >"$out/sharp.ready"
fi
photos=$(realpath "$out/sharp")

# Goes on with RUN, or starts it from the weights of START when given: train RUN START COMMAND...
train() {
  local run=$1 start=$2
  shift 2
  if [ -e "$run/last.safetensors" ]; then
    "$@" --out "$run" --resume
  elif [ -n "$start" ]; then
    "$@" --out "$run" --from "$start"
  else
    "$@" --out "$run"
  fi
}

# The teacher of CAMERA: the one for all of them, which goes on with this camera alone where there is a recipe for it.
teach() {
  step "$1: teacher"
  train "$out/teacher" "" "$hone" teacher train $recipes/teacher.toml --set data.root="$photos"
  teacher=(--teacher "$out/teacher")
  if [ -e "$recipes/$1-teacher.toml" ]; then
    train "$out/$1/teacher" "$out/teacher/best.safetensors" \
      "$hone" teacher train "$recipes/$1-teacher.toml" --set data.root="$photos"
    teacher=(--teacher "$out/$1/teacher")
  fi
}

# A student of CAMERA, LEVEL and CHANNELS, started from another run's weights when START is given.
student() {
  local camera=$1 level=$2 list=$3 start=${4:-} run=$out/$1/$2
  step "$camera $level"
  local command=("$hone" distill "$recipes/$camera.toml" --cache "$out/$camera/cache"
    --set data.root="$photos" --set name="$camera-$level" --set "student.channels=[$list]"
    --set "student.convs=$(($(tr -cd , <<<"$list" | wc -c) + 2))")
  if [ -z "${TEACHER:-}" ]; then command+=(--no-teacher); fi
  # A second training, from the best weights of the first, at a lower rate and on other patches.
  local first=$run.first
  train "$first" "$start" "${command[@]}" --set "stage.0.epochs=${EPOCHS:-14}"
  train "$run" "$first" "${command[@]}" --set "stage.0.epochs=${MORE:-9}" --set optimizer.learning_rate=2e-3 --set seed=3
  "$hone" export "$run" --out "$run.f32.onnx"
  # On fewer patches a rare extreme sets a range, and a student loses up to 0.07 dB.
  local tune=(--pictures 256)
  # These two gained by fine-tuning; `nano` of `defocus` and the other `large` ones did not.
  if [[ $camera/$level = defocus/@(small|large) ]]; then tune+=(--qat --qat-steps 2500 --qat-learning-rate 3e-4); fi
  "$hone" quantize "$run" --out "$run.int8.onnx" "${tune[@]}"
}

# The RGB students, one of each architecture of the reports.
rgb() {
  local architecture run
  for architecture in cnn4 dsunet studentcnn studentnet nafnet-lite; do
    step "rgb $architecture"
    run=$out/rgb/$architecture
    train "$run" "" "$hone" distill $recipes/rgb.toml "${teacher[@]}" --set data.root="$photos" \
      --set name=$architecture --set student.architecture=$architecture
    "$hone" export "$run" --out "$run.f32.onnx"
    # A search for ranges asks a student of this size for hours.
    "$hone" quantize "$run" --calibration mse --out "$run.int8.onnx"
  done
  "$python" models/rgb.py --runs "$out/rgb" --kodak "$kodak" --out "$out" --bin "$(dirname "$hone")" \
    --measured "$out/measured" ${KEY:+--key "$KEY"}
}

for camera in ${CAMERAS:-mixed defocus motion conference}; do
  teacher=(--no-teacher)
  if [ -n "${TEACHER:-}" ]; then teach "$camera"; fi
  if [ "$camera" = rgb ]; then
    rgb
    continue
  fi
  step "$camera: patches"
  "$hone" teacher cache "$recipes/$camera.toml" "${teacher[@]}" --set data.root="$photos" --out "$out/$camera/cache"
  student "$camera" nano 8,8,8
  student "$camera" medium 16,16,16,12
  # The deeper of each width starts from the shallower, with layers that pass their input on.
  "$python" models/deepen.py "$out/$camera/nano" "$out/$camera/small-start" --after 2 --count 2
  student "$camera" small 8,8,8,8,8 "$out/$camera/small-start"
  "$python" models/deepen.py "$out/$camera/medium" "$out/$camera/large-start" --after 3 --count 2
  student "$camera" large 16,16,16,16,16,12 "$out/$camera/large-start"
  step "$camera: card and bundle"
  "$python" models/pack.py "$camera" --runs "$out/$camera" --kodak "$kodak" --out "$out" --bin "$(dirname "$hone")" \
    --measured "$out/measured" ${KEY:+--key "$KEY"} ${clips[@]+"${clips[@]}"}
done
