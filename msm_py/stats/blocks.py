"""Blocks of days: how bootstrap replicates are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from msm_py._typing import Floats, Ints

Kind = Literal["circular", "moving", "stationary"]
FEWEST_BLOCKS: Final = 8
"""With fewer blocks than these nothing is tested: few blocks say little about how blocks vary."""
_ROUNDS = 7
"""Rounds of replicates, at most: about nine times as many replicates as asked for."""
_SPARE = 16
"""The first round has one spare replicate for this many asked for."""
_FIRST_EXTRA = 8
"""The second round has one replicate for this many asked for; each later one twice as many."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Replicates as ragged lists of blocks: replicate i has blocks [offset[i], offset[i + 1])."""

    start: Ints
    length: Ints
    offset: Ints

    def indices(self, n: int) -> Ints:
        """Return the resampled positions, shape (replicates, n)."""
        within = np.arange(self.length.sum()) - np.repeat(
            np.cumsum(self.length) - self.length, self.length
        )
        return np.asarray((np.repeat(self.start, self.length) + within) % n).reshape(-1, n)


class BlockPlan:
    """The replicates that all runs of equal length share, drawn in rounds as they are needed.

    The random stream depends on (seed, n, block_days) alone, and replicate i is the i-th of that
    stream however many are drawn. The order of the draws is that of arch's CircularBlockBootstrap,
    MovingBlockBootstrap and StationaryBootstrap: given the same generator they yield the same
    positions.

    Parameters
    ----------
    n
        Pairs per replicate.
    block_days
        Block length L (the mean length of ``stationary``). ceil(n / L) blocks, the last one cut
        so that a replicate has exactly n pairs.
    kind
        ``circular`` (starts anywhere, wrapping), ``moving`` (starts in [0, n - L]) or
        ``stationary`` (geometric lengths, wrapping; Politis & Romano 1994).
    n_boot
        Replicates asked for. Round 0 has 1/16 more, the six later rounds 1/8, 1/4, ... 4 times as
        many: spares for those that lack a regime.
    seed
        The seed.
    """

    def __init__(self, *, n: int, block_days: int, kind: Kind, n_boot: int, seed: int) -> None:
        self.n = n
        self.block_days = block_days
        self.kind = kind
        self.n_boot = n_boot
        self._seed = seed
        self._longer: dict[int, BlockPlan] = {}
        self._rng = np.random.default_rng((seed, n, block_days))
        self._rounds: list[Blocks] = []

    def longer(self, n_boot: int) -> BlockPlan:
        """Return the plan of more replicates, the first of which are this one's; kept for use."""
        if n_boot not in self._longer:
            self._longer[n_boot] = BlockPlan(
                n=self.n,
                block_days=self.block_days,
                kind=self.kind,
                n_boot=n_boot,
                seed=self._seed,
            )
        return self._longer[n_boot]

    @property
    def n_rounds(self) -> int:
        """The number of rounds there may be."""
        return _ROUNDS

    @property
    def last_days(self) -> int:
        """Length of the last block of a replicate (fixed-length kinds)."""
        return (self.n - 1) % self.block_days + 1

    def round(self, number: int) -> Blocks:
        """Return the blocks of a round, drawing what has not been drawn yet."""
        while len(self._rounds) <= number:
            if not self._rounds:
                size = self.n_boot + -(-self.n_boot // _SPARE)
            else:
                size = -(-self.n_boot // _FIRST_EXTRA) << (len(self._rounds) - 1)
            self._rounds.append(self._draw(size))
        return self._rounds[number]

    def _draw(self, n_replicates: int) -> Blocks:
        n, days = self.n, self.block_days
        if self.kind == "stationary":
            return self._draw_stationary(n_replicates)
        n_blocks = -(-n // days)
        stop = n if self.kind == "circular" else n - days + 1
        length = np.full((n_replicates, n_blocks), days, dtype=np.int64)
        length[:, -1] = self.last_days
        return Blocks(
            start=self._rng.integers(stop, size=n_replicates * n_blocks),
            length=length.ravel(),
            offset=np.arange(n_replicates + 1) * n_blocks,
        )

    def _draw_stationary(self, n_replicates: int) -> Blocks:
        n = self.n
        starts, firsts = [], []
        for _ in range(n_replicates):  # one by one, to draw in arch's order
            start = self._rng.integers(n, size=n)
            first = np.flatnonzero(self._rng.random(n) <= 1.0 / self.block_days)
            if not len(first) or first[0] != 0:
                first = np.concatenate(([0], first))
            starts.append(start[first])
            firsts.append(first)
        return Blocks(
            start=np.concatenate(starts),
            length=np.concatenate([np.diff(first, append=n) for first in firsts]),
            offset=np.concatenate(([0], np.cumsum([len(first) for first in firsts]))),
        )

    def drawn_blocks(self, number: int) -> Ints:
        """Return the blocks of a round's replicates, shape (replicates, blocks); of fixed length.

        j is the full block that starts on day j, n + j the last one of a replicate, which is cut.
        """
        blocks = self.round(number)
        drawn = blocks.start.reshape(len(blocks.offset) - 1, -1).copy()
        drawn[:, -1] += self.n
        return drawn

    def add_blocks(self, number: int, block_sums: Floats) -> Floats:
        """Return the sums over the blocks of a round's replicates.

        Parameters
        ----------
        number
            The round.
        block_sums
            Sums of some series over the blocks that `drawn_blocks` numbers, shape (2n, series).

        Returns
        -------
        Shape (replicates, series).
        """
        from msm_py.stats.sums import Terms, sums_of_slices

        drawn, width = self.drawn_blocks(number).ravel(), block_sums.shape[1]
        terms = Terms(drawn * width, np.ones(len(drawn)), self.round(number).offset)
        return sums_of_slices(block_sums, terms, width)

    def add_days(self, number: int, prefix: Floats) -> Floats:
        """Return the sums over the days of a round's replicates, of blocks of any length.

        Parameters
        ----------
        number
            The round.
        prefix
            Prefix sums of some series from 0 on, twice around the circle, shape (2n + 1, series).

        Returns
        -------
        Shape (replicates, series).
        """
        from msm_py.stats.sums import Terms, sums_of_slices

        blocks, width = self.round(number), prefix.shape[1]
        row = np.stack([blocks.start + blocks.length, blocks.start], axis=-1).ravel()
        sign = np.tile([1.0, -1.0], len(blocks.start))
        return sums_of_slices(prefix, Terms(row * width, sign, 2 * blocks.offset), width)


def replicate_indices(*, n: int, block_days: int, kind: Kind, n_replicates: int, seed: int) -> Ints:
    """Return the resampled positions of the first replicates, shape (n_replicates, n).

    Runs of equal n, block length and seed share them, which is what a joint bootstrap needs.

    Parameters
    ----------
    n, block_days, kind, seed
        As in `BlockPlan`.
    n_replicates
        How many.

    Returns
    -------
    Integer positions in [0, n).

    Examples
    --------
    >>> replicate_indices(n=5, block_days=2, kind="circular", n_replicates=2, seed=1)
    array([[4, 0, 1, 2, 0],
           [0, 1, 4, 0, 0]])
    """
    plan = BlockPlan(n=n, block_days=block_days, kind=kind, n_boot=n_replicates, seed=seed)
    return plan.round(0).indices(n)[:n_replicates]
