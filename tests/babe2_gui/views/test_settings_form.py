"""The form of expert settings in the real window: an editor for each name, enabled where it does something."""

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop app needs PySide6", exc_type=ImportError)
pytest.importorskip("pyqtgraph", reason="the desktop app needs pyqtgraph", exc_type=ImportError)

from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402

from babe2_fx.settings import NAMES  # noqa: E402


@pytest.fixture
def form(opened):
    return opened.restore_panel.settings


@pytest.fixture
def expert(opened):
    """expert(): the settings that the user changed."""
    return lambda: opened.session.document.options.expert


def assert_shows_what_has_an_effect(opened, form):
    settings = opened.session.document.options.settings
    for name, editor in form.editors.items():
        why = settings.idle(name)
        assert editor.isEnabled() == form._labels[name].isEnabled() == (not why), name
        assert (f"Does nothing with {why}." in editor.toolTip()) == bool(why), name
        assert editor.toolTip() == editor.accessibleDescription() == form._labels[name].toolTip()


def test_every_setting_has_an_editor(opened, form, expert):
    assert set(form.editors) == set(NAMES) - {"seed"}
    form.editors["steps"].setValue(7)
    assert expert()["steps"] == 7
    form.editors["sigma_min"].setValue(5.0)  # above sigma_start: refused, said, and shown as it was
    assert "sigma_min" in opened.banner.text.text() and form.editors["sigma_min"].value() < 1
    QTest.mouseClick(form._resets["steps"], Qt.MouseButton.LeftButton)
    assert "steps" not in expert()


def test_a_setting_without_effect_is_disabled_and_says_why(opened, form):
    assert_shows_what_has_an_effect(opened, form)
    assert not form.editors["xi"].isEnabled()  # draft guides directly
    assert form.editors["xi"].toolTip().endswith(
        "Does nothing with guidance = direct; it belongs to guidance = gradient.")
    assert form.editors["levels"].isEnabled() and "Does nothing" not in form.editors["levels"].toolTip()


def test_another_variant_keeps_the_changes_that_still_have_an_effect(opened, form, expert):
    form.editors["observation_noise_db"].setValue(-33.0)
    form.editors["rho"].setValue(9.0)
    form.editors["guidance"].setCurrentText("gradient")
    assert expert() == {"steps": 3, "order": 1, "rho": 9.0, "guidance": "gradient"}
    assert "observation_noise_db is as the preset has it again" in opened.statusBar().currentMessage()
    form.editors["xi"].setValue(2.0)
    assert expert()["xi"] == 2.0 and opened.session.document.options.settings["xi"] == 2.0
    QTest.mouseClick(form._resets["guidance"], Qt.MouseButton.LeftButton)  # back to the preset's, which has no xi
    assert "guidance" not in expert() and "xi" not in expert() and expert()["rho"] == 9.0
    opened.menus.undo.trigger()
    assert (expert()["guidance"], expert()["xi"]) == ("gradient", 2.0)
    assert_shows_what_has_an_effect(opened, form)


def test_a_value_that_the_variant_has_by_itself_is_no_change(form, expert):
    form.editors["guidance"].setCurrentText("gradient")
    form.editors["xi"].setValue(2.0)
    form.editors["xi"].setValue(NAMES["xi"].default)
    assert "xi" not in expert()


def test_every_choice_of_every_setting_can_be_made_from_every_other(opened, form):
    """Nothing raises (the window's fixture sees to that), nothing is refused, and the form shows what counts."""
    opened.banner.hide()
    for _ in range(2):
        for name in [name for name, item in NAMES.items() if item.choices]:
            for choice in NAMES[name].choices:
                if form.editors[name].isEnabled():
                    form.editors[name].setCurrentText(choice)
                    assert opened.session.document.options.settings[name] == choice
                    assert_shows_what_has_an_effect(opened, form)
        form.editors["ltas"].setCurrentText("objective")
    assert not opened.banner.isVisible()


def test_another_quality_keeps_only_what_has_an_effect_in_it(opened, form, expert):
    form.editors["levels"].setCurrentText("long-term")
    panel = opened.restore_panel
    panel.quality.setCurrentIndex(panel.quality.findData("paper"))
    panel.quality.activated.emit(panel.quality.currentIndex())
    assert opened.session.document.options.quality == "paper" and "levels" not in expert()
    assert expert()["steps"] == 3 and "levels is as the preset has it" in opened.statusBar().currentMessage()
    assert form.editors["xi"].isEnabled() and not form.editors["levels"].isEnabled()
