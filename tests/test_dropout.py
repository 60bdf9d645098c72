"""Dropout: masks of the right share, without a pattern, and the same for a network alone and in a group."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

import models.dropout
from models.dropout import INPUTS, STATES, dropout_mask, step_keys
from models.network import ForecastNetwork
from models.parameters import LSTMParams

SHAPE = (40, 32, 16)


def mask(seed: int, step: int, place: int = INPUTS, rate: float = 0.25) -> np.ndarray:
    """The places that one network keeps at a step, as 0 and 1."""
    keys = step_keys(torch.tensor([seed]), torch.tensor([step]))
    return (dropout_mask(keys[place], *SHAPE, rate)[0] > 0.0).numpy().astype(float)


@pytest.mark.parametrize("rate", [0.05, 0.25, 0.5, 0.9])
def test_the_share_that_is_dropped(rate: float) -> None:
    """Over 200 masks the share of kept places lies within 4 errors of 1 - rate; the mean of a mask is 1."""
    keys = step_keys(torch.arange(200), torch.tensor([7]))
    made = dropout_mask(keys[STATES], *SHAPE, rate)
    kept = (made > 0.0).to(torch.float64)
    error = (rate * (1.0 - rate) / kept.numel()) ** 0.5
    assert abs(kept.mean().item() - (1.0 - rate)) < 4.0 * error
    assert sorted(made.unique().tolist()) == pytest.approx([0.0, 1.0 / (1.0 - rate)])
    shares = kept.mean(dim=(1, 2, 3)).numpy()
    spread = shares.std() / (rate * (1.0 - rate) / np.prod(SHAPE)) ** 0.5
    assert 0.8 < spread < 1.2, "from mask to mask the share varies as it does by chance"


def test_masks_have_no_pattern() -> None:
    """Seeds, steps and places give masks that agree as often as chance does, along every axis, too."""
    some = [
        mask(seed, step, place) for seed in (0, 1, 2**31 + 5) for step in (1, 2, 1000) for place in (INPUTS, STATES)
    ]
    odds = []
    for one, other in combinations(some, 2):
        agree = int((one * other).sum())
        odds.append(stats.binomtest(agree, one.size, 0.75**2).pvalue)
    for one in some:
        for axis in range(3):
            agree = (one * np.roll(one, 1, axis)).sum()
            odds.append(stats.binomtest(int(agree), one.size, 0.75**2).pvalue)
    assert stats.kstest(odds, "uniform").pvalue > 1e-4
    assert min(odds) > 1e-3 / len(odds)


def test_a_weak_hash_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a hash of one product has a pattern."""
    monkeypatch.setattr(models.dropout, "_mix", lambda x: (x * 0x7FEB352D) & 0xFFFFFFFF)
    with pytest.raises(AssertionError):
        test_masks_have_no_pattern()


def test_a_network_in_a_group_draws_its_own() -> None:
    """Whatever stands beside it, and however often it is asked."""
    step = torch.tensor([3])
    group = dropout_mask(step_keys(torch.tensor([4, 9, 2**32 - 1]), step)[STATES], *SHAPE, 0.3)
    for number, seed in enumerate((4, 9, 2**32 - 1)):
        alone = dropout_mask(step_keys(torch.tensor([seed]), step)[STATES], *SHAPE, 0.3)[0]
        assert torch.equal(group[number], alone)
    assert not torch.equal(group[0], group[1])


def test_a_network_draws_anew_at_each_step() -> None:
    """In training a step changes what a network says, the same step does not, and random states count for nothing."""
    network = ForecastNetwork(3, LSTMParams(hidden=4, dropout=0.5)).train()
    torch.nn.init.normal_(network.head.weight)
    inputs, said = torch.randn(5, 20, 3), []
    for step in (1, 2, 1):
        torch.manual_seed(step + len(said))
        network.at_step(7, step)
        said.append(network(inputs)[0])
    assert torch.equal(said[0], said[2])
    assert not torch.equal(said[0], said[1])
