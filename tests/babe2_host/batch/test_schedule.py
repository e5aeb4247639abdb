"""The schedule: every job done once, whoever is lost."""

import random
from collections import Counter

import pytest

from babe2_host.batch.schedule import LOSSES, Schedule


def with_workers(jobs, workers, **options):
    schedule = Schedule(jobs, **options)
    for worker in range(workers):
        schedule.add(worker)
    return schedule


def test_one_worker_does_the_jobs_in_their_order_with_one_to_read_ahead():
    schedule = with_workers([3, 1, 2], 1)
    assert schedule.give(0) == [3, 1]
    assert schedule.give(0) == []
    schedule.done(0, 3)
    assert schedule.give(0) == [2]
    schedule.done(0, 1)
    assert schedule.give(0) == [] and schedule.holds(0) and not schedule.finished
    schedule.done(0, 2)
    assert schedule.finished and not schedule.holds(0)


def test_nobody_keeps_a_job_that_another_could_do_at_once():
    schedule = with_workers(range(3), 2)
    assert schedule.give(0) == [0, 1]  # a job is left for the other
    assert schedule.give(1) == [2]
    schedule = with_workers(range(2), 2)
    assert schedule.give(0) == [0] and schedule.give(1) == [1]


def test_without_jobs_it_is_finished():
    assert with_workers([], 2).finished


def test_the_jobs_of_a_lost_worker_are_done_first_and_each_alone():
    schedule = with_workers(range(6), 2)
    assert schedule.give(0) == [0, 1] and schedule.lost(0) == []
    schedule.add(2)
    assert schedule.give(2) == [0] and schedule.give(2) == []
    assert schedule.give(1) == [1] and schedule.give(1) == []
    schedule.done(1, 1)
    assert schedule.give(1) == [2, 3]


def test_a_job_that_ends_its_workers_is_given_up_and_takes_no_other_with_it():
    schedule, done, given_up = with_workers(range(20), 3), [], []
    fresh = iter(range(3, 100))
    while not schedule.finished:
        for worker in list(schedule._held):
            schedule.give(worker)
            held = schedule._held[worker]
            if held and 7 in held:
                given_up += schedule.lost(worker)
                schedule.add(next(fresh))
            elif held:
                done.append(held[0])
                schedule.done(worker, held[0])
    assert given_up == [7] and sorted(done) == [job for job in range(20) if job != 7]


@pytest.mark.parametrize("seed", range(20))
def test_every_job_is_done_once_by_workers_that_come_and_go(seed):
    rng = random.Random(seed)
    schedule, done, losses = with_workers(range(200), rng.randint(1, 12)), [], Counter()
    names = iter(range(100, 10 ** 6))
    while not schedule.finished:
        worker = rng.choice(list(schedule._held))
        schedule.give(worker)
        held = list(schedule._held[worker])
        if rng.random() < 0.05 and all(losses[job] < LOSSES - 1 for job in held):
            losses.update(held)
            assert schedule.lost(worker) == []
            schedule.add(next(names))
        elif held:
            job = rng.choice(held)
            schedule.done(worker, job)
            done.append(job)
    assert sorted(done) == list(range(200))


def test_a_job_that_comes_further_each_time_is_not_what_ends_its_workers():
    schedule = with_workers([0], 1)
    for worker in range(10):
        assert schedule.give(worker) == [0]
        schedule.went_on(0, 0.05 * (worker + 1))
        assert schedule.lost(worker) == []
        schedule.add(worker + 1)
    assert schedule.give(10) == [0]
    schedule.went_on(0, 0.5)  # no further than the last
    assert schedule.lost(10) == [] and not schedule.finished
    schedule.add(11)
    assert schedule.give(11) == [0] and schedule.lost(11) == [0] and schedule.finished
