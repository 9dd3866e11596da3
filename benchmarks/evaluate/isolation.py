"""A function run in a process of its own, with limits; whatever happens to it is an answer, never a crash here.

Processes come from a fork server that has the heavy libraries loaded (``spawn`` where there is none), so that each
starts in a fraction of a second and shares nothing with the others.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from porebench import generators

PRELOADED = (
    f"{__package__}.draw",
    *sorted({f"{generators.__name__}.{target.partition(':')[0]}" for target in generators.GENERATORS.values()}),
)
STARTING = 120.0
"""Seconds that a process may take to start, before its own clock begins."""


class Tell(Protocol):
    """Sends facts to the process that waits; a new phase starts the clock again."""

    def __call__(self, **facts: str) -> None:
        """Send the facts."""


class IsolatedError(RuntimeError):
    """A function that did not come to its end.

    Attributes:
        kind: name of the exception it raised; "" if it did not end by one.
        facts: what it had told by then.
        seconds: how long it had run.
    """

    def __init__(self, reason: str, kind: str, facts: dict[str, str], seconds: float) -> None:
        super().__init__(reason)
        self.kind = kind
        self.facts = facts
        self.seconds = seconds


def warm_up() -> None:
    """Start the fork server, which loads its libraries while the caller goes on."""
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver  # noqa: PLC0415 - not on Windows

        forkserver.ensure_running()


def call(
    function: Callable[..., Any], *arguments: Any, timeout: float | None = None, memory: int | None = None
) -> tuple[Any, dict[str, str]]:
    """Return the result of ``function(*arguments, tell)``, run in a process of its own.

    Args:
        function: of a module; takes a ``Tell`` as its last argument and returns a JSON value.
        arguments: what it is called with; pickled.
        timeout: seconds that each of its phases may take.
        memory: bytes of its own that it may allocate (Linux; elsewhere as far as the system can).

    Returns:
        The result, and the facts that it told.

    Raises:
        IsolatedError: if it raised, crashed, ran out of memory, took too long or ended without a result.
    """
    context = _context()
    ours, theirs = context.Pipe()
    # not a daemon, so that it may have processes of its own; it ends when this one does
    process = context.Process(target=_child, args=(theirs, memory, function, arguments), daemon=False)
    began = time.monotonic()
    facts: dict[str, str] = {}
    try:
        process.start()
        theirs.close()
        answer = _listen(process, ours, facts, timeout)
    finally:
        _stop(process)
        ours.close()
    if "result" in answer:
        return answer["result"], facts
    raise IsolatedError(answer["reason"], answer.get("kind", ""), facts, time.monotonic() - began)


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _listen(process: Any, ours: Connection, facts: dict[str, str], timeout: float | None) -> dict[str, Any]:
    """Take messages until there is an answer, the time is over, or the process is no more."""
    deadline = None if timeout is None else time.monotonic() + timeout + STARTING
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return {"reason": f"took longer than {timeout:g} s and was stopped"}
        ready = wait([ours, process.sentinel], left)
        if ours in ready:
            try:
                message = json.loads(ours.recv_bytes())
            except (EOFError, OSError, ValueError):
                process.join(5)
                return {"reason": _ending(process.exitcode)}
            if "facts" not in message:
                return dict(message)
            facts.update(message["facts"])
            deadline = None if timeout is None else time.monotonic() + timeout
        elif ready:
            return {"reason": _ending(process.exitcode)}


def _ending(exitcode: int | None) -> str:
    """Return how a process that gave no answer ended."""
    if exitcode is None or exitcode >= 0:
        return f"ended without a result (exit code {exitcode})"
    name = signal.Signals(-exitcode).name if -exitcode in set(signal.Signals) else f"signal {-exitcode}"
    return f"was killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


def _stop(process: Any) -> None:
    """End a process and what it has started, if they still run."""
    if process.pid is None:
        return
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, with all of its own
            os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()
    process.join()
    process.close()


def _child(pipe: Connection, memory: int | None, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Run the function in the new process, and send its result or the reason why there is none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who waits for it decides
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, to be ended as one
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    lock = threading.Lock()

    def send(**message: Any) -> None:
        with lock:
            pipe.send_bytes(json.dumps(message, default=repr).encode())

    def tell(**facts: str) -> None:
        send(facts=facts)

    sys.stdout.flush()
    os.dup2(2, 1)  # what a generator prints is no part of the table
    try:
        _limit(memory)
        send(result=function(*arguments, tell))
    except BaseException as error:  # even SystemExit: its failure is the answer
        _limit(None)
        send(reason=_reason(error, memory), kind=type(error).__name__)


def _end_with(pipe: Connection) -> None:
    """End this process when the one that waits for it is no more: nothing is ever sent this way."""
    try:
        pipe.poll(None)
    finally:
        os._exit(1)


def _limit(memory: int | None) -> None:
    """Limit the memory that this process may allocate; None lifts the limit."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard if memory is None else memory, hard))


def _reason(error: BaseException, memory: int | None) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        limit = "" if memory is None else f" (the limit is {memory / 1e9:.1f} GB)"
        return f"ran out of memory{limit}"
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r}); raise an error instead, `raise RuntimeError({error.code!r})`"
    if isinstance(error, Exception) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
