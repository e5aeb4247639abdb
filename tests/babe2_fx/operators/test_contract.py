"""One contract for every operator of the registry, alone and behind the blind EQ, in the domain of a real prior."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from babe2_fx.beyond import BandFit, DirectGuidance
from babe2_fx.equalizer import BreakpointEQ, FilterFit
from babe2_fx.operators import (
    OPERATORS,
    Chain,
    Clip,
    FixedFilter,
    InvertibleOperator,
    Operator,
    OperatorError,
    Place,
    as_operators,
    invertible,
    make_operator,
    operator_values,
    registry,
)
from babe2_fx.priors import Emphasis
from babe2_fx.restoration.domain import Domain, OnAudio
from babe2_fx.spectra import filter_frequencies
from standin import tiny_prior

RATE, LENGTH = 22050, 16384
# Parameters with which an operator does something to the signals below.
PARAMETERS = {"time-mask": {"gaps_s": "0.1-0.2, 0.5-0.55"}, "clip": {"threshold_db": -12}}
NAMES = list(OPERATORS)


TRUE = (60.0, 200.0, 900.0, 2500.0, 6000.0), (6.0, 3.0, -3.0, -9.0)  # breakpoints in Hz, slopes in dB per octave


def fitter() -> FilterFit:
    fit = FilterFit(RATE)
    fit.parameters = np.array([*TRUE[0], *TRUE[1]])
    return fit


def place(rows: int = 1, length: int = LENGTH, noise=1e-9) -> Place:
    return Place(tuple(range(0, rows * length, length)), length, RATE, noise, fitter())


def operator(name: str, where: Place):
    return make_operator(name, **PARAMETERS.get(name, {})).at(where)


def signals(rows: int = 2, length: int = LENGTH, seed: int = 0) -> torch.Tensor:
    return 0.2 * torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


def test_shape_dtype_and_rows(name):
    x = signals(3)
    both, alone = operator(name, place(3)), operator(name, Place((LENGTH,), LENGTH, RATE, 1e-9, fitter()))
    y = both.apply(x)
    assert y.shape == x.shape and y.dtype == x.dtype and torch.isfinite(y).all()
    assert torch.allclose(alone.apply(x[1:2]), y[1:2], atol=1e-5 * float(y.abs().max()))  # a row is that of its block


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_it_works_where_the_signal_is(name, device):
    one, x = operator(name, place()), signals(1)
    assert one.apply(x.to(device)).device.type == device
    assert torch.allclose(one.apply(x.to(device)).cpu(), one.apply(x), atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 5000])
def test_silence_and_any_length(name, length):
    where = place(1, length)
    assert not operator(name, where).apply(torch.zeros(1, length)).any()
    assert operator(name, where).apply(signals(1, length)).shape == (1, length)


def test_the_gradient_is_the_operators(name):
    """Along a random direction, against differences; what crosses a kink of the operator meanwhile is the tolerance."""
    one, x, direction = operator(name, place()), signals(1), signals(1, seed=1)
    x.requires_grad_()
    weights = signals(1, seed=2)
    gradient, = torch.autograd.grad((weights * one.apply(x)).sum(), x)
    with torch.no_grad():
        step = 1e-3
        ahead, behind = (one.apply(x + side * step * direction).double() for side in (1, -1))
    expected = float((weights.double() * (ahead - behind)).sum()) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.05, abs=1e-3)


def test_an_inverse_explains_most_of_what_was_observed_and_silence_with_nothing(name):
    one, clean, guess = operator(name, place()), signals(1), signals(1, seed=3)
    if not isinstance(one, InvertibleOperator):
        with pytest.raises(OperatorError, match="no inverse"):
            invertible(one)
        return
    with torch.no_grad():
        y = one.apply(clean)
        assert float(one.invert(torch.zeros_like(y), 1.0).abs().max()) < 1e-6
        before = y - one.apply(guess)
        after = y - one.apply(guess + one.invert(before, 1.0))
    inside = slice(4096, -4096)  # a frame-by-frame filter does not invert its own ends
    assert float(after[:, inside].norm()) < 0.25 * float(before[:, inside].norm())


def test_what_is_known_is_a_share_that_falls_with_the_noise(name):
    if not isinstance(operator(name, place()), InvertibleOperator):
        return
    quiet, noisy = (operator(name, place(noise=noise)).known(0.01) for noise in (1e-9, 1e-2))
    assert quiet.shape == (2049,) and ((quiet >= 0) & (quiet <= 1)).all() and (noisy <= quiet).all()


@pytest.mark.parametrize("seed", [0, 3])
def test_what_is_put_right_stays(name, seed):
    """Of the clean signal nothing is changed that was observed; of a guess, what is put right once is right."""
    one, clean, guess = operator(name, place()), signals(1), signals(1, seed=seed)
    if not isinstance(one, InvertibleOperator):
        return
    y = one.apply(clean)
    settled = one.settle(guess, y)
    assert torch.equal(one.settle(settled, y), settled)
    if name in ("time-mask", "clip"):  # which leave no doubt of what they let through
        assert torch.allclose(one.apply(settled), y, atol=1e-3)


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_on_audio_means_on_audio(name, offset):
    """Out of a flattened, scaled domain and in again: what reaches the operator is the recording as it was."""
    prior = tiny_prior()
    prior.emphasis = Emphasis(torch.linspace(-6, 12, 1025))
    domain = Domain(prior, RATE)
    audio = (signals(2) + offset)[:, :LENGTH]
    domain.set_level(flat := domain.enter(audio.clone()))
    inner = operator(name, place(2))
    there = OnAudio(inner, domain, [0, 1])
    inside = slice(4096, -4096)
    heard, expected = there._out(there.apply(flat)), inner.apply(audio)
    assert float((heard - expected)[:, inside].norm()) < 0.02 * float(expected[:, inside].norm())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "blind-eq"])
def test_it_stands_in_a_chain_behind_the_blind_eq_whose_fit_it_does_not_disturb(name):
    fit = BandFit(RATE, 86.0)
    where = Place((0,), 65536, RATE, 1e-9, fit)
    true, clean, other = BreakpointEQ(*TRUE, RATE), signals(1, 65536), operator(name, where)
    equalized = FixedFilter(true.response(filter_frequencies(RATE))).apply(clean)
    y = other.apply(equalized)
    assert not torch.allclose(y, equalized, atol=0.01)  # the other one acts
    chain = Chain([operator("blind-eq", where), other])
    for _ in range(4):
        chain.fit(clean, y, 0.0)
    hz = np.array([150.0, 500.0, 1000.0, 2000.0])
    assert np.abs(fit.equalizer.response_db(hz) - true.response_db(hz)).max() < 1.5
    assert chain.invert(y, 1.0).shape == y.shape and chain.known(1.0).shape == (2049,)


def test_values_make_the_same_operator(name):
    one = make_operator(name, **PARAMETERS.get(name, {}))
    assert make_operator(**operator_values(one)) == one and one.domain in ("audio", "prior")


@pytest.mark.parametrize("asked, sentence", [
    (("kazoo", {}), "no operator called 'kazoo'; there are blind-eq, low-pass, time-mask, clip"),
    (("low-pass", {"cutof_hz": 3}), "has no parameter 'cutof_hz'; it has cutoff_hz, order"),
    (("blind-eq", {"x": 3}), "it has none"),
    (("low-pass", {"cutoff_hz": "high"}), "cutoff_hz of the operator low-pass must be a number, not 'high'"),
    (("low-pass", {"cutoff_hz": 1e9}), "from 20 to 96000"), (("clip", {"threshold_db": 3}), "from -80 to 0"),
    (("clip", {"threshold_db": float("nan")}), "from -80 to 0"),
    (("time-mask", {"gaps_s": "1.7-1.5"}), "a start and a later end"),
    (("time-mask", {"gaps_s": "soon"}), "as in 1.5-1.7"), (("time-mask", {"gaps_s": 3}), "as in 1.5-1.7")])
def test_what_cannot_be_made_is_said(asked, sentence):
    with pytest.raises(OperatorError) as error:
        make_operator(asked[0], **asked[1])
    assert sentence in str(error.value)


def test_an_operator_without_an_inverse_is_refused_by_the_direct_guidance():
    class Squared(Operator):
        def apply(self, x):
            return x.square()
    with pytest.raises(OperatorError, match="Squared has no inverse, so it needs guidance = gradient"):
        DirectGuidance(tiny_prior(), Squared(), signals(1))
    with pytest.raises(OperatorError, match="no inverse"):
        Chain([Clip(), Squared()]).invert(signals(1), 1.0)


@pytest.mark.parametrize("rate", [22050, 44100])
def test_a_gap_is_where_it_is_also_after_hours(rate):
    hour = 3600.0
    mask = make_operator("time-mask", gaps_s=[(hour + 1.0, hour + 1.01)])
    (begin, end), = mask.hidden(rate)
    assert (begin, end) == (round(3601 * rate), round(3601.01 * rate))
    start = int(hour * rate)
    inside = mask.at(Place((start, 0), 2 * rate, rate)).mask
    assert inside[0].nonzero()[[0, -1], 0].tolist() == [begin - start, end - start - 1] and not inside[1].any()


@pytest.mark.parametrize("given, sentence", [
    ("time-mask", "must be a list"), ({"name": "clip"}, "must be a list"), (3, "must be a list"), ([], "is empty"),
    ([{"threshold_db": -3}], "must have a name, one of blind-eq, low-pass"), ([Clip], "is not an operator"),
    ([42], "is not an operator"), ([{"name": "blind-eq"}, {"name": "blind-eq"}], "only once")])
def test_a_list_that_is_none_is_said(given, sentence):
    with pytest.raises(OperatorError, match=sentence):
        as_operators(given)


def test_another_package_adds_an_operator_by_an_entry_point(monkeypatch):
    @dataclass(frozen=True)
    class Worn(Clip):
        name = "worn"
    entry = SimpleNamespace(name="worn", load=lambda: Worn)
    monkeypatch.setattr(registry, "OPERATORS", dict(OPERATORS))
    monkeypatch.setattr(registry, "entry_points", lambda group, name: [entry] * (name == "worn"))
    assert make_operator("worn", threshold_db=-3) == Worn(-3)
    with pytest.raises(OperatorError, match="no operator called 'torn'"):
        make_operator("torn")
