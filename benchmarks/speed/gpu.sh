#!/usr/bin/env bash
# gpu.sh sample: time sampling and the machine's limits on a GPU (within 4 minutes), and leave JSON in $OUT.
# gpu.sh train MINUTES GENERATOR,...=DATASET,... ...: train networks on data sets, all at once, for so long, and leave
#     their weights in $OUT, in parts (cat weights.tar.gz.* | tar -xzC generators/weights).
# Needs a CUDA device, torch, pytorch-lightning, numpy, scipy, scikit-learn, safetensors, rich, typer, platformdirs and
# pytest-benchmark; installs nothing, needs no porespy. DEVICE=cpu rehearses "sample" with small batches on a processor.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
OUT=${OUT:-results/own/gpu}
DEVICE=${DEVICE:-cuda}
PYTHON=${PYTHON:-python3}
export PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
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
    minutes=${2:?minutes}
    shift 2
    export OMP_NUM_THREADS=2
    started=$(mktemp)
    # Kernels of several processes run side by side, where the driver has this server.
    if command -v nvidia-cuda-mps-control >/dev/null; then nvidia-cuda-mps-control -d || true; fi
    for networks in "${@:?generators=data sets}"; do
        generators=${networks%%=*} datasets=${networks#*=}
        for dataset in ${datasets//,/ }; do
            for generator in ${generators//,/ }; do
                "$PYTHON" -m porebench.benchmarks.cli train "$generator" --dataset "$dataset" --minutes "$minutes" \
                    --publish &
            done
        done
    done
    wait
    tar -C generators/weights -cz $(cd generators/weights && find . -newer "$started" -name "*.safetensors" \
        -o -newer "$started" -name "*.json") | split -b 15M - "$OUT/weights.tar.gz."
    ;;
*)
    echo "usage: $0 sample | train MINUTES GENERATOR,...=DATASET,... ..." >&2
    exit 2
    ;;
esac
