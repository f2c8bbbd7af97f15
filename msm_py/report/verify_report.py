"""What ``msm verify`` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import RenderableType

from msm_py.report.figures import count_of
from msm_py.report.terminal import Text
from msm_py.runner.verification import Verified

DIGITS: Final = 12  # of a hash


def verdict(found: Verified) -> RenderableType:
    """Return what is known of a run: a line, and one for everything that is wrong or other."""
    if found.error is not None:
        said = (found.error, "red")
    elif found.touched:
        said = ("files were touched", "red")
    elif found.differs:
        said = ("made again it differs", "red")
    elif found.note is not None:
        said = (found.note, "yellow")
    else:
        said = ("the same, made again" if found.is_made_again else "as it was written", "green")
    return Text.assemble(
        (found.run_id, "cyan"),
        ": ",
        said,
        *(f"\n  {text}" for text in found.touched),
        *(
            (f"\n  another {name}: {now[:DIGITS]}, the run has {then[:DIGITS]}", "yellow")
            for name, (then, now) in found.origin.items()
        ),
        *(f"\n  {text}" for text in found.differs),
    )


def summary(found: Sequence[Verified], others: Mapping[str, str]) -> Text:
    """Return how many runs are sound, and what else there is, by name, with why it is no run."""
    n_sound = sum(x.is_sound for x in found)
    text = f"{n_sound} of {count_of(len(found), 'run')} sound"
    if n_unknown := sum(x.note is not None for x in found):
        text += f"; of {n_unknown} nobody knows whether files were touched"
    if n_other := sum(bool(x.origin) for x in found):
        text += f"; {n_other} on another lake or with other code"
    told = Text(text + ".", style="bold")
    for name, reason in others.items():
        told.append(f"\nNo run: {name} ({reason})", "not bold")
    return told
