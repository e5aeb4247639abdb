"""VST3 plugins in processes of their own: their editors and their audio, with a stand-in for a plugin."""

import sys
import textwrap
from dataclasses import replace

import numpy as np
import pedalboard
import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from babe2_gui.model import chain, plugins_apart  # noqa: E402
from babe2_gui.model.chain import Effect  # noqa: E402
from babe2_gui.model.session_file import SessionWriter, Snapshot  # noqa: E402
from babe2_host.boards.plugins import BoardError  # noqa: E402

# What a VST3 plugin has for Pedalboard, over a Gain; its editor sets 6 dB, as a user would, or goes wrong.
STANDIN = textwrap.dedent("""
    import os, sys, time, types
    import pedalboard

    class VST3Plugin(pedalboard.Gain):
        identifier = "VST3-Stand-in"

        def __init__(self, path, plugin_name=None):
            super().__init__(0.0)
            self.path = path

        @property
        def parameters(self):
            return {"gain_db": types.SimpleNamespace(type=float, raw_value=(self.gain_db + 100) / 200)}

        def show_editor(self):
            os.write(1, b"a plugin has its say")
            if "crash" in self.path:
                os.abort()
            if "blind" in self.path:
                raise RuntimeError("Editor cannot be shown - no visual display devices available.")
            if "patient" in self.path:
                time.sleep(60)
            self.gain_db += 6.0
""")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """plugin(name): the effect of a stand-in plugin's file, which loads as one in editors' processes."""
    script = tmp_path / "editor.py"
    script.write_text(STANDIN + "\npedalboard.VST3Plugin = VST3Plugin\nfrom babe2_gui.model.plugins_apart import main\n"
                      "sys.exit(main())\n")
    monkeypatch.setattr(plugins_apart, "APART", (sys.executable, str(script)))

    def make(name):
        (tmp_path / f"{name}.vst3").mkdir()
        return Effect("VST3Plugin", {"path": str(tmp_path / f"{name}.vst3"), "parameters": {"gain_db": -2.0}})
    return make


@pytest.fixture
def edit(window, plugin):
    """edit(name): a chain with the plugin after a Gain, and its editor opened by the button; the effect."""
    def open_it(name):
        effect = plugin(name)
        window.session.edit("Add", after=(Effect("Gain", {"gain_db": 1.0}), effect))
        window.tabs.setCurrentWidget(window.chain)
        window.chain._select("after", 1)
        assert window.chain.editor.isVisible() and window.chain.editor.text() == "Open editor…"
        window.chain.editor.click()
        assert not window.chain.editor.isEnabled() and window.chain.editor.text() == "Editor is open"
        return effect
    return open_it


def test_what_is_set_in_an_editor_is_kept_and_can_be_undone(window, edit, wait):
    effect = edit("good")
    wait(window.chain.editor.isEnabled)
    gain, edited = window.session.document.after
    assert edited.values["parameters"] == {"gain_db": 4.0} and edited.values["path"] == effect.values["path"]
    assert gain.plugin == "Gain" and window.session.history.undo_label == "Change good"
    window.session.undo()
    assert window.session.document.after[1] == effect


@pytest.mark.parametrize("name, words", [("crash", "ended its process unexpectedly"),
                                         ("blind", "no visual display devices")])
def test_an_editor_that_fails_or_crashes_changes_nothing(window, edit, wait, name, words):
    effect = edit(name)
    wait(window.banner.isVisible)
    assert words in window.banner.text.text() and "settings are as they were" in window.banner.text.text()
    assert window.session.document.after[1] == effect and window.chain.editor.isEnabled()


def test_the_window_goes_on_while_an_editor_is_open(window, edit, wait):
    edit("patient")
    window.chain.add_effect("before", "HighpassFilter")
    assert len(window.session.document.before) == 1 and window.chain._editing_process is not None
    process = window.chain._editing_process
    window.chain.close_editor()  # as when the app is quit
    assert process.state() == process.ProcessState.NotRunning


