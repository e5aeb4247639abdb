"""GenerativeEQ alone and in a Board keeps the contract of Pedalboard's plugins, in tables as Pedalboard's own tests."""

import gc
import resource
import threading

import numpy as np
import pytest
from pedalboard import Gain

from babe2_fx import GenerativeEQ
from babe2_host import Board
from standin import tiny_prior

PRIOR = tiny_prior()
QUICK = {"steps": 2, "order": 1, "quality": "draft"}
SHAPES = {"mono": (-1,), "1 channel": (1, -1), "1 channel, interleaved": (-1, 1), "2 channels": (2, -1),
          "2 channels, interleaved": (-1, 2)}
MAKERS = {"effect": lambda effect: effect, "board": lambda effect: Board([effect]),
          "board of both": lambda effect: Board([Gain(-6), effect, Gain(6)])}


def shaped(audio: np.ndarray, shape: tuple) -> np.ndarray:
    """Two channels of audio in one of the shapes."""
    if len(shape) == 1:
        return audio[0].copy()
    channels = audio[:max(shape)]
    return channels.copy() if shape[0] > 0 else channels.T.copy()


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sample_rate", [22050, 44100, 48000.0])
def test_shapes_and_rates(make_notes, maker, shape, sample_rate):
    audio = shaped(make_notes(int(sample_rate), 0.3, channels=2), SHAPES[shape])
    made = MAKERS[maker](GenerativeEQ(prior=PRIOR, **QUICK))(audio, sample_rate)
    assert made.shape == audio.shape and made.dtype == np.float32 and np.isfinite(made).all()


@pytest.mark.parametrize("maker", MAKERS)
def test_the_buffer_size_changes_nothing(make_notes, maker):
    audio = make_notes(22050, 0.3, channels=2)
    plugin = MAKERS[maker](GenerativeEQ(prior=PRIOR, **QUICK))
    first = plugin(audio, 22050)
    for buffer_size in (1, 512, 8192, 1 << 20):
        np.testing.assert_allclose(plugin.process(audio, 22050, buffer_size=buffer_size), first, atol=1e-6)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("shape", ["mono", "2 channels, interleaved"])
def test_the_embedded_prior_keeps_the_same_contract(make_notes, maker, shape):
    audio = shaped(make_notes(44100, 0.5, channels=2), SHAPES[shape])
    made = MAKERS[maker](GenerativeEQ(**QUICK))(audio, 44100)
    assert made.shape == audio.shape and made.dtype == np.float32 and np.isfinite(made).all()


@pytest.mark.parametrize("maker", MAKERS)
def test_it_cannot_be_streamed(maker):
    with pytest.raises(ValueError, match="whole recording at once"):
        MAKERS[maker](GenerativeEQ(prior=PRIOR, **QUICK))(np.zeros((1, 1000), np.float32), 22050, reset=False)


def test_a_board_tells_the_progress_of_all_its_effects(make_notes):
    board = Board([GenerativeEQ(prior=PRIOR, **QUICK), Gain(0), GenerativeEQ(prior=PRIOR, **QUICK)])
    shares = [now.share_done for now in board.run(make_notes(22050, 0.3), 22050)]
    assert shares == sorted(shares) and len(shares) == 4 and shares[1] == 0.5 and shares[-1] == 1.0


def test_threads_share_one_embedded_prior_and_get_what_they_would_get_alone(make_notes):
    audio = [make_notes(22050, 0.5, seed=seed) for seed in range(3)]
    alone = [GenerativeEQ(**QUICK)(x, 22050) for x in audio]
    together = [None] * 3

    def work(i):
        together[i] = Board([GenerativeEQ(**QUICK)])(audio[i], 22050)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(alone, together))


def test_memory_does_not_grow_over_fifty_renders(make_notes):
    """With the stand-in; the peak of the process rises by less than two renders' worth of audio."""
    audio = make_notes(22050, 2.0)
    board = Board([Gain(0), GenerativeEQ(prior=PRIOR, **QUICK)])
    for _ in range(5):
        board(audio, 22050)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(50):
        board(audio, 22050)
    gc.collect()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # kB
