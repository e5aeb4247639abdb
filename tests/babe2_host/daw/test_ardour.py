"""Restoration in the real Ardour."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from ardour_world import RATE, RunningArdour
from babe2_host.daw.scripts import lua_string


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    for program in ("ardour", "ardour7-lua", "Xvfb"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}: Ardour 7 and Xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"],
                              pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    program = None
    try:
        with os.fdopen(read) as number:
            program = RunningArdour(tmp_path_factory.mktemp("ardour"), f":{number.readline().strip()}")
        yield program
    finally:
        if program:
            program.close()
        server.terminate()
        server.wait()


@pytest.fixture
def recording(tmp_path, make_notes):
    """recording(channels): a WAV file of two seconds, named as recordings are."""
    def make(channels):
        path = tmp_path / f"Side A, l'été {channels}.wav"
        soundfile.write(path, make_notes(RATE, 2.0, channels).T, RATE, subtype="FLOAT")
        return path
    return make


CHOICE = '{preset = "piano", quality = "draft", target = ""}'


def test_take_sounds_as_its_region_to_the_sample_and_one_undo_takes_it_back(running, recording):
    session = f'''
        a = lay({lua_string(str(recording(1)))}, "Mono", 30011, "Side A, l'été")
        a:trim_front(Temporal.timepos_t(31234))
        local sound, envelope = a:to_audioregion(), a:to_audioregion():envelope()
        sound:set_scale_amplitude(0.5)
        sound:set_fade_in_shape(ARDOUR.FadeShape.FadeSlow) sound:set_fade_in_length(9600)
        sound:set_fade_out_shape(ARDOUR.FadeShape.FadeSymmetric) sound:set_fade_out_length(14400)
        sound:set_envelope_active(true)
        envelope:clear_list()
        envelope:add(Temporal.timepos_t(0), 1, false, true)
        envelope:add(Temporal.timepos_t(30000), 0.25, false, true)
        envelope:add(Temporal.timepos_t(60000), 1.5, false, true)
        b = lay({lua_string(str(recording(2)))}, "Stereo", 777, "Both%L/R")
        show("Mono") show("Stereo")'''
    before = running.run(session)
    heard = running.hears("Mono", 20000, 140000), running.hears("Stereo", 0, 110000)
    assert np.abs(heard[0]).max() > 0.05 and np.abs(heard[1]).max() > 0.1

    assert running.run(f"act({{a, b}}, {CHOICE}) show('Mono') show('Stereo')") == [
        "0 Side A, l'été at 31234 for 94777 muted", "1 Side A, l'été restored at 31234 for 94777",
        "0 Both%L/R at 777 for 96000 muted", "1 Both%L/R restored at 777 for 96000"]
    np.testing.assert_array_equal(running.hears("Mono", 20000, 140000), heard[0])
    np.testing.assert_array_equal(running.hears("Stereo", 0, 110000), heard[1])
    assert not list(running.jobs.glob("*.wav")) and not list(running.jobs.glob("*/job.json"))

    assert running.run("Editor:undo(1) show('Mono') show('Stereo')") == before
    # Ardour rounds a gain envelope otherwise after it has undone anything of a region, be it only a mute.
    np.testing.assert_allclose(running.hears("Mono", 20000, 140000), heard[0], atol=2e-5)
    running.run("playlist('Mono'):remove_region(a) playlist('Stereo'):remove_region(b)")


@pytest.mark.parametrize("shape", ["FadeLinear", "FadeFast", "FadeSlow", "FadeConstantPower",
                                   "FadeSymmetric"])
def test_every_fade_is_carried_over(running, recording, shape):
    running.run(f'''
        a = lay({lua_string(str(recording(1)))}, "Mono", 5000, "Faded")
        local sound = a:to_audioregion()
        sound:set_fade_in_shape(ARDOUR.FadeShape.{shape}) sound:set_fade_in_length(24001)
        sound:set_fade_out_shape(ARDOUR.FadeShape.{shape}) sound:set_fade_out_length(33333)''')
    heard = running.hears("Mono", 0, 110000)
    running.run(f"act({{a}}, {CHOICE})")
    np.testing.assert_array_equal(running.hears("Mono", 0, 110000), heard)
    running.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")


@pytest.fixture
def track(running, recording):
    """A region on the track "Mono", known as `a`. Afterwards the track is empty, and jobs are done at once."""
    running.run(f'a = lay({lua_string(str(recording(1)))}, "Mono", 30000, "Side A")')
    yield running
    (running.jobs / "state").write_text("done")
    running.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")


def leave_running(running, state="done"):
    """Restores `a`, leaves it running, and has the job end."""
    (running.jobs / "state").write_text("running")
    running.run(f'impatient = true act({{a}}, {CHOICE}, {{answer = "leave"}}) impatient = false')
    (record,) = running.jobs.glob("*/job.json")
    record.write_text(record.read_text().replace('"running"', f'"{state}"'))


def test_what_was_left_running_is_collected_where_its_region_lies_by_then(track):
    heard = track.hears("Mono", 30000, 126000)
    leave_running(track)
    track.run("a:set_position(Temporal.timepos_t(47111))")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A at 47111 for 96000 muted", "1 Side A restored at 47111 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 47111, 143111), heard)


def test_take_of_a_region_trimmed_meanwhile_lies_where_it_sounds_the_same(track):
    heard = track.hears("Mono", 40000, 100000)
    leave_running(track)
    track.run("a:trim_front(Temporal.timepos_t(35000))")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A at 35000 for 91000", "1 Side A restored at 30000 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 40000, 100000), heard)


def test_take_of_a_region_deleted_meanwhile_lies_where_that_was(track):
    leave_running(track)
    assert track.run("playlist('Mono'):remove_region(a) act({}, {answer = 'collect'}) show('Mono')") == [
        "0 Side A restored at 30000 for 96000"]
    track.run("for r in playlist('Mono'):region_list():iter() do playlist('Mono'):remove_region(r) end")
    (said,) = track.run("act({})")
    assert said.startswith("said Select the audio regions")


def test_a_job_that_is_stopped_or_fails_leaves_the_session_and_nothing_else(track):
    before = track.run("show('Mono')")
    (track.jobs / "state").write_text("running")
    track.run(f'impatient = true act({{a}}, {CHOICE}, {{answer = "stop"}}) impatient = false')
    assert track.run('show("Mono")') == before
    assert not list(track.jobs.glob("*.wav")) and not list(track.jobs.glob("*/job.json"))
    leave_running(track, "failed")
    assert track.run("act({}, {answer = 'collect'}) show('Mono')") == ["said as asked", *before]
    assert not list(track.jobs.glob("*.wav")) and not list(track.jobs.glob("*/job.json"))


def test_a_refusal_is_shown(track):
    (track.jobs / "refuse").touch()
    before = track.run("show('Mono')")
    try:
        after = track.run(f"act({{a}}, {CHOICE}) show('Mono')")
        assert after == ["said The stand-in takes nothing.", *before]
    finally:
        (track.jobs / "refuse").unlink()
    assert not list(track.jobs.glob("*.wav"))


def test_target_is_handed_over(track, tmp_path):
    target = tmp_path / "the target's curve.csv"
    target.write_bytes(b"100, 0\r\n5000, -3\r\n")
    track.run(f'act({{a}}, {{preset = "piano", quality = "draft", target = {lua_string(str(target))}}})')
    assert (track.jobs / "target_seen").read_bytes() == target.read_bytes()
    assert not list(track.jobs.glob("*-target.csv"))


def test_regions_restored_again_and_beneath_others_get_their_own_takes(track, recording):
    before = track.run(f"""
        act({{a}}, {CHOICE})
        Editor:undo(1)
        c = lay({lua_string(str(recording(1)))}, "Mono", 60000, "Side B")
        d = lay({lua_string(str(recording(1)))}, "Mono", 70000, "Side C")
        show("Mono")""")
    heard = track.hears("Mono", 0, 200000)
    assert track.run(f"act({{a}}, {CHOICE}) show('Mono')") == [
        "0 Side A at 30000 for 96000 muted", "1 Side A restored at 30000 for 96000",
        "2 Side B at 60000 for 96000", "3 Side C at 70000 for 96000"]
    np.testing.assert_array_equal(track.hears("Mono", 0, 200000), heard)
    assert track.run("Editor:undo(1) show('Mono')") == before


def test_peaks_above_full_scale_come_into_a_session_of_24_bit_whole(track, tmp_path, make_notes):
    soundfile.write(tmp_path / "loud.wav", 4 * make_notes(RATE, 1.0, 1).T, RATE, subtype="FLOAT")
    track.run(f'b = lay({lua_string(str(tmp_path / "loud.wav"))}, "Mono", 200000, "Loud")')
    heard = track.hears("Mono", 190000, 260000)
    assert np.abs(heard).max() > 1.9
    formats = track.run(f"""
        Session:cfg():set_native_file_data_format(ARDOUR.SampleFormat.Int24)
        act({{b}}, {CHOICE})
        print(Session:cfg():get_native_file_data_format(), ARDOUR.SampleFormat.Int24)
        Session:cfg():set_native_file_data_format(ARDOUR.SampleFormat.Float)""")[0].split()
    assert formats[0] == formats[1]
    np.testing.assert_array_equal(track.hears("Mono", 190000, 260000), heard)
