"""What a user's mistake raises, and what a user's Ctrl-C does."""

from __future__ import annotations


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


class Interrupted(Exception):
    """The user stopped it; what is complete is kept, nothing half-written is left."""
