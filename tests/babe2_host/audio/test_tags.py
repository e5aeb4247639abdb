"""Tags, carried from any format to any other."""

import io
import struct
from dataclasses import replace

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.flac import FLAC, Picture

from babe2_fx.audio import reading
from babe2_fx.files import FileError
from babe2_host.audio.chunks import Chunk, Extras, read_extras
from babe2_host.audio.recording import read_recording
from babe2_host.audio.riff import info_chunk, read_info, write_wave
from babe2_host.audio.tags import Tags
from babe2_host.audio.writing import WRITABLE, check_audio_output, not_carried, write_audio

RATE = 44100
TEXTS = {"title": ("Prélude, opus 28/7",), "artist": ("Søren A.", "Béla B."), "album": ("Wax",),
         "date": ("1917-05-01",), "comment": ("Surface noise\nthroughout",), "isrc": ("DKABC1700001",),
         "composer": ("Frédéric Chopin",), "genre": ("Classical",), "tracknumber": ("3/12",),
         "copyright": ("Public domain",), "matrixnumber": ("B-20120-3",)}


def picture(data: bytes = b"\x89PNG not really", desc: str = "front") -> bytes:
    made = Picture()
    made.type, made.mime, made.desc, made.data = 3, "image/png", desc, data
    return made.write()


TAGS = Tags(TEXTS, (picture(), picture(b"back", "")))


@pytest.fixture
def audio(make_notes):
    return make_notes(RATE, 0.3)


def tagged(path, audio, tags: Tags = TAGS, **options):
    """A FLAC file with tags made by mutagen alone."""
    soundfile.write(path, audio.T, RATE, **options)
    file = FLAC(path)
    for name, values in tags.texts.items():
        file[name] = list(values)
    for content in tags.pictures:
        file.add_picture(Picture(content))
    file.save()
    return path


def as_dict(tags: Tags):
    return tags.texts, sorted(tags.pictures)


@pytest.mark.parametrize("ending", [".wav", ".rf64", ".flac", ".ogg", ".mp3", ".aiff"])
def test_all_tags_come_through_every_format_that_has_tags(tmp_path, audio, ending):
    like = read_recording(tagged(tmp_path / "in.flac", audio))
    assert as_dict(like.tags) == as_dict(TAGS) and like.notes == ()
    there = tmp_path / f"there{ending}"
    write_audio(there, audio, RATE, like)
    assert not_carried(there, audio, RATE, like) == ()
    middle = read_recording(there)
    assert as_dict(middle.tags) == as_dict(TAGS) and middle.notes == ()
    write_audio(tmp_path / "back.flac", audio, RATE, middle)
    back = FLAC(tmp_path / "back.flac")
    assert {name: tuple(values) for name, values in back.tags.as_dict().items()} == TEXTS
    assert sorted(p.write() for p in back.pictures) == sorted(TAGS.pictures)
    if ending != ".mp3":  # tags must not change the samples
        samples = soundfile.read(there)[0]
        assert len(samples) == audio.shape[1]
        np.testing.assert_allclose(samples, audio[0], atol=0.1 if ending == ".ogg" else 2 ** -14)


def test_opus_is_tagged_too(tmp_path, audio):
    soundfile.write(tmp_path / "in.opus", audio.T, 48000, format="OGG", subtype="OPUS")
    file = mutagen.File(tmp_path / "in.opus")
    file["title"] = "Prélude"
    file.save()
    assert read_recording(tmp_path / "in.opus").tags.texts == {"title": ("Prélude",)}


def test_libsndfiles_few_tags_serve_where_there_are_no_others(tmp_path, audio):
    like = read_recording(tagged(tmp_path / "in.flac", audio))
    write_audio(tmp_path / "out.caf", audio, RATE, like)
    read = read_recording(tmp_path / "out.caf").tags.texts
    assert read == {name: ("; ".join(TEXTS[name]),) for name in TEXTS if name not in (
        "isrc", "composer", "matrixnumber")}


def test_other_programs_find_the_tags(tmp_path, audio):
    like = read_recording(tagged(tmp_path / "in.flac", audio))
    for ending in (".wav", ".rf64", ".aiff", ".flac", ".ogg"):
        write_audio(tmp_path / f"out{ending}", audio, RATE, like)
        with soundfile.SoundFile(tmp_path / f"out{ending}") as file:
            assert (file.title, file.comment) == (TEXTS["title"][0], TEXTS["comment"][0]), ending
            assert file.artist.startswith("Søren A."), ending
    for ending in (".wav", ".aiff"):
        assert str(mutagen.File(tmp_path / f"out{ending}").tags["TSRC"]) == "DKABC1700001"
    write_audio(tmp_path / "out.mp3", audio, RATE, like)
    tags = mutagen.File(tmp_path / "out.mp3", easy=True)
    assert tags["isrc"] == ["DKABC1700001"] and tags["composer"] == ["Frédéric Chopin"]


