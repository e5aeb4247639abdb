"""What makes two runs one: a journal's blocks are only for a run that would make the same."""

import numpy as np
import pytest
import torch

from babe2_fx.operators import Clip
from babe2_fx.restoration import Restorer, journal
from babe2_fx.settings import Settings
from standin import tiny_prior

QUICK = Settings.of(steps=2, order=1, guidance="direct", filter_fit="global", s_churn=0.0, low_band="drop")


class Kept(dict):
    """A journal in memory."""

    def read(self, name):
        return self.get(name)

    def write(self, name, tensors):
        self[name] = tensors


def run(audio, kept, settings=QUICK, **more):
    return Restorer(tiny_prior(), settings, journal=kept, **more).restore(audio, 22050).audio


def test_the_same_run_takes_its_blocks_and_has_the_same_result(make_notes):
    audio, kept = make_notes(22050, 3.2), Kept()
    first = run(audio, kept)
    names = set(kept)
    assert len(names) > 1 and np.array_equal(run(audio, kept), first) and set(kept) == names
    for tensors in kept.values():
        tensors["restored"] = torch.zeros_like(tensors["restored"])
    inside = slice(4410, -4410)  # the ends are the recording's own
    assert np.std(run(audio, kept)[:, inside]) < 0.01 * np.std(first[:, inside])  # they are really taken


@pytest.mark.parametrize("change", ["version", "torch", "seed", "operators", "audio"])
def test_another_run_makes_its_own(make_notes, monkeypatch, change):
    """Also one of another version of this program, or of PyTorch, which may compute something else."""
    audio, kept = make_notes(22050, 1.0), Kept()
    run(audio, kept)
    before, settings, more = len(kept), QUICK, {}
    if change == "version":
        monkeypatch.setattr(journal, "__version__", "9.9.9")
    elif change == "torch":
        monkeypatch.setattr(torch, "__version__", "9.9.9")
    elif change == "seed":
        settings = QUICK.replace(seed=1)
    elif change == "operators":
        more = {"operators": [Clip(-1.0)]}
    else:
        audio = audio + 1e-4
    run(audio, kept, settings, **more)
    assert before and len(kept) == 2 * before
