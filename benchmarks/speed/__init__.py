"""Clocks: pytest-benchmark modules, generators of other toolboxes, time and memory against size."""
