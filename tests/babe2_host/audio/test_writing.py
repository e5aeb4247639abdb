"""Recordings are written with their bit depth, dithered, with their chunks, whole or not at all."""

import errno
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from babe2_fx.files import FileError, whole_file
from babe2_host.audio import riff, writing
from babe2_host.audio.chunks import Chunk, Extras, read_extras
from babe2_host.audio.destinations import check_destination
from babe2_host.audio.recording import Recording, read_recording
from babe2_host.audio.riff import write_wave
from babe2_host.audio.writing import check_audio_output, not_carried, write_audio

RATE = 22050


@pytest.fixture
def recording(tmp_path, make_notes):
    """A 16-bit stereo WAV of half a second, as read."""
    path = tmp_path / "input.wav"
    soundfile.write(path, make_notes(RATE, 0.5, 2).T, RATE, subtype="PCM_16")
    return read_recording(path)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("given, ending, written", [
    ("PCM_16", ".wav", "PCM_16"), ("PCM_16", ".flac", "PCM_16"), ("PCM_24", ".flac", "PCM_24"),
    ("PCM_24", ".aiff", "PCM_24"), ("PCM_32", ".flac", "PCM_24"), ("FLOAT", ".wav", "FLOAT"),
    ("FLOAT", ".flac", "PCM_24"), ("DOUBLE", ".wav", "DOUBLE"), ("PCM_U8", ".wav", "PCM_16"),
    ("PCM_S8", ".flac", "PCM_16"), ("ULAW", ".wav", "PCM_16"), ("VORBIS", ".wav", "PCM_24"),
    ("unknown", ".flac", "PCM_24"), ("PCM_24", ".ogg", "VORBIS"), ("PCM_16", ".mp3", "MPEG_LAYER_III")])
def test_the_inputs_bit_depth_is_kept_where_the_format_has_it(tmp_path, recording, given, ending, written):
    like = Recording(recording.path, recording.audio, RATE, "any", given)
    out = tmp_path / f"out{ending}"
    check_audio_output(out, like)
    assert write_audio(out, recording.audio, RATE, like) == 0
    info = soundfile.info(out)
    assert (info.subtype, info.samplerate, info.channels) == (written, RATE, 2)
    if ending != ".mp3":  # whose frames have a length of their own
        assert info.frames == recording.audio.shape[1]


def test_float_files_keep_peaks_and_integer_files_get_them_lowered(tmp_path, recording):
    loud = recording.audio * np.float32(2.0 / np.abs(recording.audio).max())
    as_float = Recording(recording.path, loud, RATE, "WAV", "FLOAT")
    assert write_audio(tmp_path / "float.wav", loud, RATE, as_float) == 0
    np.testing.assert_array_equal(read_recording(tmp_path / "float.wav").audio, loud)
    assert write_audio(tmp_path / "int.wav", loud, RATE, recording) == pytest.approx(6.02, abs=0.01)
    np.testing.assert_allclose(read_recording(tmp_path / "int.wav").audio, loud / 2, atol=2 ** -13)


def test_a_bit_depth_may_be_asked_for(tmp_path, recording):
    for name, depth, written in (("a.wav", "24", "PCM_24"), ("a.wav", "float", "FLOAT"), ("a.flac", "24", "PCM_24"),
                                 ("a.flac", "16", "PCM_16"), ("a.aiff", "float", "FLOAT"),
                                 ("a.rf64", "float", "FLOAT"), ("a.aiff", "24", "PCM_24")):
        check_audio_output(tmp_path / name, recording, depth=depth)
        write_audio(tmp_path / name, recording.audio, RATE, recording, depth=depth)
        assert soundfile.info(tmp_path / name).subtype == written
        np.testing.assert_array_equal(read_recording(tmp_path / name).audio, recording.audio)  # nothing was rounded


@pytest.mark.parametrize("name, depth, sentence", [
    ("a.flac", "float", "a bit depth of float: FLAC has a bit depth of 16 or 24."),
    ("a.mp3", "16", "a bit depth of 16: MP3 has no bit depth to choose."),
    ("a.ogg", "24", "a bit depth of 24: OGG has no bit depth to choose.")])
