"""The manifest: what a killed run leaves is read back, at a cost that does not grow with the square."""

import json

from babe2_host.batch.manifest import Manifest
from batches import states


def noted(folder, *names):
    """A manifest in a run that was killed after it had begun these files."""
    manifest = Manifest(folder)
    manifest.start({})
    for name in names:
        manifest.begin(name, {"path": name}, {"gain_db": 1.0})
    manifest.save()
    return manifest


def test_what_a_killed_run_has_noted_is_read_back_even_if_the_last_line_is_torn(tmp_path):
    noted(tmp_path, "a.wav", "\udcff.wav")
    assert states(tmp_path) == {"a.wav": "unfinished", "\udcff.wav": "unfinished"}
    journal = tmp_path / ".babe2-batch.journal"
    with open(journal, "ab") as file:
        file.write(journal.read_bytes().splitlines()[-1][:-5])
    assert states(tmp_path) == {"a.wav": "unfinished", "\udcff.wav": "unfinished"}
    again = Manifest(tmp_path)
    again.start({})
    whole = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert not journal.exists() and whole["files"] == again.content["files"] != {}


def test_a_journal_counts_for_its_own_manifest_alone(tmp_path):
    noted(tmp_path, "a.wav")
    (tmp_path / "manifest.json").unlink()  # as a user does to begin anew
    assert states(tmp_path) == {}
    noted(tmp_path, "b.wav")
    assert states(tmp_path) == {"b.wav": "unfinished"}


def test_the_record_of_many_files_costs_what_is_said_of_them_a_few_times(tmp_path, monkeypatch):
    """Not its square, as if the whole were written with each."""
    written = []
    with Manifest(tmp_path) as manifest:
        monkeypatch.setattr(Manifest, "_fold", lambda self, fold=Manifest._fold: (
            fold(self), written.append(self.path.stat().st_size)))
        manifest.start({})
        for number in range(2000):
            manifest.begin(f"{number}.wav", {"path": f"in/{number}.wav", "sha256": 64 * "0"}, {})
            manifest.save()
    final = (tmp_path / "manifest.json").stat().st_size
    assert len(json.loads((tmp_path / "manifest.json").read_text())["files"]) == 2000
    assert sum(written) < 4 * final and len(written) > 2
