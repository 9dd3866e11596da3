"""Provenance of a result: commit, packages, processor, device. Never host names or paths."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .digests import ROOT

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "torch",
    "pytorch-lightning",
    "porespy",
    "numba",
    "pandas",
    "pytest-benchmark",
)

DRAWING_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
JUDGING_PACKAGES = ("numpy", "scipy", "scikit-image", "scikit-learn", "numba")
ALL_PACKAGES = tuple(dict.fromkeys([*DRAWING_PACKAGES, *JUDGING_PACKAGES]))

VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "PYTHONHASHSEED",
)
"""Environment variables that can change speed or the last bits of a result."""


def commit() -> str:
    """Return the clone's commit, "+changes" where tracked code differs from it; "unknown" outside a clone."""
    try:
        if not (ROOT / ".git").exists():
            return "unknown"
        head = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed else "")


@functools.cache
def versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the installed versions of packages, without the build that a version may name (``+cpu``)."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name).partition("+")[0]
    return found


def packages(names: Sequence[str]) -> str:
    """Return the installed versions of packages in one line."""
    return ", ".join(f"{name} {number}" for name, number in versions(tuple(names)).items())


def processor() -> str:
    """Return the processor's model name and its number of logical cores."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores"


def device_name(device: str) -> str:
    """Return the name of a device for tables: the GPU's own, or the processor's."""
    if not device.startswith("cuda"):
        return processor()
    import torch  # noqa: PLC0415 - takes a second, and scores do without it

    return torch.cuda.get_device_name(device)


def peak_memory_mb() -> int:
    """Return the largest memory of this process so far, 10⁶ bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def environment() -> dict[str, Any]:
    """Return machine and software of a run, for manifests."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": processor(),
        **_torch(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "bfloat16_matrix_unit": _has_flag("amx_bf16"),
        "versions": versions(),
    }


def _torch() -> dict[str, Any]:
    """Return the threads and the GPU of torch, where it is installed."""
    try:
        import torch  # noqa: PLC0415 - takes a second, and scores do without it
    except ImportError:
        return {"threads": os.cpu_count(), "gpu": None}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"threads": torch.get_num_threads(), "gpu": gpu}


def _has_flag(flag: str) -> bool:
    information = Path("/proc/cpuinfo")
    return information.is_file() and f" {flag}" in information.read_text()


def git(*arguments: str) -> str:
    """Return what a git command says of the project's clone.

    Raises:
        OSError: if there is no git.
        CalledProcessError: if it is no clone, or the command fails.
    """
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout.strip()
