#!/usr/bin/env bash
# On a machine with a CUDA device and torch, pytorch-lightning, numpy, scipy, scikit-learn, safetensors, rich, typer and
# pytest-benchmark: train the conditional VAE, time sampling on the GPU, and leave weights and JSON in $OUT.
# Installs nothing, needs no porespy, ends within nine minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-results/gpu}
mkdir -p "$OUT"
export PYTHONPATH=. PYTHONUNBUFFERED=1
python3 -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else "gpu.sh needs a CUDA device")'

timeout 300 python3 -m benchmarks.cli train cvae --publish
cp generators/weights/spheres/cvae.safetensors generators/weights/spheres/cvae.json "$OUT"
timeout 200 python3 -m pytest benchmarks/test_sampling_speed.py -p no:cacheprovider -W default -k cuda \
    --benchmark-json="$OUT/cuda.json" --benchmark-timer=torch.utils.benchmark.utils.timer.timer