def test_tags_of_an_mp3_as_players_write_them(tmp_path, audio):
    soundfile.write(tmp_path / "in.mp3", audio.T, RATE)
    tags = id3.ID3()
    tags.add(id3.TIT2(encoding=1, text="Prélude"))
    tags.add(id3.TDRC(encoding=0, text="1917"))
    tags.add(id3.TCON(encoding=0, text="(32)"))
    tags.add(id3.COMM(encoding=3, lang="eng", desc="", text="from shellac"))
    tags.add(id3.COMM(encoding=3, lang="XXX", desc="ID3v1 Comment", text="from shellac"))
    tags.add(id3.COMM(encoding=0, lang="eng", desc="iTunNORM", text="0000 0000"))
    tags.add(id3.TXXX(encoding=3, desc="replaygain_track_gain", text="-3 dB"))
    tags.add(id3.TXXX(encoding=3, desc="MATRIX", text="B-20120"))
    tags.save(tmp_path / "in.mp3", v2_version=3)
    like = read_recording(tmp_path / "in.mp3")
    assert like.tags.texts == {"title": ("Prélude",), "date": ("1917",), "genre": ("Classical",),
                               "comment": ("from shellac",), "matrix": ("B-20120",)}


def test_what_was_true_of_the_old_samples_alone_is_left_behind(tmp_path, audio):
    tags = Tags({"title": ("a",), "replaygain_track_gain": ("-3 dB",), "r128_track_gain": ("5",),
                 "encoder": ("old",)})
    assert read_recording(tagged(tmp_path / "in.flac", audio, tags)).tags.texts == {"title": ("a",)}


def test_a_date_that_id3_cannot_say_is_kept_in_words(tmp_path, audio):
    tags = Tags({"date": ("about 1917",)})
    like = read_recording(tagged(tmp_path / "in.flac", audio, tags))
    for ending in (".mp3", ".aiff", ".wav"):
        write_audio(tmp_path / f"out{ending}", audio, RATE, like)
        assert read_recording(tmp_path / f"out{ending}").tags == tags


def test_a_wav_files_own_tags_are_carried_byte_for_byte_and_read_for_others(tmp_path, audio):
    info = info_chunk({"INAM": "Prélude", "IARL": "Shelf 7", "IXYZ": "unheard of"})
    with open(tmp_path / "in.wav", "wb") as file:
        write_wave(file.write, [audio.T], audio.shape[1], 1, RATE, "FLOAT", Extras((info,)))
    like = read_recording(tmp_path / "in.wav")
    assert like.tags.texts == {"title": ("Prélude",), "archivallocation": ("Shelf 7",)}
    write_audio(tmp_path / "out.wav", audio, RATE, like)
    assert read_extras(tmp_path / "out.wav").chunks == (info,)
    write_audio(tmp_path / "out.flac", audio, RATE, like)
    assert FLAC(tmp_path / "out.flac")["archivallocation"] == ["Shelf 7"]


def test_id3_in_a_wav_file_adds_to_its_info(tmp_path, audio):
    tags, content = id3.ID3(), io.BytesIO()
    tags.add(id3.TIT2(encoding=3, text="Prélude"))
    tags.add(id3.TSRC(encoding=3, text="DKABC1700001"))
    tags.save(content)
    info = info_chunk({"INAM": "Prelude", "ISBJ": "Marimba"})
    extras = Extras((info, Chunk("id3 ", content.getvalue(), after_data=True)))
    with open(tmp_path / "in.wav", "wb") as file:
        write_wave(file.write, [audio.T], audio.shape[1], 1, RATE, "FLOAT", extras)
    assert read_recording(tmp_path / "in.wav").tags.texts == {"title": ("Prélude",), "isrc": ("DKABC1700001",),
                                                               "subject": ("Marimba",)}
    write_audio(tmp_path / "out.wav", audio, RATE, read_recording(tmp_path / "in.wav"))
    assert read_extras(tmp_path / "out.wav").chunks == extras.chunks


def test_recordings_without_tags_get_none(tmp_path, audio):
    soundfile.write(tmp_path / "in.wav", audio.T, RATE)
    like = read_recording(tmp_path / "in.wav")
    assert not like.tags
    for ending in (".wav", ".flac", ".aiff", ".ogg", ".mp3", ".caf", ".au", ".w64"):
        write_audio(tmp_path / f"out{ending}", audio, RATE, like)
        assert not read_recording(tmp_path / f"out{ending}").tags, ending
        assert not_carried(tmp_path / f"out{ending}", audio, RATE, like) == ()