def test_bit_depths_that_a_format_lacks_are_refused_before_the_render(tmp_path, recording, name, depth, sentence):
    for attempt in (lambda path: check_audio_output(path, recording, depth=depth),
                    lambda path: write_audio(path, recording.audio, RATE, recording, depth=depth)):
        with pytest.raises(FileError, match=sentence):
            attempt(tmp_path / name)
    assert names(tmp_path) == ["input.wav"]
    with pytest.raises(ValueError, match="one of 16, 24, float, not '32'"):
        write_audio(tmp_path / "a.wav", recording.audio, RATE, recording, depth="32")


@pytest.mark.parametrize("ending", [".wav", ".rf64", ".aiff", ".flac", ".w64", ".caf", ".au"])
@pytest.mark.parametrize("depth, bits", [("16", 16), ("24", 24)])
def test_rounding_leaves_noise_of_a_quarter_step_squared_whatever_the_signal(tmp_path, recording, ending, depth,
                                                                              bits):
    """TPDF dither: the error's mean is 0 and its power 1/12 + 2/12 of a squared step, at all levels between."""
    step = 2.0 ** (1 - bits)
    audio = np.repeat(np.linspace(-0.5, 0.5, 9) * step, 40000).astype(np.float32)[None]
    write_audio(tmp_path / f"out{ending}", audio, RATE, recording, depth=depth)
    read = soundfile.read(tmp_path / f"out{ending}", dtype="float64")[0]
    error = ((read - audio[0]) / step).reshape(9, -1)
    np.testing.assert_allclose(error.mean(axis=1), 0, atol=0.015)
    np.testing.assert_allclose(error.var(axis=1), 0.25, atol=0.015)


def test_a_tone_below_the_last_step_survives_16_bits(tmp_path, recording):
    audio = (0.4 * 2 ** -15 * np.sin(2 * np.pi * 1000 / RATE * np.arange(5 * RATE))).astype(np.float32)[None]
    write_audio(tmp_path / "out.wav", audio, RATE, recording)
    spectrum = np.abs(np.fft.rfft(soundfile.read(tmp_path / "out.wav")[0]))
    assert spectrum.argmax() == 5000 and spectrum[5000] / spectrum.size == pytest.approx(0.4 * 2 ** -15, rel=0.1)
    harmonics = spectrum[10000::5000]  # rounding alone would turn it into a square wave, or silence
    assert harmonics.max() < 0.05 * spectrum[5000]


def test_a_channel_that_needs_no_rounding_is_not_dithered_for_the_sake_of_others(tmp_path, recording):
    music, untouched = np.full(RATE, 0.1 / 3, np.float32), recording.audio[0, :RATE]
    audio = np.zeros((3, len(untouched)), np.float32)
    audio[0], audio[1] = music[:len(untouched)], untouched
    write_audio(tmp_path / "out.wav", audio, RATE, recording)
    read = soundfile.read(tmp_path / "out.wav", dtype="float32")[0].T
    assert np.array_equal(read[1:], audio[1:]) and len(np.unique(read[0])) > 2


def test_dither_is_the_same_for_the_same_seed_and_differs_between_channels(tmp_path, recording):
    audio = np.zeros((2, 100000), np.float32) + np.float32(2 ** -17)
    for name, seed in (("a.wav", 1), ("b.wav", 1), ("c.wav", 2), ("a.flac", 1)):
        write_audio(tmp_path / name, audio, RATE, recording, seed=seed)
    read = {name: read_recording(tmp_path / name).audio for name in ("a.wav", "b.wav", "c.wav", "a.flac")}
    np.testing.assert_array_equal(read["a.wav"], read["b.wav"])
    np.testing.assert_array_equal(read["a.wav"], read["a.flac"])
    assert (read["a.wav"] != read["c.wav"]).any()
    assert abs(np.corrcoef(read["a.wav"])[0, 1]) < 0.02


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("ending", [".wav", ".aiff", ".flac"])
def test_what_needs_no_rounding_stays_as_it_is(tmp_path, make_notes, subtype, ending):
    soundfile.write(tmp_path / "in.wav", make_notes(RATE, 0.5, 2).T, RATE, subtype=subtype)
    like = read_recording(tmp_path / "in.wav")
    if soundfile.check_format(writing.WRITABLE[ending], subtype):
        write_audio(tmp_path / f"out{ending}", like.audio, RATE, like)
        np.testing.assert_array_equal(read_recording(tmp_path / f"out{ending}").audio, like.audio)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".aiff"])
