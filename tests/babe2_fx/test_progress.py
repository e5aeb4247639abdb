"""A run of long work: progress, value, cancelling."""

import pytest

from babe2_fx.progress import Run


def work(log, steps=3):
    try:
        yield from range(steps)
        return "made"
    finally:
        log.append("cleaned up")


def test_it_yields_progress_and_then_has_a_value():
    run = Run(work(log := []))
    with pytest.raises(RuntimeError, match="has not finished"):
        run.value  # noqa: B018
    assert list(run) == [0, 1, 2] and run.value == "made" and log == ["cleaned up"]
    assert list(run) == [] and run.value == "made"


def test_it_can_be_relayed_and_its_progress_changed():
    def outer():
        return (yield from Run(work([])).map(lambda now: 10 * now)) + " twice"
    run = Run(outer())
    assert list(run) == [0, 10, 20] and run.value == "made twice"
    assert Run(work([])).finish() == "made"


@pytest.mark.parametrize("wrap", [lambda run: run, lambda run: run.map(str), lambda run: Run(relay(run))])
def test_closing_it_cancels_all_that_is_in_it(wrap):
    run = wrap(Run(work(log := [])))
    next(run)
    with run:
        pass
    assert log == ["cleaned up"] and list(run) == []
    with pytest.raises(RuntimeError):
        run.value  # noqa: B018


def relay(run):
    return (yield from run)


def test_what_is_raised_in_it_comes_out():
    def broken():
        yield 1
        raise OSError("disk full")
    run = Run(broken()).map(lambda now: now)
    assert next(run) == 1
    with pytest.raises(OSError, match="disk full"):
        next(run)
