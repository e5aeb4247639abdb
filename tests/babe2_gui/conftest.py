"""Fixtures for the app's tests: recordings, sessions with a stand-in prior, and real windows without a screen."""

import os
import sys
import time

import pytest
import soundfile

from standin import TINY, tiny_prior

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
QUICK = {"steps": 3, "order": 1}


@pytest.fixture
def quick():
    """Expert settings that render in moments."""
    return dict(QUICK)


@pytest.fixture(scope="session")
def prior():
    return tiny_prior()


@pytest.fixture
def recording_path(tmp_path, make_notes):
    """A file with a second and a half of struck notes."""
    path = tmp_path / "notes.flac"
    soundfile.write(path, make_notes(22050, 1.4).T, 22050, "PCM_24")
    return path


@pytest.fixture
def shelf(tmp_path, monkeypatch, make_notes):
    """The folder disc with three recordings, one of them a folder down; and a preset called tiny, the stand-in's."""
    from babe2_fx.priors import save_prior
    presets = tmp_path / "config" / "presets"
    presets.mkdir(parents=True)
    monkeypatch.setenv("BABE2_CONFIG", str(tmp_path / "config"))
    prior = tiny_prior()
    save_prior(presets / "tiny.safetensors", prior.network.state_dict(), TINY, prior.sigma_data, prior.level,
               prior.ltas, None, {})
    (presets / "tiny.toml").write_text('title = "Tiny"\ndescription = "Random weights."\nprior = "tiny.safetensors"\n'
                                       "[draft]\nsteps = 2\norder = 1\n")
    folder = tmp_path / "disc"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(("a.wav", "b.flac", "more/c.wav")):
        soundfile.write(folder / name, make_notes(22050, 0.4, seed=seed).T, 22050)
    return folder


@pytest.fixture
def session(prior, recording_path):
    """A session without a window, with a recording and settings that render in moments."""
    return open_session(prior, recording_path)


def open_session(prior, path):
    from babe2_gui.model.session import Session
    session = Session(prior=prior)
    session.said = []
    session.reported.connect(lambda sentence, error: session.said.append((sentence, error)))
    session.start()
    session.open_recording(str(path))
    session.set_options("Quick", quality="draft", expert=QUICK)
    return session


@pytest.fixture(scope="session")
def full_session(prior, render, make_notes, tmp_path_factory):
    """A session with everything in it, made once; not to be changed."""
    from babe2_gui.model import chain
    path = tmp_path_factory.mktemp("full") / "notes.flac"
    soundfile.write(path, make_notes(22050, 1.4, channels=2).T, 22050, "PCM_24")
    session = open_session(prior, path)
    session.change_target(lambda curve: curve.shifted(2.0), "Shift target")
    session.edit("Add", before=(chain.new_effect("HighpassFilter"),), after=(chain.new_effect("Gain"),))
    session.set_options("Seed", seed=3, target_match=0.4)
    session.view.selection_s = (0.25, 1.0)
    render(session, passage_only=True)
    render(session)
    session.rename_take(session.document.current, "the one")
    session.view.hidden, session.view.timeline, session.view.loop = ("restored",), "waveform", True
    return session


@pytest.fixture(scope="session")
def render():
    """render(session, passage_only=False): a render to its end; the take."""
    def render(session, passage_only=False):
        assert session.render(passage_only)
        job = session.job
        if job:  # it may be over
            job.join(60)
        return session.document.take
    return render


@pytest.fixture(scope="session")
def app():
    """The one QApplication."""
    pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
    pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)
    from PySide6.QtWidgets import QApplication

    from babe2_gui.views import theme
    made = QApplication.instance() or QApplication([])
    theme.apply(made)
    return made


@pytest.fixture
def wait(app):
    """wait(until): runs the event loop until it is so; fails where that takes too long."""
    def wait(until=None, at_most_s=60.0):
        end = time.monotonic() + (at_most_s if until else 0.15)
        while time.monotonic() < end:
            app.processEvents()
            if until and until():
                return
            time.sleep(0.002)
        assert until is None, "It did not happen."
    return wait


@pytest.fixture
def window(app, prior, tmp_path, monkeypatch, wait):
    """A shown window of its own settings; what is raised in its slots fails the test."""
    from PySide6.QtCore import QSettings

    from babe2_gui.main_window import MainWindow
    raised = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: raised.append(error))
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    settings.setValue("tour_done", True)
    made = MainWindow(prior, settings, tmp_path / "state")
    made.resize(1280, 800)
    made.show()
    wait(lambda: made.session.preset_target is not None)
    yield made
    made.session.cancel()
    made.session.mark_saved()
    made.close()
    made.deleteLater()
    wait()
    if raised:
        raise raised[0]


@pytest.fixture
def opened(window, recording_path, wait):
    """The window with the recording, set to render in moments."""
    window.files.open(str(recording_path))
    wait(lambda: window.session.input_spectrum is not None)
    window.session.set_options("Quick", quality="draft", expert=QUICK)
    window.session.mark_saved()
    return window