@pytest.mark.parametrize("depth, bits", [("16", 16), ("24", 24)])
def test_peaks_at_full_scale_never_wrap_around(tmp_path, recording, ending, depth, bits):
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 60000)).astype(np.float32)
    audio[0, ::3], audio[0, 1::3] = 1, -1
    assert write_audio(tmp_path / f"out{ending}", audio, RATE, recording, depth=depth) == 0
    np.testing.assert_allclose(read_recording(tmp_path / f"out{ending}").audio, audio, atol=2.5 * 2.0 ** (1 - bits))
    lowered_db = write_audio(tmp_path / f"out{ending}", audio * np.float32(1.5), RATE, recording, depth=depth)
    assert lowered_db == pytest.approx(3.52, abs=0.01)
    steps = soundfile.read(tmp_path / f"out{ending}")[0] * 2 ** (bits - 1)
    assert set(steps[::3]) == {2 ** (bits - 1) - n for n in (1, 2, 3)}  # there is room for the dither


def in_archive(tmp_path, make_notes, mask=None, channels=2):
    """A 24-bit WAV of half a second with the chunks that an archive's has, as read."""
    cue = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 500, b"data", 0, 0, 500)
    label = b"adtl" + b"labl" + struct.pack("<II", 9, 1) + b"trio\0\0"
    parts = (Chunk("bext", b"Marimba".ljust(602, b"\0") + b"A=ANALOGUE\r\n!"), Chunk("iXML", b"<BWFXML/>"),
             Chunk("cue ", cue, True), Chunk("LIST/adtl", label, True), Chunk("smpl", bytes(36), True))
    samples = np.rint(make_notes(RATE, 0.5, channels).T * 2 ** 23).astype(int)
    with open(tmp_path / "archive.wav", "wb") as file:
        write_wave(file.write, [samples], *samples.shape, RATE, "PCM_24", Extras(parts, mask))
    return read_recording(tmp_path / "archive.wav")


@pytest.mark.parametrize("name", ["out.wav", "out.rf64"])
@pytest.mark.parametrize("depth", [None, "16", "float"])
def test_archives_chunks_are_carried_byte_for_byte(tmp_path, make_notes, name, depth):
    like = in_archive(tmp_path, make_notes)
    assert len(like.extras.chunks) == 5 and like.notes == ()
    restored = like.audio * np.float32(0.9)
    check_audio_output(tmp_path / name, like, depth=depth)
    write_audio(tmp_path / name, restored, RATE, like, depth=depth)
    written = {chunk.name: chunk.content for chunk in read_extras(tmp_path / name).chunks}
    assert written == {chunk.name: chunk.content for chunk in like.extras.chunks}
    assert not_carried(tmp_path / name, restored, RATE, like) == ()
    np.testing.assert_allclose(read_recording(tmp_path / name).audio, restored, atol=2 ** -14)
    assert b"trio" in (tmp_path / name).read_bytes()


def test_a_file_of_more_than_4_gb_becomes_rf64_by_itself(tmp_path, make_notes, monkeypatch):
    like = in_archive(tmp_path, make_notes)
    monkeypatch.setattr(riff, "LARGEST_RIFF", 80_000)
    check_audio_output(tmp_path / "out.wav", like)
    for depth, form in ((None, "WAV"), ("float", "RF64")):
        write_audio(tmp_path / "out.wav", like.audio, RATE, like, depth=depth)
        assert soundfile.info(tmp_path / "out.wav").format == form
        again = read_recording(tmp_path / "out.wav")
        np.testing.assert_array_equal(again.audio, like.audio)
        assert {c.name: c.content for c in again.extras.chunks} == {c.name: c.content for c in like.extras.chunks}


def test_aiff_of_more_than_4_gb_is_refused_before_the_render(tmp_path, recording, monkeypatch):
    monkeypatch.setattr(writing, "LARGEST_AIFF", recording.audio.size * 2 - 1)
    with pytest.raises(FileError, match="out.aiff cannot be written: AIFF files hold 4 GB at most. WAV"):
        check_audio_output(tmp_path / "out.aiff", recording)
    with pytest.raises(FileError, match="AIFF files hold 4 GB"):
        write_audio(tmp_path / "out.aiff", recording.audio, RATE, recording)


