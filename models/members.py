"""Members: the networks of one ensemble side by side, one call of compiled code for all of them. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from markets.candles import FloatArray
from models.features import Float32Array
from models.fitted import TrainedNetwork
from models.outputs import read_values
from models.recurrence import CellState, run_cells
from models.variance import base_log


class Members:
    """Networks of equal settings and inputs: what each says of the same rows, to the bits of TrainedNetwork.forecast.

    Weights, scalers and figures stand side by side with a leading axis of members.
    """

    def __init__(self, networks: Sequence[TrainedNetwork]) -> None:
        self.networks, self.params = tuple(networks), networks[0].params
        cells = [one.cell for one in networks]
        self._gates, self._heads = np.stack([one.gates for one in cells]), np.stack([one.head for one in cells])
        self._centres = np.stack([one.scaler.centre for one in networks])
        self._spreads = np.stack([one.scaler.spread for one in networks])
        self._figures = np.array([(one.deviation, one.slope, one.tail) for one in networks])
        self._has_base = any(len(one.base) for one in networks)

    def fresh_state(self) -> CellState:
        """The state of all members before the first bar, shape (members, layers, hidden) each."""
        shape = (len(self.networks), self.params.layers, self.params.hidden)
        return CellState(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def run(self, features: Float32Array, state: CellState) -> Float32Array:
        """The raw values of each member at every row of features, (members, rows, values); moves `state` on."""
        values = self.params.raw_values
        return run_cells(features, (self._centres, self._spreads), (self._gates, self._heads), state, values)

    def forecast(self, features: Float32Array, state: CellState) -> FloatArray:
        """The columns `params.outputs` of each member at every row, (members, rows, columns); moves `state` on."""
        values = self.run(features, state)
        members, rows = values.shape[:2]
        bases = np.zeros(members * rows)
        if self._has_base:
            columns = features[:, features.shape[1] - len(self.networks[0].base) :].astype(np.float64)
            bases = np.concatenate([base_log(one.base, columns, self.params) for one in self.networks])
        figures = self._figures if rows == 1 else np.repeat(self._figures, rows, axis=0)
        said = read_values(values.reshape(members * rows, -1).astype(np.float64), bases, self.params, *figures.T)
        return said.reshape(members, rows, -1)
