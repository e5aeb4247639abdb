"""A Mix: Pedalboard's to the last bit, with Boards and offline effects in parallel, aligned to the sample."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pedalboard
import pytest
from pedalboard import Chain, Delay, Gain, Invert, Pedalboard, PitchShift, Resample, Reverb
from pedalboard_native._internal import AddLatency, PrimeWithSilenceTestPlugin

from babe2_fx import GenerativeEQ
from babe2_fx.progress import Run
from babe2_fx.restoration import Progress
from babe2_host import Board, Mix
from offline_effects import Halve, Instrument, assert_same, noise, outcome
from standin import tiny_prior

PRIOR = tiny_prior()
QUICK = {"prior": PRIOR, "steps": 2, "order": 1, "quality": "draft"}
# The same branches for both: what makes a Mix, and what makes a row of plugins in it.
BRANCHES = {
    "none": lambda mix, row: mix([]),
    "dry": lambda mix, row: mix([None]),
    "dry twice": lambda mix, row: mix([None, row([])]),
    "gains": lambda mix, row: mix([Gain(-3), None, row([Gain(-6), None, Invert()])]),
    "late": lambda mix, row: mix([AddLatency(37), row([Delay(0.003), AddLatency(5)]), PrimeWithSilenceTestPlugin(9)]),
    "within": lambda mix, row: mix([row([Gain(-3), mix([None, AddLatency(7)])]), mix([Delay(0.01)]), Reverb()]),
}
SHAPES = [(0,), (1,), (1000,), (2, 0), (1, 1), (2, 1), (1, 700), (2, 700), (700, 2), (6, 300)]


class Slow(Halve):
    """An effect that reports its progress and can make a passage alone."""

    def run(self, audio, sample_rate, buffer_size, reset, journal=None, passage=None):
        def steps():
            for step in (1, 2):
                yield Progress(1, 1, step, 2, 0.0, None, step / 2)
            whole = audio * np.float32(self.amount) + audio.sum(axis=-1, keepdims=True)  # it hears the whole
            return whole[..., slice(*passage)] if passage else whole
        return Run(steps())

    def process(self, audio, sample_rate, buffer_size, reset):
        return self.run(audio, sample_rate, buffer_size, reset).finish()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("branches", BRANCHES)
def test_without_offline_effects_the_output_is_pedalboards(branches, shape):
    for rate, size, dtype in itertools.product((8000, 48000.5), (1, 64, 8192), (np.float32, np.float64)):
        audio = noise(*shape, dtype=dtype)
        native, mix = BRANCHES[branches](pedalboard.Mix, Chain), BRANCHES[branches](Mix, Board)
        assert_same(mix(audio, rate, size), native(audio, rate, size))
        assert_same(Board([mix, Gain(-3)])(audio, rate, size), Pedalboard([native, Gain(-3)])(audio, rate, size))


@pytest.mark.parametrize("block", [1, 100, 3000])
@pytest.mark.parametrize("branches", BRANCHES)
def test_streaming_gives_pedalboards_blocks(branches, block):
    native, mix = (Pedalboard([BRANCHES[branches](pedalboard.Mix, Chain), Delay(0.01)]),
                   Board([BRANCHES[branches](Mix, Board), Delay(0.01)]))
    audio = noise(2, 6000 if block > 1 else 60)
    for start in range(0, audio.shape[1], block):
        piece = audio[:, start:start + block]
        assert_same(mix(piece, 44100, 128, reset=start == 0), native(piece, 44100, 128, reset=start == 0))


def test_an_edit_within_is_heard_and_the_rest_plays_on():
    native, own = pedalboard.Mix([Delay(0.01), None]), Mix([Delay(0.01), None])
    for seed in range(3):
        for mix in (native, own):
            mix[0].feedback = 0.2 * seed
        assert_same(own(noise(2, 400, seed=seed), 44100, 128, reset=False),
                    native(noise(2, 400, seed=seed), 44100, 128, reset=False))
    row = Board([Gain(0)])
    mix = Board([Mix([None, row])])
    assert_same(mix(noise(2, 100), 44100), noise(2, 100) * np.float32(2))
    row.append(Halve())
    assert_same(mix(noise(2, 100), 44100), noise(2, 100) * np.float32(1.5))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("late", [lambda: AddLatency(100), lambda: PrimeWithSilenceTestPlugin(64),
                                  lambda: Board([AddLatency(50), Halve(1.0), AddLatency(51)])])
def test_branches_are_added_sample_by_sample_whatever_their_latency(shape, late):
    for rate, size, dtype in itertools.product((8000, 44100), (64, 8192), (np.float32, np.float64)):
        audio = noise(*shape, dtype=dtype)
        kept = audio.copy()
        mix = Mix([None, late(), Board([Gain(0), Halve(0.5)]), Mix([Halve(0.25), None])])
        made = mix(audio, rate, size)
        np.testing.assert_allclose(made, 3.75 * audio.astype(np.float32), atol=1e-5)
        assert made.dtype == np.float32 and np.array_equal(audio, kept)


def test_latency_that_depends_on_the_rate_is_made_up_for():
    audio = noise(2, 30000)
    for plugin, other in ((PitchShift(0), PitchShift(0)), (Resample(11025), Resample(11025))):
        expected = plugin(audio, 44100, 512) + audio * np.float32(0.5)
        np.testing.assert_allclose(Mix([Board([other]), Halve(0.5)])(audio, 44100, 512), expected, atol=1e-6)


def test_a_restored_branch_and_a_dry_one_are_the_sum_of_both(make_notes):
    audio = make_notes(22050, 0.6, channels=2)
    restored = GenerativeEQ(**QUICK)(audio, 22050)
    for shape in (audio, audio.T.copy()):
        made = Board([Mix([None, Board([GenerativeEQ(**QUICK), Gain(-6)])])])(shape, 22050)
        made = made if shape is audio else made.T
        np.testing.assert_allclose(made, audio + restored * 10 ** (-6 / 20), atol=1e-6)


def test_an_effect_that_writes_on_its_input_does_not_reach_the_other_branches_or_the_caller():
    class InPlace(Halve):
        def process(self, input_array, sample_rate, buffer_size, reset):
            input_array *= 2
            return input_array

    class Through(Halve):
        def process(self, input_array, sample_rate, buffer_size, reset):
            return input_array

    audio = noise(2, 100)
    kept = audio.copy()
    mix = Mix([InPlace(), None, Board([Through(), InPlace()]), InPlace()])
    np.testing.assert_allclose(mix(audio, 44100), 7 * kept, rtol=1e-6)
    assert_same(Board([Through(), InPlace()])(audio, 44100), 2 * kept)
    assert np.array_equal(audio, kept)
    audio.flags.writeable = False
    np.testing.assert_allclose(mix(audio, 44100), 7 * kept, rtol=1e-6)


def test_progress_is_of_all_effects_in_all_branches():
    board = Board([Slow(), Mix([None, Board([Slow(), Gain(0), Slow()]), Mix([Slow(), Halve()])]), Slow()])
    shares = [now.share_done for now in board.run(noise(2, 100), 44100)]
    assert np.allclose(shares, np.arange(1, 11) / 10)


def test_a_run_through_a_mix_can_be_closed():
    run = Board([Mix([Slow(), Slow()])]).run(noise(2, 100), 44100)
    next(run)
    run.close()
    with pytest.raises(RuntimeError, match="has not finished"):
        run.value  # noqa: B018


@pytest.mark.parametrize("make", [lambda: [Mix([None, Slow()])], lambda: [Mix([None, Halve()]), Slow()],
                                  lambda: [Mix([Gain(-3), AddLatency(5)]), Mix([Halve(), None])],
                                  lambda: [Mix([Board([Slow(), Gain(-3)]), Mix([Slow(), None]), Reverb()]), Halve()]])
def test_a_passage_through_a_mix_is_that_of_the_whole(make):
    audio = noise(2, 500)
    whole = Board(make())(audio, 44100)
    passage = Board(make()).run(audio, 44100, passage=(100, 300)).finish()
    np.testing.assert_allclose(passage, whole[:, 100:300], atol=1e-5)


class Journal:
    def __init__(self):
        self.blocks = {}

    def read(self, name):
        return self.blocks.get(name)

    def write(self, name, tensors):
        self.blocks[name] = tensors


def test_the_journal_reaches_every_branch(make_notes):
    audio, journal = make_notes(22050, 0.6), Journal()
    board = Board([Mix([GenerativeEQ(seed=1, **QUICK), Board([GenerativeEQ(seed=2, **QUICK)])])])
    made = board.run(audio, 22050, journal=journal).finish()
    assert len(journal.blocks) == 2
    again = board.run(audio, 22050, journal=journal)
    assert_same(again.finish(), made)
    assert len(journal.blocks) == 2


def test_a_mix_with_offline_effects_cannot_be_streamed_and_says_so():
    for board in (Mix([Halve(), None]), Board([Gain(), Mix([None, Board([Halve()])])])):
        with pytest.raises(ValueError, match="Mix with offline effects needs the whole recording at once"):
            board(noise(2, 100), 44100, reset=False)


def test_one_plugin_in_two_branches_is_refused_and_one_offline_effect_may_be_in_both():
    gain, half = Gain(), Halve()
    for plugins in ([gain, Board([gain])], [gain, half, Chain([gain])], [Board([half, gain]), Mix([gain])]):
        for made in (Mix(plugins), Board([Mix(plugins)])):
            with pytest.raises(RuntimeError, match="same plugin instance"):
                made(noise(100), 44100)
    with pytest.raises(RuntimeError, match="same plugin instance"):
        Board([gain, Mix([half, gain])])(noise(100), 44100)
    assert_same(Mix([half, half])(noise(2, 100), 44100), noise(2, 100))


def test_square_arrays_are_what_the_last_array_was():
    native, mix = pedalboard.Mix([Gain(-3), None]), Mix([Gain(-3), None, Halve(0.0)])
    for audio in (noise(2, 2), noise(300, 2), noise(2, 2, seed=1), noise(2, 300), noise(2, 2, seed=2)):
        assert outcome(lambda audio=audio: mix(audio, 44100)) == outcome(lambda audio=audio: native(audio, 44100))


@pytest.mark.parametrize("audio", [[0.1, 0.2], np.zeros(9, np.int16), None, np.zeros((1, 2, 3), np.float32)], ids=repr)
def test_what_pedalboard_refuses_is_refused_alike(audio):
    expected = outcome(lambda: pedalboard.Mix([Gain()])(audio, 44100))
    for plugins in ([], [Gain()], [Halve(), None]):
        assert outcome(lambda plugins=plugins: Mix(plugins)(audio, 44100)) is expected


@pytest.mark.parametrize("wrong, error, words", [
    ("Gain", TypeError, "A Mix takes .* not 'Gain'"), (Gain, TypeError, "Gain is a class; .* into the Mix"),
    ([Gain()], TypeError, "offline effects"), (Instrument(), ValueError, "cannot be in a Mix")])
def test_what_cannot_be_in_a_mix_is_refused(wrong, error, words):
    mix = Mix([None])
    for put in (lambda: Mix([wrong]), lambda: mix.append(wrong), lambda: mix.__setitem__(0, wrong)):
        with pytest.raises(error, match=words):
            put()
    assert list(mix) == [None]


def test_a_mix_cannot_be_within_itself():
    mix, board = Mix(), Board()
    board.append(mix)
    for within in (mix, board, Board([Mix([board])])):
        with pytest.raises(ValueError, match="into itself"):
            mix.append(within)


def test_a_mix_is_a_list_and_its_repr_makes_it():
    mix = Mix([None, Board([Halve(0.25)], title="wet"), Gain(-3)])
    assert repr(mix) == "Mix([None, Board([Halve(amount=0.25, words='', on=True, more=None)], title='wet'), " \
                        "Gain(gain_db=-3.0)])"
    assert isinstance(mix[1:], Mix) and list(mix[1:]) == list(mix)[1:] and len(Mix()) == 0
    assert [one.amount for one in Board([Halve(1.0), mix, Halve(0.5)]).effects("Halve")] == [1.0, 0.25, 0.5]
    with pytest.raises(AttributeError, match="Mix has no attribute 'ressed'. Did you mean 'reset'"):
        mix.ressed = True
    mix.reset()


def test_threads_may_share_a_mix():
    mix = Mix([None, Board([Delay(0.003), Halve(), Reverb()])])
    inputs = [noise(1 + seed % 2, 3000 + 100 * seed, seed=seed) for seed in range(8)]
    expected = [Mix([None, Board([Delay(0.003), Halve(), Reverb()])])(audio, 44100, 256) for audio in inputs]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda audio: mix(audio, 44100, 256), inputs), expected):
            assert_same(got, wanted)
