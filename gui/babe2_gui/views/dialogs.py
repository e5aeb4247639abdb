"""Questions and forms in windows of their own."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QMessageBox,
    QTextBrowser,
    QVBoxLayout,
)

from babe2_host.audio.writing import WRITABLE

from .widgets import button, choice, label, named, row

DEPTHS = {"16": "16 bits, dithered", "24": "24 bits, dithered", "float": "32-bit float"}
DITHER = "Bits per sample; rounding is dithered"
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".ogg": "Ogg Vorbis", ".mp3": "MP3", ".caf": "CAF",
           ".rf64": "RF64", ".w64": "Wave64"}
FORMATS = {ending: words for ending, words in FORMATS.items() if ending in WRITABLE}
TAGS = {"title": "Title", "artist": "Artist", "album": "Album", "date": "Date", "comment": "Comment"}


def ask(parent, question: str, more: str, answers: dict[str, str]) -> str:
    """Asks; the first answer is the default, Escape gives the last. Returns the answer's name."""
    box = QMessageBox(parent)
    box.setWindowTitle("BABE-2")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(question)
    box.setInformativeText(more)
    made = {name: box.addButton(words, QMessageBox.ButtonRole.ActionRole) for name, words in answers.items()}
    box.setDefaultButton(made[next(iter(answers))])
    box.setEscapeButton(made[list(answers)[-1]])
    box.exec()
    return next((name for name, made_button in made.items() if made_button is box.clickedButton()),
                list(answers)[-1])


class CardDialog(QDialog):
    """A preset's card."""

    def __init__(self, parent, preset):
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Preset {preset.title}")
        self.resize(680, 560)
        text = named(QTextBrowser(), f"Card of preset {preset.title}")
        text.setOpenExternalLinks(True)
        text.setMarkdown(preset.card or f"# {preset.title}\n\n{preset.description}")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(buttons)


class ExportDialog(QDialog):
    """Where to, as what, and with which tags. Signal: chosen (path, depth, tags by name)."""

    chosen = Signal(str, object, dict)

    def __init__(self, parent, recording, take):
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export")
        self.setMinimumWidth(520)
        self.recording, self._agreed = recording, None
        source = Path(recording.path)
        ending = source.suffix.lower() if source.suffix.lower() in FORMATS else ".wav"
        self.path = named(QLineEdit(str(source.with_name(f"{source.stem}_restored{ending}"))), "File to write")
        browse = button("Browse…", "Choose where to write")
        browse.clicked.connect(self._browse)
        self.format = choice("Format", "", FORMATS)
        self.format.setCurrentIndex(max(self.format.findData(ending), 0))
        self.format.activated.connect(self._format_chosen)
        self.depth = choice("Bit depth", DITHER, {None: "As the recording"} | DEPTHS)
        self.tags = {}
        form = QFormLayout()
        form.setVerticalSpacing(9)
        form.setHorizontalSpacing(12)
        form.addRow("File", row(self.path, browse))
        form.addRow("Format", self.format)
        form.addRow("Bit depth", self.depth)
        for name, words in TAGS.items():
            self.tags[name] = named(QLineEdit("; ".join(recording.tags.texts.get(name, ()))), words)
            form.addRow(words, self.tags[name])
        what = label(f"Writes “{take.name}” after the chain, {recording.sample_rate / 1000:g} kHz. Pictures and other "
                     "tags of the recording are carried over.", "dim")
        what.setWordWrap(True)
        export = button("Export", primary=True)
        cancel = button("Cancel")
        export.setDefault(True)
        export.clicked.connect(self._export)
        cancel.clicked.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 16, 18, 16)
        layout.setSpacing(14)
        layout.addWidget(what)
        layout.addLayout(form)
        layout.addLayout(row(1, cancel, export))

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export to", self.path.text())
        if path:
            self.path.setText(path if Path(path).suffix else path + self.format.currentData())
            self._agreed = self.path.text()
            at = self.format.findData(Path(self.path.text()).suffix.lower())
            if at >= 0:
                self.format.setCurrentIndex(at)

    def _format_chosen(self) -> None:
        if self.path.text().strip():
            self.path.setText(str(Path(self.path.text()).with_suffix(self.format.currentData())))

    def _export(self) -> None:
        path = self.path.text().strip()
        if path != self._agreed and Path(path).is_file() and ask(
                self, f"{Path(path).name} already exists.", "If you replace it, what is in it is lost.",
                {"keep": "Keep it", "replace": "Replace", "cancel": "Cancel"}) != "replace":
            return
        self.chosen.emit(path, self.depth.currentData(),
                         {name: box.text().strip() for name, box in self.tags.items()})
        self.accept()
