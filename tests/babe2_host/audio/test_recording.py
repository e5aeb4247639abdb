"""What is read of a recording, and what is refused."""

import os
import struct

import numpy as np
import pytest
import soundfile

from babe2_fx.audio import reading
from babe2_fx.files import FileError
from babe2_host.audio import writing
from babe2_host.audio.recording import read_recording

RATE = 22050


@pytest.mark.parametrize("ending, subtype, tolerance", [
    (".wav", "PCM_16", 2 ** -15), (".wav", "PCM_24", 2 ** -23), (".wav", "FLOAT", 0),
    (".wav", "PCM_U8", 2 ** -7), (".flac", "PCM_24", 2 ** -23), (".aiff", "PCM_16", 2 ** -15),
    (".w64", "PCM_24", 2 ** -23),
    (".caf", "FLOAT", 0), (".au", "PCM_16", 2 ** -15), (".rf64", "PCM_24", 2 ** -23)])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_is_read_is_what_the_file_holds(tmp_path, make_notes, ending, subtype, tolerance, channels):
    audio = make_notes(RATE, 0.2, channels)
    path = tmp_path / f"recording{ending}"
    soundfile.write(path, audio.T, RATE, subtype=subtype, format=writing.WRITABLE[ending])
    read = read_recording(path)
    assert (read.audio.shape, read.audio.dtype) == (audio.shape, np.float32)
    assert (read.sample_rate, read.channels, read.subtype) == (RATE, channels, subtype)
    assert np.abs(read.audio - audio).max() <= tolerance
    assert read.duration_s == pytest.approx(0.2)


def test_lossy_files_are_read(tmp_path, make_notes):
    audio = make_notes(44100, 1.0, 1)
    for name, subtype in (("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III")):
        soundfile.write(tmp_path / name, audio.T, 44100, subtype=subtype)
        read = read_recording(tmp_path / name).audio
        assert np.corrcoef(read[0, :44100], audio[0, :read.shape[1]])[0, 1] > 0.95, name


def test_what_only_pedalboard_reads_is_read(tmp_path, make_notes, monkeypatch):
    audio = make_notes(RATE, 0.2, 2)
    soundfile.write(tmp_path / "a.wav", audio.T, RATE, subtype="FLOAT")

    def unknown(*args, **kwargs):
        raise soundfile.LibsndfileError(1)
    monkeypatch.setattr(reading.soundfile, "SoundFile", unknown)
    read = read_recording(tmp_path / "a.wav")
    np.testing.assert_allclose(read.audio, audio)
    assert read.sample_rate == RATE


BAD_CONTENT = [
    ("empty.wav", b"", "is empty (0 bytes)"),
    ("zeros.wav", bytes(4096), "is not an audio file that can be read"),
    ("text.wav", b"Stars and Stripes Forever\n" * 40, "is not an audio file that can be read"),
    ("text.flac", b"Stars and Stripes Forever\n" * 40, "is not an audio file that can be read"),
    ("text.mp3", b"Stars and Stripes Forever\n" * 40, "is not an audio file that can be read"),
    ("noending", b"\x00\x01" * 999, "is not an audio file that can be read"),
    ("headerless.raw", bytes(4096), "is not an audio file that can be read"),
    ("header.wav", b"RIFF\x24\x00\x00\x00WAVE", "is not an audio file that can be read"),
    ("header.flac", b"fLaC\x00\x00\x00\x22", "is not an audio file that can be read"),
]


