"""A Board: Pedalboard's to the last bit, with offline effects, from several threads, and as Python text."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pedalboard
import pytest
from pedalboard import (
    BrickwallLimiter,
    Chain,
    Compressor,
    Convolution,
    Delay,
    Distortion,
    Gain,
    HighpassFilter,
    Invert,
    LadderFilter,
    Mix,
    PeakFilter,
    Pedalboard,
    Phaser,
    PitchShift,
    Resample,
    Reverb,
)
from pedalboard_native._internal import AddLatency, PrimeWithSilenceTestPlugin

from babe2_host.boards.board import Board, OfflineEffect
from offline_effects import Halve, assert_same, noise, outcome


class Broken(Halve):
    """An effect that returns whatever it was made with."""

    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def process(self, input_array, sample_rate, buffer_size, reset):
        return self.returned


# Each makes new plugins, for two boards must not share them.
CHAINS = {
    "empty": list,
    "filters": lambda: [HighpassFilter(80), PeakFilter(1000, 4, 0.7), LadderFilter(LadderFilter.Mode.LPF24)],
    "dynamics": lambda: [Compressor(-20, 4), Distortion(10), BrickwallLimiter(-1)],
    "tails": lambda: [Delay(0.01, 0.5, 0.5), Phaser(), Reverb()],
    "late": lambda: [AddLatency(37), Gain(-3), PrimeWithSilenceTestPlugin(100), Resample(8000)],
    "nested": lambda: [Gain(-3), Mix([Chain([Delay(0.003), AddLatency(5)]), Chain([])]),
                       Pedalboard([Invert(), Reverb()])],
}
SHAPES = [(0,), (1,), (1000,), (2, 0), (0, 2), (1, 1), (2, 1), (3, 2), (1, 700), (2, 700), (700, 1), (700, 2),
          (6, 300)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chain", CHAINS)
def test_without_offline_effects_the_output_is_pedalboards(chain, shape):
    for rate in (8000, 44100, 48000.5, 96000):
        for size in (1, 64, 512, 8192, 100000):
            for dtype in (np.float32, np.float64):
                audio = noise(*shape, dtype=dtype)
                expected = Pedalboard(CHAINS[chain]())(audio, rate, size)
                board = Board(CHAINS[chain]())
                assert_same(board(audio, rate, size), expected)
                assert_same(board.process(input_array=audio, sample_rate=rate, buffer_size=size), expected)


def test_pitch_shift_too():  # which is slow, and whose latency is long
    audio = noise(2, 700)
    expected = Pedalboard([Gain(-3), PitchShift(3), Delay(0.01)])(audio, 44100, 512)
    assert_same(Board([Gain(-3), PitchShift(3), Delay(0.01)])(audio, 44100, 512), expected)


@pytest.mark.parametrize("block", [1, 100, 512, 3000])
@pytest.mark.parametrize("chain", CHAINS)
def test_streaming_gives_pedalboards_blocks(chain, block):
    native, board = Pedalboard(CHAINS[chain]()), Board(CHAINS[chain]())
    audio = noise(2, 6000 if block > 1 else 60)
    for size in (64, 8192):
        for start in range(0, audio.shape[1], block):
            piece = audio[:, start:start + block]
            first = start == 0
            assert_same(board(piece, 44100, size, reset=first), native(piece, 44100, size, reset=first))


def test_boards_within_stream_as_pedalboards_within():
    def chain(kind):
        return kind([Gain(-3), kind([AddLatency(37), kind([Delay(0.01)]), kind([])]), Reverb()])

    native, board = chain(Pedalboard), chain(Board)
    for seed in range(5):
        piece = noise(2, 300, seed=seed)
        assert_same(board(piece, 44100, 128, reset=False), native(piece, 44100, 128, reset=False))


def test_edits_and_changed_parameters_are_heard_as_in_pedalboard():
    boards = [Pedalboard([Delay(0.01), Gain(-3)]), Board([Delay(0.01), Gain(-3)])]
    edits = [lambda b: setattr(b[1], "gain_db", -9), lambda b: b.insert(0, Reverb()),
             lambda b: b.append(Invert()), lambda b: b.remove(b[1]),
             lambda b: b.__setitem__(0, Phaser()), lambda b: b.__delitem__(-1)]
    for seed, edit in enumerate(edits):
        for b in boards:
            edit(b)
        native, own = (b(noise(2, 400, seed=seed), 44100, 128, reset=False) for b in boards)
        assert_same(own, native)


@pytest.mark.parametrize("square", [(2, 2), (2, 1), (3, 3)], ids=str)
@pytest.mark.parametrize("first", [(2, 300), (300, 2), (300,)], ids=str)
def test_the_layout_of_square_arrays_is_remembered_as_in_pedalboard(first, square):
    native, board = Pedalboard([Delay(0.0001), Gain()]), Board([Delay(0.0001), Gain()])
    audio = noise(*square, seed=7)
    for do in (lambda b: b(noise(*first), 44100), lambda b: b.append(Invert()), lambda b: b.reset()):
        do(native)
        do(board)
        assert outcome(lambda: board(audio, 44100)) == outcome(lambda: native(audio, 44100))


@pytest.mark.parametrize("plugins", [[], [Gain()], [Halve()]], ids=["empty", "native", "offline"])
@pytest.mark.parametrize("arguments", [
    ([0.1, 0.2], 44100), (np.zeros(9, np.int16), 44100), (np.zeros(9, np.float16), 44100), (None, 44100),
    (np.zeros((1, 2, 3), np.float32), 44100), (np.float32(1), 44100), (np.zeros((0, 0)), 44100),
    (np.zeros((2, 2)), 44100), (np.zeros(9), "fast"), (np.zeros(9), None), (np.zeros(9), 44100, 1.5),
    (np.zeros(9), 44100, -1), (np.zeros(9), 44100, 512, "yes"),
], ids=repr)
def test_what_pedalboard_refuses_is_refused_alike(plugins, arguments):
    expected = outcome(lambda: Pedalboard([Gain()])(*arguments))
    assert issubclass(expected, Exception)
    assert outcome(lambda: Board(plugins)(*arguments)) is expected


def test_a_buffer_of_nothing_is_refused_where_pedalboard_would_never_return():
    with pytest.raises(ValueError, match="buffer_size must be at least 1, not 0"):
        Board([Gain()])(noise(2, 100), 44100, 0)


@pytest.mark.parametrize("effects", [[], [Halve()]], ids=["native", "mixed"])
def test_one_plugin_in_two_places_is_refused(effects):
    gain = Gain()
    for other in (gain, Mix([Chain([gain])]), Board([gain])):
        with pytest.raises(RuntimeError, match="same plugin instance"):
            Board([gain, *effects, other])(noise(100), 44100)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_offline_effects_run_between_pedalboards(shape):
    audio = noise(*shape, dtype=np.float64)
    half = Halve(0.5)
    board = Board([Delay(0.002), Gain(-3), half, Reverb(), Invert(), Halve(0.25), half])
    before, after = Pedalboard([Delay(0.002), Gain(-3)]), Pedalboard([Reverb(), Invert()])
    expected = after(before(audio, 44100, 64) * np.float32(0.5), 44100, 64) * np.float32(0.125)
    assert_same(board(audio, 44100, 64), expected)
    assert_same(board(audio, 44100, 64), expected)


def test_neighbouring_plugins_run_as_one_pedalboard_those_of_boards_within_too():
    board = Board([Gain(), Board([Gain(), Halve(), Gain()]), Pedalboard([Gain()]), Halve(), Halve(), Gain()])
    assert [len(stage) if isinstance(stage, Pedalboard) else "effect" for stage in board._arrange()[1:]] == [
        "effect", 2, "effect", "effect", 1]


def test_none_is_a_plugin_that_does_nothing():
    audio = noise(2, 700)
    for make in (lambda kind: kind([None]), lambda kind: kind([None, Delay(0.01), None, kind([None, Gain(-3)])])):
        native, board = make(Pedalboard), make(Board)
        assert_same(board(audio, 44100), native(audio, 44100))
        assert list(board)[0] is None and len(board) == len(native)
    assert_same(Board([None, Halve(), None])(audio, 44100), audio * np.float32(0.5))
    assert repr(Board([None])) == "Board([None])"


@pytest.mark.parametrize("wrong, right", [("sample_rat", "sample_rate"), ("titel", "title"), ("dept", "depth")])
def test_a_misspelt_parameter_is_refused_and_the_nearest_named(wrong, right):
    board = Board([Gain()])
    for do in (lambda: setattr(board, wrong, None), lambda: getattr(board, wrong)):
        with pytest.raises(AttributeError, match=f"Board has no attribute '{wrong}'. Did you mean '{right}'"):
            do()


@pytest.mark.parametrize("name, value", [("title", 3), ("sample_rate", 44100.0), ("sample_rate", 5), ("depth", 24)])
def test_a_bad_value_is_refused_when_it_is_set(name, value):
    board = Board(title="T", sample_rate=44100, depth="24")
    before = getattr(board, name)
    with pytest.raises(ValueError, match=f"{name} must be"):
        setattr(board, name, value)
    assert getattr(board, name) == before


def test_an_offline_effect_first_is_given_float32_and_may_write_on_it():
    class InPlace(Halve):
        def process(self, input_array, sample_rate, buffer_size, reset):
            assert input_array.dtype == np.float32
            input_array *= 2
            return input_array

    audio = noise(2, 100, dtype=np.float64)
    kept = audio.copy()
    assert_same(Board([InPlace()])(audio, 44100), 2 * audio.astype(np.float32))
    assert np.array_equal(audio, kept)


def test_an_offline_effect_refuses_to_stream_in_its_own_words():
    for board in (Board([Gain(), Halve()]), Board([Halve(), Gain()]), Board([Board([Halve()])])):
        with pytest.raises(ValueError, match="Halve needs it all at once"):
            board(noise(2, 100), 44100, reset=False)
        board(noise(2, 100), 44100)


@pytest.mark.parametrize("returned, error, words", [
    (None, TypeError, "Broken returned NoneType"), ([0.0], TypeError, "Broken returned list"),
    (np.zeros((2, 9), np.int16), TypeError, "Broken returned int16"),
    (np.zeros((9, 2)), RuntimeError, r"shape \(2, 9\) and returned \(9, 2\)"),
    (np.zeros(9), RuntimeError, r"returned \(9,\)"),
])
def test_what_an_effect_returns_is_checked(returned, error, words):
    with pytest.raises(error, match=words):
        Board([Broken(returned), Gain()])(noise(2, 9), 44100)


def test_an_effects_float64_becomes_float32():
    assert Board([Broken(np.zeros((2, 9)))])(noise(2, 9), 44100).dtype == np.float32


def test_reset_reaches_all():
    delay = Delay(0.01)
    board = Board([Halve(), delay])
    before = Halve.resets
    board.reset()
    assert Halve.resets == before + 1
    native = Pedalboard([delay])
    native(noise(2, 1000), 44100)
    board.reset()
    assert not native(np.zeros((2, 1000), np.float32), 44100, reset=False).any()


def test_a_board_is_an_effect_and_an_offline_effect_is_known_by_its_methods():
    assert Board().is_effect and not Board().is_instrument
    assert isinstance(Board(), OfflineEffect) and isinstance(Halve(), OfflineEffect)
    assert not isinstance("Halve", OfflineEffect)


@pytest.mark.parametrize("make", [lambda: [Delay(0.003), Reverb(), Gain(-3)],
                                  lambda: [Delay(0.003), Halve(), Reverb(), Halve(), BrickwallLimiter()]],
                         ids=["native", "mixed"])
def test_threads_may_share_a_board(make):
    board = Board(make())
    inputs = [noise(1 + seed % 2, 3000 + 100 * seed, seed=seed) for seed in range(16)]
    expected = [Board(make())(audio, 44100, 256) for audio in inputs]
    with ThreadPoolExecutor(6) as pool:
        for got, wanted in zip(pool.map(lambda audio: board(audio, 44100, 256), inputs), expected):
            assert_same(got, wanted)


def test_a_board_may_be_edited_while_other_threads_call_it():
    board, done, errors = Board([Gain(0), Halve(1.0), Gain(0)]), threading.Event(), []

    def call():
        while not done.is_set():
            try:
                assert np.isfinite(board(noise(2, 2000), 44100, 256)).all()
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        board.insert(1, Gain(0))
        board.append(Halve(1.0))
        del board[0]
        board.pop()
    done.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_the_repr_makes_the_same_board(room_wav):
    board = Board([HighpassFilter(30.1), LadderFilter(LadderFilter.Mode.HPF24, 300),
                   Mix([None, Chain([Delay()])]),
                   Board([Pedalboard([PeakFilter(1000, 3.3)]), Halve(0.1, "it's")], title="In"),
                   pedalboard.GSMFullRateCompressor(Resample.Quality.Linear),
                   BrickwallLimiter(true_peak=True), Convolution(str(room_wav), 0.2)], title="Out")
    again = eval(repr(board), vars(pedalboard) | {"Board": Board, "Halve": Halve})
    assert repr(again) == repr(board)
    assert "cutoff_frequency_hz=30.1" in repr(board) and "gain_db=3.3" in repr(board)
    assert_same(again(noise(2, 2000), 44100), board(noise(2, 2000), 44100))


def test_the_repr_of_what_cannot_be_written_is_its_own():
    assert "<pedalboard.Convolution" in repr(Board([Convolution(np.ones(3, np.float32), sample_rate=44100)]))
    assert repr(Board()) == "Board([])"
