"""Several threads, one prior: batches, errors that stay with their own, closing."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from babe2_fx.priors import BatchingPrior
from babe2_fx.restoration import Restorer
from babe2_fx.settings import Settings
from standin import TINY, tiny_prior


class Recording(BatchingPrior):
    """Keeps the size of each batch; holds the first until it is told to go on."""

    def __init__(self, prior, **options):
        self.sizes, self.go, self.fail_above = [], threading.Event(), 99
        super().__init__(prior, **options)
        network = self.network
        self.network = lambda x, level: self._measured(network, x, level)

    def _measured(self, network, x, level):
        self.sizes.append(len(x))
        assert self.go.wait(30)
        if len(x) > self.fail_above:
            raise torch.OutOfMemoryError("no room")
        return network(x, level)


def calls(count, length=TINY.block_length):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(1 + i % 2, length, generator=generator), torch.tensor(0.5 / (i + 1))) for i in range(count)]


def asked_together(prior, asked):
    """The results of calls of as many threads; the first is being computed while the others are made."""
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = []
        for count, (x, sigma) in enumerate(asked):
            answers.append(pool.submit(prior.denoise, x, sigma))
            while count == 0 and not prior.sizes or prior._calls.qsize() < count:
                assert not answers[-1].done()
        prior.go.set()
        return [answer.exception() or answer.result() for answer in answers]


def test_calls_of_several_threads_form_batches_and_give_what_each_gives_alone():
    alone = tiny_prior()
    with torch.no_grad(), Recording(tiny_prior(), most=4) as prior:
        asked = calls(6)  # of 1, 2, 1, 2, 1, 2 rows
        results = asked_together(prior, asked)
        assert prior.sizes == [1, 4, 4]
        for (x, sigma), result in zip(asked, results):
            assert torch.allclose(result, alone.denoise(x, sigma), atol=1e-5)


def test_other_lengths_are_other_batches():
    with torch.no_grad(), Recording(tiny_prior()) as prior:
        asked = calls(2) + calls(2, TINY.block_length // 2)
        results = asked_together(prior, asked)
    assert [r.shape for r in results] == [x.shape for x, _ in asked] and prior.sizes == [1, 2, 3]


def test_a_batch_too_large_for_the_memory_is_computed_call_by_call():
    with torch.no_grad(), Recording(tiny_prior()) as prior:
        prior.fail_above = 2
        results = asked_together(prior, calls(4))
    assert [len(r) for r in results] == [1, 2, 1, 2] and prior.sizes == [1, 5, 2, 1, 2]


def test_a_call_that_fails_fails_for_its_own_thread_alone():
    with torch.no_grad(), Recording(tiny_prior()) as prior:
        prior.fail_above = 1
        results = asked_together(prior, calls(3))
    assert [type(r) for r in results] == [torch.Tensor, torch.OutOfMemoryError, torch.Tensor]


def test_gradients_pass_and_a_closed_one_still_denoises():
    prior, alone = BatchingPrior(tiny_prior()), tiny_prior()
    x, sigma = calls(1)[0]
    source = x.clone().requires_grad_()
    prior.denoise(source, sigma).square().sum().backward()
    assert source.grad.abs().sum() > 0
    prior.close()
    prior.close()
    assert torch.equal(prior.denoise(x, sigma), alone.denoise(x, sigma))


def test_renders_side_by_side_are_what_each_is_alone(make_notes):
    # Without LTAS-EQ: what it lifts, this untrained prior lifts further, and the rounding of batches with it.
    settings = Settings.of(steps=3, guidance="direct", filter_fit="global", recording_noise="measured", ltas="off")
    recordings = [make_notes(22050, 2.0, seed=i) for i in range(3)]
    expected = [Restorer(tiny_prior(), settings).restore(audio, 22050).audio for audio in recordings]
    with BatchingPrior(tiny_prior()) as prior, ThreadPoolExecutor(3) as pool:
        assert prior.fingerprint == tiny_prior().fingerprint
        results = list(pool.map(lambda audio: Restorer(prior, settings).restore(audio, 22050).audio, recordings))
    for result, audio in zip(results, expected):
        assert abs(result - audio).max() < 1e-4 * abs(audio).max()


@pytest.mark.parametrize("open_calls", [0, 3])
def test_closing_answers_what_waits(open_calls):
    prior = Recording(tiny_prior())
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(prior.denoise, x.detach(), sigma) for x, sigma in calls(open_calls)]
        while len(prior.sizes) + prior._calls.qsize() < min(open_calls, 1):
            pass
        prior.go.set()
        prior.close()
        assert all(len(answer.result(30)) for answer in answers)
    assert not prior._thread.is_alive()
