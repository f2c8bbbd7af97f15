"""What a user's mistake raises, and what a user's Ctrl-C does."""

from __future__ import annotations

from collections.abc import Sequence


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


class Interrupted(Exception):
    """The user stopped it; what is complete is kept, nothing half-written is left."""