def test_chunks_that_count_samples_stay_behind_when_the_length_changes_and_this_is_said(tmp_path, make_notes):
    like = in_archive(tmp_path, make_notes)
    out = tmp_path / "out.wav"
    for audio, rate in ((like.audio[:, :-1], RATE), (like.audio, 2 * RATE)):
        write_audio(out, audio, rate, like)
        assert [chunk.name for chunk in read_extras(out).chunks] == ["bext", "iXML"]
        assert not_carried(out, audio, rate, like) == (
            f"Not carried over from {like.path} to {out} (tied to the original length or sample rate): the cue points "
            "(cue), the labels (LIST/adtl) and the sampler's loops (smpl).",)


def test_other_formats_are_said_to_be_without_the_chunks(tmp_path, make_notes):
    like = in_archive(tmp_path, make_notes)
    for ending in (".flac", ".aiff", ".mp3", ".w64"):
        out = tmp_path / f"out{ending}"
        write_audio(out, like.audio, RATE, like)
        assert not_carried(out, like.audio, RATE, like) == (
            f"Not carried over from {like.path} to {out} (specific to WAV files): the broadcast extension (bext), the "
            "production data (iXML), the cue points (cue), the labels (LIST/adtl) and the sampler's loops (smpl).",)


def test_a_damaged_chunk_is_said_to_be_left_behind(tmp_path, make_notes):
    like = in_archive(tmp_path, make_notes)
    with open(like.path, "ab") as file:
        file.write(b"axml" + struct.pack("<I", 4_000_000_000) + b"<adm>")
    like = read_recording(like.path)
    assert like.notes == (f"{like.path} has parts that are damaged or too large and are not carried over: the XML "
                          "metadata (axml).",)
    write_audio(tmp_path / "out.wav", like.audio, RATE, like)
    assert not_carried(tmp_path / "out.wav", like.audio, RATE, like) == like.notes
    assert len(read_extras(tmp_path / "out.wav").chunks) == 5


def test_channels_keep_their_speakers(tmp_path, make_notes):
    like = in_archive(tmp_path, make_notes, mask=0x3F, channels=6)
    assert (like.format, like.extras.channel_mask) == ("WAVEX", 0x3F)
    write_audio(tmp_path / "out.wav", like.audio, RATE, like)
    assert read_extras(tmp_path / "out.wav").channel_mask == 0x3F
    write_audio(tmp_path / "mono.wav", like.audio[:1], RATE, like)
    assert read_extras(tmp_path / "mono.wav").channel_mask is None


@pytest.mark.parametrize("name, sentence", [
    ("out.xyz", r"\.xyz is not a known format\. These work: \.wav, \.flac"), ("out", "without an extension"),
    ("nofolder/out.wav", "there is no folder .*nofolder"), ("input.wav", "is an input and is not"),
    ("input.wav/out.wav", "is a file, not a folder"), (".", "is a folder"), ("a\0b.wav", "cannot be written"),
    ("x" * 300 + ".wav", "too long")])
def test_outputs_that_cannot_be_are_refused_before_the_render(tmp_path, recording, name, sentence):
    before = recording.path.read_bytes()
    with pytest.raises(FileError, match=sentence):
        check_audio_output(f"{tmp_path}/{name}", recording)
    with pytest.raises(FileError, match=sentence):
        write_audio(f"{tmp_path}/{name}", recording.audio, RATE, recording)
    assert names(tmp_path) == ["input.wav"] and recording.path.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_devices_are_not_replaced(recording):
    for device in ("/dev/full", "/dev/null"):
        with pytest.raises(FileError, match="not a regular file"):
            check_destination(device)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_folders_that_even_root_cannot_write_to_are_refused(recording):
    with pytest.raises(FileError, match="/proc/self/out.wav cannot be written"):
        check_audio_output("/proc/self/out.wav", recording)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folders_without_permission_are_refused(tmp_path, recording):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(FileError, match="ermission"):
        check_audio_output(tmp_path / "closed" / "out.wav", recording)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_input_is_known_by_any_name(tmp_path, recording, link):
    link(recording.path, tmp_path / "other.wav")
    before = recording.path.read_bytes()
    with pytest.raises(FileError, match="is an input and is not written over"):
        write_audio(tmp_path / "other.wav", recording.audio, RATE, recording)
    assert recording.path.read_bytes() == before


