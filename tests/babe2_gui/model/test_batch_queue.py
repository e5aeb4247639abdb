"""The batch queue without a window: what is in it, how it runs, goes on, gives way, and what it says."""

import threading

import numpy as np
import pytest
import soundfile

from babe2_fx import TargetProfile
from babe2_gui.model import batch_run
from babe2_gui.model.batch_entries import BatchOptions, Entry, entries_of, jobs_of
from babe2_gui.model.batch_queue import BatchQueue
from babe2_gui.model.curve import TargetCurve
from babe2_gui.model.render import RenderState
from babe2_gui.model.tasks import InlineTasks
from babe2_gui.model.work import Work
from babe2_host.batch.manifest import Manifest
from babe2_host.states import JobState

RATE = 22050


@pytest.fixture
def queue(shelf):
    """A queue with everything of the shelf."""
    queue = BatchQueue(InlineTasks())
    queue.said = []
    queue.reported.connect(lambda sentence, error: queue.said.append((sentence, error)))
    queue.set_options(preset="tiny", quality="draft")
    queue.add([str(shelf)])
    return queue


def finish(queue, **how):
    """Runs it to its end; the states."""
    assert queue.start(**how), queue.said
    if run := queue.run:
        run.join(60)
    assert not queue.running
    return [entry.state for entry in queue.entries]


def names(queue):
    return [entry.name for entry in queue.entries]


# ------------------------------------------------------------------------------------------------ what is in it

def test_folders_files_and_lists_become_rows(queue, shelf, tmp_path):
    assert names(queue) == ["disc/a.wav", "disc/b.flac", "disc/more/c.wav"]
    assert queue.options.folder == str(tmp_path / "restored")
    assert [entry.length_s for entry in queue.entries] == pytest.approx([0.4] * 3)
    (tmp_path / "list.csv").write_text("file,output,seed\ndisc/a.wav,bright.flac,4\ndisc/b.flac,,\n")
    queue.add([str(tmp_path / "list.csv")])
    assert names(queue)[3:] == ["bright.flac", "disc/b.flac"]
    queue.remove([1, 4])
    jobs = jobs_of(queue.entries, queue.options)
    assert [job.name for job in jobs] == ["disc/a.wav", "disc/more/c.wav", "bright.flac"]
    assert dict(jobs[2].recipe.settings)["seed"] == 4 and dict(jobs[0].recipe.settings)["seed"] == 0


def test_what_is_there_already_is_not_added_twice(queue, shelf):
    queue.add([str(shelf / "a.wav")])
    assert len(queue.entries) == 3 and "1 file was in the queue already" in queue.said[-1][0]


def test_what_cannot_be_added_is_a_sentence_and_the_rest_is_added(queue, shelf, tmp_path):
    (tmp_path / "notes.txt").write_text("no recording")
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "d.wav", np.zeros(100), RATE)
    queue.add([str(tmp_path / name) for name in ("notes.txt", "empty", "d.wav", "gone.wav")])
    assert names(queue)[3:] == ["d.wav"]
    sentence, error = queue.said[-1]
    assert error and "notes.txt is not a recording" in sentence and "2 more such problems" in sentence


def test_results_take_the_chosen_format(queue, tmp_path):
    queue.set_options(ending=".flac", depth="16", seed=9)
    jobs = jobs_of(queue.entries, queue.options)
    assert [job.name for job in jobs] == ["disc/a.flac", "disc/b.flac", "disc/more/c.flac"]
    assert jobs[0].recipe.depth == "16" and dict(jobs[0].recipe.settings) == {"seed": 9}
    soundfile.write(tmp_path / "x.w64", np.zeros(100), RATE)
    (tmp_path / "x.w64").rename(tmp_path / "x.m4a")
    assert entries_of(str(tmp_path / "x.m4a"), "")[0][0].name == "x.flac"  # which can be written


@pytest.mark.parametrize("moving, to, order, then", [
    ([0], 2, "bac", [1]), ([2], 0, "cab", [0]), ([0, 1], 3, "cab", [1, 2]), ([0, 2], 1, "acb", [0, 1]),
    ([1], 1, "abc", [1])])
def test_entries_are_moved(queue, moving, to, order, then):
    assert queue.move(moving, to) == then
    assert "".join(name.split("/")[-1][0] for name in names(queue)) == order


def test_entries_are_moved_step_by_step_and_stop_at_the_ends(queue):
    assert queue.shift([1], -1) == [0] and queue.shift([0], -1) == [0]
    assert names(queue)[0] == "disc/b.flac"
    assert queue.shift([0], 1) == [1] and queue.shift([2], 1) == [2] and queue.shift([], 1) == []
    assert names(queue) == ["disc/a.wav", "disc/b.flac", "disc/more/c.wav"]