def test_an_effect_that_was_removed_meanwhile_stays_away(window, edit, wait):
    edit("good")
    window.session.edit("Remove", after=())
    said = []
    window.session.reported.connect(lambda sentence, error: said.append(sentence))
    wait(lambda: said)
    assert "was removed or changed" in said[0] and window.session.document.after == ()


def test_a_plugin_that_cannot_be_loaded_is_a_sentence(tmp_path):
    with pytest.raises(BoardError, match=r"^The chain, plugin 1 \(VST3Plugin\): there is no plugin .*none.vst3"):
        plugins_apart.ask("edit", {"plugin": "VST3Plugin", "path": str(tmp_path / "none.vst3")})


@pytest.mark.parametrize("data", [b"", b"\x80\x05", b"no pickle"])
def test_a_process_without_an_answer_has_crashed(data):
    with pytest.raises(BoardError, match="ended its process unexpectedly"):
        plugins_apart.answer(data)


def test_a_plugin_survives_being_loaded_and_being_kept_in_a_board(tmp_path, monkeypatch, plugin):
    effect, file = plugin("good"), tmp_path / "board.toml"
    assert plugins_apart.ask("load", effect.plain) == effect.plain
    chain.save_chain(str(file), (effect,), {"preset": "piano"}, ())
    names = {}
    exec(compile(STANDIN, "standin", "exec"), names)
    monkeypatch.setattr(pedalboard, "VST3Plugin", names["VST3Plugin"])
    assert chain.load_chain(str(file), allow_external=True)[0] == (effect,)


def test_a_plugin_is_added_once_it_is_loaded(window, plugin, wait, tmp_path):
    path = plugin("good").values["path"]
    window.chain.add_external("after", f"{path}/Contents/x86_64-linux/good.so")  # what a file dialog gives of a folder
    wait(lambda: window.session.document.after)
    effect, = window.session.document.after
    assert effect.plugin == "VST3Plugin" and effect.values["path"] == path and effect.title == "good"
    window.chain.add_external("after", str(tmp_path / "none.vst3"))
    wait(window.banner.isVisible)
    assert "there is no plugin" in window.banner.text.text() and len(window.session.document.after) == 1


@pytest.mark.parametrize("answer", ["run", "off"])
def test_plugins_of_a_session_run_only_if_its_reader_says_so(window, plugin, wait, tmp_path, monkeypatch, session,
                                                             render, answer):
    render(session)
    effects = (Effect("Gain", {"gain_db": 1.0}), plugin("good"))
    path, asked, ran = tmp_path / "received.babe2", [], []
    session.edit("Add", after=effects)
    SessionWriter().write(path, Snapshot.of(session))
    monkeypatch.setattr("babe2_gui.views.files.ask", lambda *words: asked.append(words[1]) or answer)
    run = plugins_apart.ask
    monkeypatch.setattr(plugins_apart, "ask", lambda command, *args: ran.append(command) or run(command, *args))
    window.files.open(str(path))
    wait(lambda: window.session.recording is not None and window.session.listening.ready is not None)
    assert asked == ["This session has plugins, which are programs that would run on this computer."]
    assert bool(ran) == (answer == "run")
    assert window.session.document.after == (effects[0], replace(effects[1], enabled=answer == "run"))


def test_modules_in_the_working_folder_do_not_run_with_plugins(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("open('ran', 'w').close()")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BoardError, match="there is no plugin .*none.vst3"):
        plugins_apart.ask("load", {"plugin": "VST3Plugin", "path": str(tmp_path / "none.vst3")})
    assert not (tmp_path / "ran").exists()


def test_a_chain_with_plugins_is_rendered_apart(plugin):
    audio = np.ones((2, 1000), np.float32) / 4
    out = chain.processed([Effect("Gain", {"gain_db": 8.0}), plugin("good")], audio, 22050)
    assert out.shape == audio.shape and out == pytest.approx(audio * 10 ** (6 / 20), rel=1e-4)
    off = Effect("VST3Plugin", {"path": "/none.vst3"}, enabled=False)
    assert chain.processed([off], audio, 22050) is audio
    with pytest.raises(BoardError, match="there is no plugin /none.vst3"):
        chain.processed([Effect("VST3Plugin", {"path": "/none.vst3"})], audio, 22050)
