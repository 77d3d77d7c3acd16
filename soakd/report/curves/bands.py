"""Bands of a chart: the least and the greatest reading of each column, updated reading by reading."""

import math
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from soakd.report.curves.values import Band, CurvePiece

LEAST_GAP = 2.5
USUAL_STEPS = 3.5
"""A gap of more than so many usual steps breaks the line."""


class Thinner:
    """Thins one signal to the columns of a chart. Its memory does not grow with the number of readings."""

    def __init__(self, start_s: float, end_s: float, columns: int) -> None:
        self._start_s, self._columns = start_s, columns
        self._width_s = max(end_s - start_s, 1e-9) / columns
        self._cells: dict[tuple[int, int], list[float]] = {}
        self._readings = 0

    def add(self, t_s: float, value: float, life: int) -> None:
        """Add a reading; ignore one outside the chart."""
        column = int((t_s - self._start_s) / self._width_s)
        if column == self._columns:
            column -= 1  # the last moment of the chart
        if t_s < self._start_s or column > self._columns or not math.isfinite(value):
            return
        self._readings += 1
        cell = self._cells.get((life, column))
        if cell is None:
            self._cells[life, column] = [value, value, t_s, t_s]
        else:
            cell[0], cell[1] = min(cell[0], value), max(cell[1], value)
            cell[2], cell[3] = min(cell[2], t_s), max(cell[3], t_s)

    def band(self) -> Band | None:
        """Return the band; None without a reading."""
        return Band(list(self._pieces()), self._readings) if self._cells else None

    def _pieces(self) -> Iterator[CurvePiece]:
        keys = sorted(self._cells)
        steps = [b[1] - a[1] for a, b in pairwise(keys) if a[0] == b[0]]
        longest = max(LEAST_GAP, USUAL_STEPS * median(steps)) if steps else 0.0
        piece: list[tuple[int, int]] = []
        for key in keys:
            if piece and (key[0] != piece[-1][0] or key[1] - piece[-1][1] > longest):
                yield self._piece(piece)
                piece = []
            piece.append(key)
        yield self._piece(piece)

    def _piece(self, keys: list[tuple[int, int]]) -> CurvePiece:
        cells = [self._cells[key] for key in keys]
        return CurvePiece([(c[2] + c[3]) / 2 for c in cells], [c[0] for c in cells], [c[1] for c in cells])