def test_a_link_is_followed_and_stays_a_link(tmp_path, recording):
    (tmp_path / "real").mkdir()
    os.symlink(tmp_path / "real" / "out.wav", tmp_path / "out.wav")
    write_audio(tmp_path / "out.wav", recording.audio, RATE, recording)
    assert (tmp_path / "out.wav").is_symlink() and (tmp_path / "real" / "out.wav").is_file()
    assert names(tmp_path / "real") == ["out.wav"]


@pytest.mark.parametrize("name, channels, rate", [
    ("a.mp3", 6, 44100), ("a.mp3", 1, 96000), ("a.flac", 9, 44100)])
def test_formats_that_cannot_hold_the_recording_are_refused_before_the_render(tmp_path, name, channels, rate):
    audio = np.zeros((channels, 100), np.float32)
    like = Recording(tmp_path / "input.wav", audio, rate, "WAV", "PCM_16")
    with pytest.raises(FileError, match=rf"does not take {channels} channels? at {rate} Hz"):
        check_audio_output(tmp_path / name, like)
    assert names(tmp_path) == []


def test_the_check_leaves_nothing_and_touches_nothing(tmp_path, recording):
    (tmp_path / "out.flac").write_bytes(b"an earlier result")
    check_audio_output(tmp_path / "out.flac", recording)
    assert names(tmp_path) == ["input.wav", "out.flac"]
    assert (tmp_path / "out.flac").read_bytes() == b"an earlier result"


def test_new_files_have_the_permissions_of_any_new_file(tmp_path, recording):
    (tmp_path / "plain").write_bytes(b"")
    write_audio(tmp_path / "out.wav", recording.audio, RATE, recording)
    assert (tmp_path / "out.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_audio_that_is_not_finite_is_never_written(tmp_path, recording):
    with pytest.raises(ValueError, match="not finite"):
        write_audio(tmp_path / "out.wav", recording.audio * np.nan, RATE, recording)
    assert names(tmp_path) == ["input.wav"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_write_leaves_the_earlier_file(tmp_path, error):
    (tmp_path / "out").write_text("earlier")
    with pytest.raises(error), whole_file(tmp_path / "out") as temporary:
        temporary.write_text("half")
        raise error
    assert names(tmp_path) == ["out"] and (tmp_path / "out").read_text() == "earlier"


@pytest.mark.parametrize("ending", [".wav", ".flac", ".aiff", ".ogg"])
def test_a_full_disk_simulated_by_failing_writes(tmp_path, recording, monkeypatch, ending):
    class FullDisk(writing._Remembering):
        def write(self, data):
            self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return 0
    (tmp_path / f"out{ending}").write_bytes(b"an earlier result")
    monkeypatch.setattr(writing, "_Remembering", FullDisk)
    for attempt in (lambda path: write_audio(path, recording.audio, RATE, recording),
                    lambda path: check_audio_output(path, recording)):
        with pytest.raises(FileError, match=rf"out{ending} c.* be written: no space left on device"):
            attempt(tmp_path / f"out{ending}")
    assert names(tmp_path) == ["input.wav", f"out{ending}"]
    assert (tmp_path / f"out{ending}").read_bytes() == b"an earlier result"


@pytest.mark.parametrize("ending", [".wav", ".flac", ".ogg"])
def test_a_write_that_the_system_stops_half_way_leaves_nothing(tmp_path, ending):
    """The real thing, through libsndfile: no file of this process may grow over 20 kB."""
    pytest.importorskip("resource", reason="limits of file sizes are POSIX")
    script = """if True:
        import resource, sys, numpy as np
        from pathlib import Path
        from babe2_fx.files import FileError
        from babe2_host.audio.recording import Recording
        from babe2_host.audio.writing import write_audio
        audio = np.random.default_rng(0).normal(0, 0.1, (2, 200000)).astype(np.float32)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        like = Recording(Path("input.wav"), audio, 44100, "WAV", "PCM_16")
        try:
            write_audio(sys.argv[1], audio, 44100, like)
        except FileError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", script, tmp_path / f"out{ending}"], capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    assert f"out{ending} could not be written: file too large." in done.stdout, done.stderr
    assert done.stderr == "" and names(tmp_path) == []