# ---------------------------------------------------------------------------------------------------- how it runs

def test_one_bad_file_fails_with_its_sentence_and_the_rest_are_done(queue, shelf, tmp_path):
    (shelf / "b.flac").write_bytes(b"no audio")
    seen = []

    def see(at):
        seen.append((at, queue.entries[at].state, queue.entries[at].words, queue.share, queue.words()))
    queue.entry_changed.connect(see)
    assert finish(queue) == [JobState.DONE, JobState.FAILED, JobState.DONE]
    bad = queue.entries[1]
    assert "b.flac" in bad.reason and bad.reason.endswith(".") and bad.words == f"Failed: {bad.reason}"
    assert bad.reason.startswith(f"{shelf / 'b.flac'} is not")
    assert queue.summary == "3 files: 2 done, 1 failed."
    sentence, error = queue.said[-1]
    assert error and "2 done, 1 failed" in sentence and "manifest.json" in sentence
    for entry in (queue.entries[0], queue.entries[2]):
        assert entry.result == tmp_path / "restored" / entry.name and soundfile.info(entry.result).samplerate == RATE
    words = [words for at, state, words, _, _ in seen if (at, state) == (2, JobState.RUNNING)]
    assert "Step 2 of 2" in words[-1]
    shares = [share for *_, share, _ in seen]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert any("1 of 3 files finished" in line and "left" in line for *_, line in seen)


def test_a_second_start_makes_only_what_changed(queue, shelf):
    finish(queue)
    assert finish(queue) == [JobState.AS_BEFORE] * 3 and queue.share == 1.0
    soundfile.write(shelf / "a.wav", np.random.default_rng(1).normal(0, 0.1, 5000), RATE)
    queue.remove([2])
    assert finish(queue) == [JobState.DONE, JobState.AS_BEFORE]
    queue.set_options(seed=5)
    assert finish(queue) == [JobState.DONE] * 2


def test_after_a_cancel_nothing_is_heard_and_a_start_at_once_goes_on(queue, tmp_path):
    """The new run waits for the last step of the old one, which still has the folder."""
    first, go_on = threading.Event(), threading.Event()

    def hold(at):
        if at == 1 and not first.is_set():
            first.set()
            go_on.wait(30)
    queue.entry_changed.connect(hold)
    assert queue.start()
    old = queue.run
    assert first.wait(30)
    made = queue.entries[0].result
    before = made.stat().st_mtime_ns
    queue.cancel()
    states = [entry.state for entry in queue.entries]
    assert not queue.running and states == [JobState.DONE, JobState.WAITING, JobState.WAITING]
    assert queue.summary == "Cancelled: 1 of 3 files done. Start goes on from there."
    assert queue.start() and old is not queue.run
    run = queue.run
    go_on.set()
    run.join(60)
    assert [entry.state for entry in queue.entries] == [JobState.AS_BEFORE, JobState.DONE, JobState.DONE], queue.said
    assert made.stat().st_mtime_ns == before
    assert {entry["state"] for entry in Manifest(tmp_path / "restored").content["files"].values()} == {"done"}


def test_it_gives_way_to_the_main_window(queue):
    queue.rest(True)
    assert queue.start() and queue.resting and "waits while the main window restores" in queue.words()
    run = queue.run
    run.join(0.4)
    assert queue.running and [entry.state for entry in queue.entries] == [JobState.WAITING] * 3
    queue.rest(False)
    run.join(60)
    assert [entry.state for entry in queue.entries] == [JobState.DONE] * 3 and not queue.resting


def test_nothing_of_a_running_queue_can_be_changed(queue, shelf):
    queue.rest(True)
    assert queue.start() and not queue.start()
    options = queue.options
    for change in (lambda: queue.add([str(shelf)]), lambda: queue.remove([0]), lambda: queue.move([0], 2),
                   lambda: queue.set_options(seed=3)):
        queue.said.clear()
        change()
        assert "The batch is running" in queue.said[0][0]
    assert len(queue.entries) == 3 and queue.options is options
    queue.cancel()


# ---------------------------------------------------------------------------------------------------- what it says

def nothing(queue, tmp_path):
    queue.remove(range(3))


def a_file_for_a_folder(queue, tmp_path):
    (tmp_path / "taken").write_text("")
    queue.set_options(folder=str(tmp_path / "taken"))


@pytest.mark.parametrize("spoil, sentence", [
    (nothing, "Add recordings"), (a_file_for_a_folder, "is a file. Choose a folder"),
    (lambda queue, _: queue.set_options(folder=""), "Choose a folder for the results."),
    (lambda queue, _: queue.set_options(drawn=True), "There is no target of your own")])