@pytest.mark.parametrize("name, content, sentence", BAD_CONTENT, ids=[name for name, *_ in BAD_CONTENT])
def test_what_is_not_audio_is_refused_by_a_sentence_with_its_name(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError) as refused:
        read_recording(path)
    assert str(refused.value).startswith(str(path)) and sentence in str(refused.value)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileError, match="There is no file .*nowhere.wav"):
        read_recording(tmp_path / "nowhere.wav")
    with pytest.raises(FileError, match="is a folder"):
        read_recording(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.wav")  # opening it would wait for ever
        with pytest.raises(FileError, match="not a regular file"):
            read_recording(tmp_path / "pipe.wav")


@pytest.mark.parametrize("ending, subtype", [
    (".wav", "PCM_16"), (".wav", "FLOAT"), (".wav", "PCM_24"), (".aiff", "PCM_16"), (".flac", "PCM_16"),
    (".flac", "PCM_24"), (".w64", "PCM_16"), (".rf64", "PCM_16"), (".au", "PCM_16"), (".ogg", "VORBIS"),
    (".ogg", "OPUS"), (".mp3", "MPEG_LAYER_III")])
@pytest.mark.parametrize("share", [0.99, 0.6, 0.1])
def test_truncated_files_are_told_from_whole_ones(tmp_path, make_notes, ending, subtype, share):
    whole, cut = tmp_path / f"whole{ending}", tmp_path / f"cut{ending}"
    audio = make_notes(48000, 1.0, 2)
    soundfile.write(whole, audio.T, 48000, subtype=subtype, format=writing.WRITABLE[ending])
    assert read_recording(whole).audio.size
    content = whole.read_bytes()
    cut.write_bytes(content[:int(share * len(content))])
    if ending == ".mp3" and share == 0.99:
        return  # a frame less than its header says is common among whole MP3 files
    with pytest.raises(FileError, match="truncated|not an audio file") as refused:
        read_recording(cut)
    assert str(cut) in str(refused.value)


def test_a_wav_written_to_a_pipe_is_not_taken_for_truncated(tmp_path, make_notes):
    soundfile.write(tmp_path / "a.wav", make_notes(RATE, 0.2).T, RATE, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data") + 4
    for unknown in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000):
        content[at:at + 4] = struct.pack("<I", unknown)
        content[4:8] = struct.pack("<I", unknown)
        (tmp_path / "a.wav").write_bytes(content)
        assert read_recording(tmp_path / "a.wav").audio.shape == (1, 4410)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_counted_and_located(tmp_path, make_notes, value):
    audio = make_notes(10000, 1.0, 2)
    audio[1, 2500:2503] = value
    audio[0, 9000] = value
    soundfile.write(tmp_path / "a.wav", audio.T, 10000, subtype="FLOAT")
    where = r"4 of 20000 samples .* first at 0\.250 s \(sample 2500, channel 2\)"
    with pytest.raises(FileError, match=where):
        read_recording(tmp_path / "a.wav")


def test_a_header_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), RATE)
    with pytest.raises(FileError, match="no samples"):
        read_recording(tmp_path / "a.wav")


@pytest.mark.parametrize("rate, fits", [(7999, False), (8000, True), (192000, True), (192001, False)])
def test_sample_rates_from_8_to_192_khz_are_taken(tmp_path, rate, fits):
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 1)), rate)
    if fits:
        assert read_recording(tmp_path / "a.wav").sample_rate == rate
    else:
        with pytest.raises(FileError, match=f"sample rate of {rate} Hz"):
            read_recording(tmp_path / "a.wav")


def test_what_was_found_of_a_wrong_header_is_among_the_notes_of_a_result(tmp_path, make_notes):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_notes(RATE, 0.2).T, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 40, 4410)
    path.write_bytes(content)
    recording = read_recording(path)
    assert recording.audio.shape == (1, 4410)
    assert recording.notes == (
        f"The header of {path} states 4410 bytes of audio, but 8820 are there. All that is there was read, 0.20 s.",)
    assert recording.notes == writing.not_carried(tmp_path / "b.wav", recording.audio, RATE, recording)


@pytest.mark.parametrize("ending, magic", [(".bwf", b"RIFF"), (".wave", b"RIFF"), (".aifc", b"FORM"), (".oga", b"OggS"),
                                           (".snd", b".snd")])
def test_other_names_for_formats_are_written_too(tmp_path, make_notes, ending, magic):
    soundfile.write(tmp_path / "a.wav", make_notes(44100, 0.2).T, 44100, subtype="PCM_16")
    recording = read_recording(tmp_path / "a.wav")
    writing.write_audio(tmp_path / f"b{ending}", recording.audio, 44100, recording)
    assert (tmp_path / f"b{ending}").read_bytes()[:4] == magic
    assert read_recording(tmp_path / f"b{ending}").audio.shape == recording.audio.shape
