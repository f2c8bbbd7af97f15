"""What a user's mistake raises, and what a user's Ctrl-C does."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Final

MOST_TOLD: Final = 20
"""As many mistakes are told of at a time: nobody reads more, and each has its hints worked out."""
LONGEST_PART: Final = 1_000
"""Characters of one part of a message; what is received may be a list of all that there is."""


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
            lines.append(f"  where:    {_cut(self.where)}")
        if self.received is not None:
            shown = self.received if isinstance(self.received, str) else repr(self.received)
            lines.append(f"  received: {_cut(shown)}")
        if self.remedy is not None:
            lines.append(f"  remedy:   {_cut(self.remedy)}")
        return "\n".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_PART else text[: LONGEST_PART - 3] + "..."


class SeveralErrors(MsmError):
    """More than one mistake in what the user gave; the first most likely caused others.

    Parameters
    ----------
    errors
        The mistakes that are told. What, where, received and remedy are those of the first.
    n_more
        How many there are besides.
    """

    def __init__(self, errors: Sequence[MsmError], n_more: int = 0) -> None:
        self.errors = tuple(errors)
        self.n_more = n_more
        first = self.errors[0]
        super().__init__(
            first.what, where=first.where, received=first.received, remedy=first.remedy
        )

    def __str__(self) -> str:
        """Return all messages, numbered."""
        told = "\n".join(f"{place}. {error}" for place, error in enumerate(self.errors, start=1))
        first = f"; the first {len(self.errors)} of them" if self.n_more else ""
        return f"{len(self.errors) + self.n_more:,} things are wrong{first}\n{told}"


def together(errors: Sequence[MsmError], n_more: int = 0) -> MsmError:
    """Return one error that tells of the first ``MOST_TOLD`` of them, and how many more there are.

    Parameters
    ----------
    errors
        The mistakes, at least one.
    n_more
        How many there are besides, which nobody worked out.

    Examples
    --------
    >>> print(together([MsmError("a is wrong"), MsmError("b is missing", where="f")]))
    2 things are wrong
    1. a is wrong
    2. b is missing
      where:    f
    """
    every = [one for error in errors for one in getattr(error, "errors", (error,))]
    told, rest = every[:MOST_TOLD], every[MOST_TOLD:]
    n_more += len(rest) + sum(getattr(error, "n_more", 0) for error in errors)
    return told[0] if len(told) + n_more == 1 else SeveralErrors(told, n_more)


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
