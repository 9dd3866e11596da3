"""Many small volumes on all processor cores: a thread takes one after the other, and each works on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")


def share(work: Callable[[Iterator[T]], None], parts: Sequence[T]) -> None:
    """Let as many threads as torch may use call ``work`` with one common iterator, each taking what is next.

    Inside, torch has one thread, so what a part gives does not depend on the number of threads. With one thread or one
    part, ``work`` is called here, and torch keeps all its threads for that part.

    Args:
        work: goes through the parts that it is given; called once in each thread.
        parts: each goes to one of the threads.
    """
    allowed = torch.get_num_threads()
    todo = iter(parts)
    if min(allowed, len(parts)) < 2:
        work(todo)
        return

    def alone() -> None:
        torch.set_num_threads(1)  # of this thread, and of those that start later
        work(todo)

    try:
        with ThreadPoolExecutor(min(allowed, len(parts))) as pool:
            for done in [pool.submit(alone) for _ in range(min(allowed, len(parts)))]:
                done.result()
    finally:
        torch.set_num_threads(allowed)
