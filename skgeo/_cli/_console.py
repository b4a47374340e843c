"""What the commands say to people, and how they end."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

#: Exit codes. 1: done, but some photos could not be used. 2: nothing done, the message says why.
DONE, PARTLY, WRONG, INTERRUPTED = 0, 1, 2, 130

#: Reasons that are listed one by one; the rest is counted.
_LISTED = 10


class CommandError(Exception):
    """Something that the user can put right; its text is all that is shown."""


def say(text: str) -> None:
    """Tell people; what programs read goes to the standard output instead."""
    print(text, file=sys.stderr, flush=True)


def list_problems(problems: Sequence[tuple[str, str]], what: str, *, everything: bool) -> None:
    """Name photos that could not be used and why."""
    if not problems:
        return
    say(f"{len(problems)} {what}:")
    shown = problems if everything else problems[:_LISTED]
    for photo, reason in shown:
        # Reasons of the library name the photo themselves.
        for known in (f"{photo!r}: ", f"{photo}: "):
            reason = reason.removeprefix(known)
        say(f"  {photo}: {reason}")
    if len(shown) < len(problems):
        say(f"  ... and {len(problems) - len(shown)} more (-v lists all)")


@contextlib.contextmanager
def short_warnings() -> Iterator[None]:
    """Show warnings as one line each, without the place in the code."""

    def show(message: Warning | str, category: type[Warning], *_: Any) -> None:
        # Warnings for programmers are of no use to who types commands.
        if not issubclass(category, DeprecationWarning | PendingDeprecationWarning | ImportWarning):
            say(f"skgeo: warning: {message}")

    with warnings.catch_warnings():
        # Each text once, whatever the filters were.
        warnings.simplefilter("default")
        warnings.showwarning = show  # type: ignore[assignment]
        yield