def test_what_cannot_start_is_a_sentence(queue, tmp_path, spoil, sentence):
    spoil(queue, tmp_path)
    queue.said.clear()
    assert not queue.start() and sentence in queue.said[0][0] and queue.said[0][1] and not queue.running


def two_of_one_name(queue, tmp_path):
    queue.set_options(ending=".wav")
    soundfile.write(tmp_path / "disc" / "a.flac", np.zeros(1000), RATE)
    queue.add([str(tmp_path / "disc")])


def a_list_that_changed(queue, tmp_path):
    (tmp_path / "list.csv").write_text("file\ndisc/a.wav\n")
    queue.remove(range(3))
    queue.add([str(tmp_path / "list.csv")])
    (tmp_path / "list.csv").write_text("file\ndisc/b.flac\n")


@pytest.mark.parametrize("spoil, sentence", [
    (two_of_one_name, "would both become"), (a_list_that_changed, "was changed since it was added"),
    (lambda queue, _: queue.set_options(preset="none-such"), "There is no preset called 'none-such'"),
    (lambda queue, _: queue.set_options(target="/no/such.csv"), "no/such.csv")])
def test_what_is_wrong_with_the_jobs_is_found_before_anything_is_rendered(queue, tmp_path, spoil, sentence):
    spoil(queue, tmp_path)
    queue.said.clear()
    queue.start()
    if run := queue.run:
        run.join(60)
    assert sentence in queue.said[0][0] and queue.said[0][1] and not queue.running
    assert {entry.state for entry in queue.entries} == {JobState.WAITING}


def test_files_in_the_way_are_kept_unless_told_and_the_way_out_is_of_this_window(queue, tmp_path):
    other = tmp_path / "restored" / "disc" / "a.wav"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"the user's own")
    assert finish(queue) == [JobState.FAILED, JobState.DONE, JobState.DONE]
    assert "“Replace other files”" in queue.entries[0].reason and "--" not in queue.entries[0].reason
    assert other.read_bytes() == b"the user's own"
    queue.set_options(replace=True)
    assert finish(queue) == [JobState.DONE, JobState.AS_BEFORE, JobState.AS_BEFORE] and other.stat().st_size > 1000


def test_a_drawn_target_is_rendered_as_it_is_drawn(queue, tmp_path):
    drawn = TargetCurve(((50.0, 3.0), (500.0, 0.0), (4000.0, -20.0), (9000.0, -60.0)))
    queue.set_options(drawn=True)
    queue.remove([1, 2])
    assert finish(queue, drawn=drawn) == [JobState.DONE]
    file = next((tmp_path / "restored").glob("target-*.csv"))
    hz = np.geomspace(40, 12000, 300)
    assert np.allclose(TargetProfile.from_file(file).at(hz), drawn.profile().at(hz), atol=0.002)
    assert finish(queue, drawn=drawn) == [JobState.AS_BEFORE]
    assert finish(queue, drawn=drawn.shifted(2.0, {3})) == [JobState.DONE]


def test_the_time_left_counts_only_what_was_rendered(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(batch_run.time, "monotonic", lambda: now[0])

    class Waiting(Work):
        """Work whose pauses alone are asked for."""

        def steps(self):
            yield
    work = Waiting("batch")
    entries = [Entry(None, str(at)) for at in range(4)]
    pace = batch_run.Pace([10.0, 20.0, 30.0, 40.0], work)

    def tell(at, state, share=0.0):
        entries[at].state = state
        entries[at].now = RenderState(share) if state == JobState.RUNNING else None
        pace.tell(at, entries[at])
    assert pace.left_s is None
    tell(0, JobState.AS_BEFORE)
    assert pace.left_s is None and pace.share == pytest.approx(0.1)  # that went quickly, and tells nothing
    now[0] = 110.0
    tell(1, JobState.RUNNING, 0.5)
    assert pace.left_s == pytest.approx(80.0) and pace.share == pytest.approx(0.2)  # 1 s for each of music
    tell(2, JobState.RUNNING, 1 / 3)  # two at once
    assert pace.left_s == pytest.approx(35.0) and pace.share == pytest.approx(0.3)
    work.pause()
    now[0] = 1110.0
    work.resume()
    assert pace.left_s == pytest.approx(35.0)
    tell(1, JobState.DONE)
    tell(2, JobState.FAILED)
    assert pace.share == pytest.approx(0.6) and pace.left_s == pytest.approx(20.0) and pace.finished == 3


def test_a_board_is_asked_for_nothing_that_was_not_chosen():
    recipe = BatchOptions(preset=None, board="piano-78", quality=None, seed=None).recipe(None, "cpu")
    assert recipe.board == "piano-78" and recipe.preset is recipe.quality is None and recipe.settings == ()
