"""The service and clients that wish it ill: what is no request, and values of the wrong kind."""

import json
import os

import pytest

QUICK = {"preset": "piano", "quality": "draft", "settings": {"ltas": "only"}}  # the plain equalizer: no sampling
NOBODY = "0" * 16


@pytest.mark.parametrize("data", [
    b"\n", b"{\n", b"\xff\xfe\x00{}\n", b"\0\n", b"[]\n", b"5\n", b"null\n", b'"ask"\n', b"[" * 60000 + b"\n",
    b'{"a":' * 10000 + b"1" + b"}" * 10000 + b"\n",
    b'{"token": ' + b"9" * 5000 + b"}\n", b'{"token": NaN}\n', b'{"token": "x", "ask": Infinity}\n'],
    ids=lambda data: repr(data[:16]))
def test_what_is_no_request_is_refused_with_a_sentence(hear, data):
    answer = json.loads(hear(data))
    assert set(answer) == {"error"} and answer["error"].endswith(".")


@pytest.mark.parametrize("data", [b"x" * (1 << 22), b'{"token": "' + b"a" * (1 << 20) + b'"}\n', b"\n" * (1 << 20)],
                         ids=["no end", "a long line", "many lines"])
def test_endless_data_is_hung_up_on(hear, data):
    heard = hear(data)
    assert len(heard) < 1000 and (not heard or set(json.loads(heard)) == {"error"})


def test_without_the_token_nothing_is_done(hear, client, recording):
    before = client.jobs()
    asked = ({"ask": "submit", "input": str(recording), **QUICK}, {"ask": "stop"}, {"ask": "cancel", "id": NOBODY})
    for token in (None, "", "0" * 64, 5, [], {}, True, "\ud800", "é" * 64, "x" * 60000):
        for request in asked:
            answer = json.loads(hear(json.dumps({"token": token, **request}).encode() + b"\n"))
            assert "token" in answer["error"] and set(answer) == {"error"}, (token, request)
    assert client.jobs() == before and recording.exists()


def test_a_token_that_is_nearly_right_or_given_twice_does_not_count(hear, endpoint):
    token = endpoint["token"]
    for wrong in (token[:-1], token + "0", token.upper(), f" {token}"):
        assert "token" in json.loads(hear(json.dumps({"token": wrong, "ask": "stop"}).encode() + b"\n"))["error"]
    assert "JSON" in json.loads(hear(f'{{"token": "{token}", "token": 1, "ask": "stop"}}\n'.encode()))["error"]


def test_what_nobody_can_ask_is_a_sentence(ask):
    names = (None, 5, [], {}, "", ".", "..", "../jobs", NOBODY + "/", "/" + NOBODY, NOBODY + "/../..", NOBODY + "\n",
             "\0" * 16, "0" * 15, "F" * 16, "*", "\ud800" * 16)
    asks = [{}, *({"ask": what} for what in (None, ["stop"], {}, 5, "__init__", "records", "_end", "Stop")),
            *({"ask": what, "id": name} for what in ("cancel", "remove") for name in names)]
    for request in asks:
        answer = ask(**request)
        assert set(answer) == {"error"} and answer["error"].endswith("."), request


WRONG = {
    "label": (5, ["a"], {}, True, "x" * 5000, "a\0b"), "depth": (16, "8", "x"), "quality": ("best", 5, "a\0b"),
    "device": ("cuda:9", 5), "target": (5, ["a"], {}, "x" * 5000, "a\0b", "/nowhere/x.wav"),
    "input": (None, "", 5, [], {}, True, "in.wav", "\0", "x" * 5000, "/" + "x" * 4000, "/\ud800"),
    "output": (5, [], {}, "out.wav", "/nowhere/out.wav", "/\ud800.wav"),
    "preset": ("", "..", "../piano", "/etc/passwd", "\ud800", 5, "p.toml", "/x/p.TOML", "p.safetensors",
               "/nowhere/p.safetensors", "a\nb", "x" * 4000),
    "settings": (5, "x", [], [["steps", 3]], {"steps": "3"}, {"steps": None}, {"steps": [3]}, {"steps": {}},
                 {"steps": True}, {"steps": 10 ** 12}, {"steps": 2.5}, {"steps": -1}, {"seed": -1}, {"seed": 10 ** 40},
                 {"__class__": 1}, {"": 1}, {"prior": "/x"}, {"ltas": "\ud800"}),
    "seed": (1.5, -1, "1", True, 10 ** 30), "rate": (0, -1, 1.5, "44100", True, 10 ** 9),
    "target_match": (-1, 2, "1", []),
    "id": ("../x",), "state": ("done",), "attempts": (-5,), "created": ("",), "allow_external": (True,)}


@pytest.mark.parametrize("name", WRONG)
def test_a_job_with_values_of_the_wrong_kind_is_refused(ask, client, granted, name):
    before = client.jobs()
    for value in WRONG[name]:
        answer = ask(**({"ask": "submit", "input": str(granted / "in.wav")} | QUICK | {name: value}))
        assert set(answer) == {"error"} and answer["error"].endswith("."), (value, answer)
    assert client.jobs() == before and os.listdir(granted) == ["in.wav"]


def test_a_board_is_one_of_the_users_own(ask, granted):
    for board in ("", "..", "../x", "/x/y", "x.toml", "./x", str(granted / "x.toml"), "\ud800", "a\nb", "x" * 4000, 5):
        answer = ask(ask="submit", input=str(granted / "in.wav"), board=board)
        assert set(answer) == {"error"} and answer["error"].endswith("."), board


def test_numbers_that_are_none_are_refused(hear, endpoint, granted):
    request = {"token": endpoint["token"], "ask": "submit", "input": str(granted / "in.wav"), **QUICK}
    for number in ("1e999", "-1e999", "NaN", "9" * 400):
        lines = [json.dumps(request | {name: 0.5}).replace("0.5", number) for name in ("target_match", "seed", "rate")]
        lines.append(json.dumps(request).replace('"ltas": "only"', f'"xi": {number}'))
        for line in lines:
            assert set(json.loads(hear(line.encode() + b"\n"))) == {"error"}, line


@pytest.mark.parametrize("label", ["\ud800", "a\udfff b", "\x1b[2J\x07", "\u202e" * 4000, "a\r\nb\u2028"],
                         ids=["surrogate", "surrogate in text", "escapes", "longest", "lines"])
def test_a_label_is_only_a_label(ask, client, granted, end_of, label):
    """Half a surrogate pair among others, which is valid in JSON and cannot be written to a file as UTF-8."""
    assert end_of(ask(ask="submit", input=str(granted / "in.wav"), label=label, **QUICK))[0] in ("done", "refused")
    assert end_of(ask(ask="submit", input=str(granted / "in.wav"), **QUICK))[0] == "done"  # its thread lives
