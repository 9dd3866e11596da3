#!/usr/bin/env bash
# gpu.sh sample: time sampling and the machine's limits on a GPU (within 4 minutes), and leave JSON in $OUT.
# gpu.sh train DATASET ...: train the autoregressive network on data sets, all at once, and leave its weights in $OUT.
# Needs a CUDA device, torch, pytorch-lightning, numpy, scipy, scikit-learn, safetensors, rich, typer, platformdirs and
# pytest-benchmark; installs nothing, needs no porespy. DEVICE=cpu rehearses "sample" with small batches on a processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=${OUT:-results/own/gpu}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
export PYTHONPATH=src PYTHONUNBUFFERED=1
mkdir -p "$OUT"

case "${1:-}" in
sample)
    chosen=cuda
    if [ "$DEVICE" = cpu ]; then chosen="(0- and -1-cpu) or (0- and -64-cpu) or 0-memory-cpu"; else
        "$PYTHON" -c 'import sys, torch; torch.cuda.is_available() or sys.exit("gpu.sh needs a CUDA device")'
    fi
    timeout -s INT 230 "$PYTHON" -m pytest benchmarks/speed/test_sampling_speed.py benchmarks/speed/test_limits_speed.py \
        -p no:cacheprovider -W default -k "$chosen" --benchmark-json="$OUT/$DEVICE.json" \
        --benchmark-timer=torch.utils.benchmark.utils.timer.timer
    ;;
train)
    shift
    for dataset in "${@:-spheres}"; do
        "$PYTHON" -m porebench.benchmarks.cli train autoregressive --dataset "$dataset" --publish &
    done
    wait
    for weights in generators/weights/*/autoregressive.safetensors; do
        name=$(basename "$(dirname "$weights")")
        cp "$weights" "$OUT/$name.safetensors"
        cp "${weights%.safetensors}.json" "$OUT/$name.json"
    done
    ;;
*)
    echo "usage: $0 sample | train DATASET ..." >&2
    exit 2
    ;;
esac
