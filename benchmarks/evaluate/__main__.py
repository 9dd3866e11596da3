"""``python -m benchmarks.evaluate``, the same as ``porebench evaluate``."""

from porebench.benchmarks.cli import main

if __name__ == "__main__":
    main("evaluate")
