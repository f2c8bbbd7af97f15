"""What a user's mistake raises, and what a user's Ctrl-C does."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Final


class MsmError(Exception):
    """A mistake in what the user gave, reported in one clear paragraph.

    Parameters
    ----------
    what
        What is wrong, as a sentence without a full stop.
    where
        The file, key or table it was found in.
    received
        The value that was found there; shown with ``repr`` unless it is a string.
    remedy
        What to do about it.

    Examples
    --------
    >>> print(MsmError("n must be positive", where="short_leg.n", received=0, remedy="use 20"))
    n must be positive
      where:    short_leg.n
      received: 0
      remedy:   use 20
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        received: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.received = received
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the message, one line per part that is known."""
        lines = [self.what]
        if self.where is not None:
            lines.append(f"  where:    {self.where}")
        if self.received is not None:
            shown = self.received if isinstance(self.received, str) else repr(self.received)
            lines.append(f"  received: {shown}")
        if self.remedy is not None:
            lines.append(f"  remedy:   {self.remedy}")
        return "\n".join(lines)


class SeveralErrors(MsmError):
    """More than one mistake in what the user gave; the first most likely caused others.

    Parameters
    ----------
    errors
        The mistakes. What, where, received and remedy are those of the first.
    """

    def __init__(self, errors: Sequence[MsmError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(
            first.what, where=first.where, received=first.received, remedy=first.remedy
        )

    def __str__(self) -> str:
        """Return all messages, numbered."""
        told = "\n".join(f"{place}. {error}" for place, error in enumerate(self.errors, start=1))
        return f"{len(self.errors)} things are wrong\n{told}"


def together(errors: Sequence[MsmError]) -> MsmError:
    """Return one error that tells of all of them.

    Examples
    --------
    >>> print(together([MsmError("a is wrong"), MsmError("b is missing", where="f")]))
    2 things are wrong
    1. a is wrong
    2. b is missing
      where:    f
    """
    every = [one for error in errors for one in getattr(error, "errors", (error,))]
    return every[0] if len(every) == 1 else SeveralErrors(every)


class NoSpace(MsmError):
    """A disk is full: what is tried next on it fails as well."""


# a full disk, a full share of it, a file that grew to its limit
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def tells_no_space(text: str) -> bool:
    """Return whether a message is about a disk that is full.

    Examples
    --------
    >>> tells_no_space('IO Error: Could not write "x.duckdb": No space left on device')
    True
    """
    return any(os.strerror(number) in text for number in NO_SPACE)


def not_written(what: str, place: object, error: Exception, remedy: str) -> MsmError:
    """Return what is raised when something could not be written: `NoSpace` when a disk is full.

    Parameters
    ----------
    what
        What could not be written, as a sentence.
    place
        Where it would be.
    error
        Why: of the operating system or of DuckDB.
    remedy
        What to do about it.
    """
    reason = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "unknown")
    kind = NoSpace if tells_no_space(reason) else MsmError
    return kind(what, where=str(place), received=reason, remedy=remedy)


class Interrupted(Exception):
    """The user stopped it; what is complete is kept, nothing half-written is left."""