@pytest.mark.parametrize("ending", [".au", ".w64"])
def test_formats_without_tags_are_told_of(tmp_path, audio, ending):
    like = read_recording(tagged(tmp_path / "in.flac", audio))
    write_audio(tmp_path / f"out{ending}", audio, RATE, like)
    said = not_carried(tmp_path / f"out{ending}", audio, RATE, like)
    assert said == (f"Not carried over from {tmp_path}/in.flac to {tmp_path}/out{ending} ({WRITABLE[ending]} files "
                    "cannot hold tags): the tags.",)


def test_damaged_tags_do_not_keep_the_music_from_being_read(tmp_path, audio):
    soundfile.write(tmp_path / "in.wav", audio.T, RATE)
    good = (tmp_path / "in.wav").read_bytes()
    rubbish = [b"ID3\x04\x00\xff" + b"\x7f" * 60, b"not ID3 at all", b""]
    for content in rubbish:
        (tmp_path / "bad.wav").write_bytes(good + b"id3 " + struct.pack("<I", len(content)) + content)
        read = read_recording(tmp_path / "bad.wav")
        assert read.audio.shape == audio.shape
        assert not read.tags.texts
        assert all("bad.wav cannot be read and are not carried over" in note for note in read.notes)


@pytest.mark.parametrize("ending", [".flac", ".ogg", ".mp3", ".aiff"])
def test_rubbish_in_tags_is_refused_by_sentences_alone(tmp_path, audio, ending, monkeypatch):
    def unknown(path, error):  # Pedalboard may decode rubbish for minutes
        raise FileError(f"{path} is not an audio file.")
    monkeypatch.setattr(reading, "_read_with_pedalboard", unknown)
    rng = np.random.default_rng(0)
    write_audio(tmp_path / f"good{ending}", audio, RATE, read_recording(tagged(tmp_path / "in.flac", audio)))
    good = (tmp_path / f"good{ending}").read_bytes()
    first = good.find(b"Wax") if good.find(b"Wax") > 0 else good.find(b"W\0a\0x")
    for _ in range(40):
        spoiled = bytearray(good)
        for at in rng.integers(max(first - 300, 0), min(first + 300, len(good)), 6):
            spoiled[at] = rng.integers(256)
        (tmp_path / f"bad{ending}").write_bytes(spoiled)
        try:
            like = read_recording(tmp_path / f"bad{ending}")
        except FileError:
            continue
        for other in (".flac", ".ogg", ".mp3", ".wav"):  # what was read can be written
            write_audio(tmp_path / f"out{other}", like.audio[:, :2000], RATE, like)


def test_names_and_texts_that_a_format_has_no_room_for_are_bent_to_fit(tmp_path, audio):
    soundfile.write(tmp_path / "in.mp3", audio.T, RATE)
    tags = id3.ID3()
    tags.add(id3.TXXX(encoding=3, desc="tempo=~é", text="92"))
    tags.add(id3.TXXX(encoding=3, desc="é", text="nameless"))
    tags.add(id3.TXXX(encoding=3, desc="", text="nameless too"))
    tags.save(tmp_path / "in.mp3")
    like = read_recording(tmp_path / "in.mp3")
    write_audio(tmp_path / "out.flac", audio, RATE, like)
    assert FLAC(tmp_path / "out.flac").tags.as_dict() == {"tempo": ["92"]}


def test_wav_info_says_what_it_has_names_for(tmp_path, audio):
    like = read_recording(tagged(tmp_path / "in.flac", audio))
    write_audio(tmp_path / "out.wav", audio, RATE, like)
    info, tag = read_extras(tmp_path / "out.wav").chunks
    assert read_info(info.content)["IMUS"] == "Frédéric Chopin"
    assert read_info(info.content)["IART"] == "Søren A.; Béla B."
    assert (info.after_data, tag.after_data, tag.name) == (False, True, "id3 ")


def test_tags_that_do_not_fit_are_told_of_before_the_render(tmp_path, audio):
    large = Tags({"title": ("a",)}, (picture(bytes(17 << 20)),))
    like = replace(read_recording(tagged(tmp_path / "in.flac", audio)), tags=large)
    with pytest.raises(FileError, match="The tags of .*in.flac do not fit into a file of the format FLAC"):
        check_audio_output(tmp_path / "out.flac", like)
    check_audio_output(tmp_path / "out.wav", like)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.flac"]
