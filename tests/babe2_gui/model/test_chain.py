"""The chain: effects as values, boards as their files."""

import numpy as np
import pytest

from babe2_gui.model import chain
from babe2_gui.model.chain import Effect
from babe2_host.boards.board import Board
from babe2_host.boards.plugins import BoardError


@pytest.mark.parametrize("name", chain.known_effects())
def test_every_effect_has_controls_for_all_its_parameters(name):
    effect = chain.new_effect(name)
    controls = chain.parameters(effect)
    assert {control.name for control in controls} == set(effect.values)
    for control in controls:
        if control.low is not None and not control.choices:
            assert control.low <= control.value <= control.high
            middle = chain.value_at(control, 0.5)
            assert chain.position(control, middle) == pytest.approx(0.5, abs=0.02)
            changed = Effect(name, effect.values | {control.name: middle})
            chain.board_of([changed])  # the engine takes what the control can give


def test_effects_around_the_restoration_are_heard(session, render):
    session.edit("Add Gain", after=(Effect("Gain", {"gain_db": -6.0}),))
    take = render(session)
    heard, _ = session.listening.restored
    assert np.allclose(heard, take.audio * 10 ** (-6 / 20), atol=1e-5)
    session.edit("Switch off", after=(Effect("Gain", {"gain_db": -6.0}, enabled=False),))
    assert np.array_equal(session.listening.restored[0], take.audio)


def test_an_effect_before_changes_what_is_restored(session, render):
    plain = render(session)
    session.edit("Add filter", before=(Effect("HighpassFilter", {"cutoff_frequency_hz": 2000.0}),))
    assert not np.allclose(render(session).audio, plain.audio, atol=1e-3)


def test_a_chain_is_kept_in_a_board_that_the_host_reads(session, tmp_path):
    path = str(tmp_path / "chain.toml")
    before, after = (chain.new_effect("HighpassFilter"),), (chain.new_effect("BrickwallLimiter"),)
    options = session.document.options
    chain.save_chain(path, before, options.board_values(), after)
    assert [type(plugin).__name__ for plugin in Board.load(path)] == ["HighpassFilter", "GenerativeEQ",
                                                                      "BrickwallLimiter"]
    loaded = chain.load_chain(path)
    assert loaded[0] == before and loaded[2] == after
    again, target = options.with_board(loaded[1])
    assert again == options and target is None


def test_the_shipped_boards_can_be_loaded(session):
    before, restoration, after = chain.load_chain("piano-78")
    assert [effect.plugin for effect in before] == ["HighpassFilter"] and restoration["preset"] == "piano"
    assert [effect.plugin for effect in after] == ["BrickwallLimiter"]


@pytest.mark.parametrize("within", ["Mix", "Board"])
def test_a_board_that_restores_within_another_is_refused_and_its_other_mixes_are_effects(within, tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(f'''format = "babe2-board-1"
[[plugins]]
plugin = "GenerativeEQ"
[[plugins]]
plugin = "{within}"
plugins = [{{ plugin = "Chain", plugins = [] }}, {{ plugin = "PeakNormalize" }}]
''')
    before, _, after = chain.load_chain(str(path))
    assert before == () and [effect.title for effect in after] == [within] and chain.parameters(after[0]) == []
    assert chain.processed(after, np.full((2, 100), 0.1, np.float32), 44100).max() > 0.8
    path.write_text(path.read_text().replace("PeakNormalize", "GenerativeEQ"))
    with pytest.raises(BoardError, match=f"has a restoration inside a {within}.*babe2 render"):
        chain.load_chain(str(path))


def test_an_unknown_effect_is_refused():
    with pytest.raises(BoardError, match="Nonsense"):
        chain.new_effect("Nonsense")


def test_a_board_with_programs_is_known_before_it_is_loaded(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text('format = "babe2-board-1"\n[[plugins]]\nplugin = "VST3Plugin"\npath = "evil.vst3"\n')
    assert chain.names_programs(str(path))
    with pytest.raises(BoardError, match="has not been allowed"):
        chain.load_chain(str(path))


def test_names_are_words():
    assert chain.spaced("GSMFullRateCompressor") == "GSM Full Rate Compressor"
    assert chain.spaced("HighpassFilter") == "Highpass Filter" and chain.spaced("MP3Compressor") == "MP3 Compressor"
