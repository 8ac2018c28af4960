import contextlib
import threading
import time

import pytest

from dfdc.system.workers.threads import ahead, map_ahead


def wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


@pytest.mark.parametrize("threads", [1, 4])
def test_results_are_in_order_and_items_are_taken_by_the_caller(threads):
    takers, workers = set(), set()

    def items():
        for number in range(30):
            takers.add(threading.get_ident())
            yield number

    def square(number):
        workers.add(threading.get_ident())
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(map_ahead(square, items(), threads, 8)) == [number * number for number in range(30)]
    assert takers == {threading.get_ident()}
    assert len(workers) <= threads
    assert threading.get_ident() not in workers
    assert list(map_ahead(square, [], threads, 8)) == []


def test_several_are_worked_on_at_a_time():
    together = threading.Barrier(3, timeout=600)
    assert len(list(map_ahead(lambda _: together.wait(), range(6), 3, 6))) == 6


def test_work_is_no_more_than_a_few_items_ahead():
    begun = []
    results = map_ahead(begun.append, range(20), 2, 3)
    next(results)
    wait_for(lambda: len(begun) == 4)
    time.sleep(0.02)
    assert len(begun) == 4
    results.close()
    assert len(begun) == 4


def test_an_error_takes_the_place_of_the_result():
    begun = []

    def work(number):
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        time.sleep(0.01)
        return number

    results = map_ahead(work, range(1000), 1, 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(begun) < 10


class Source:
    """A generator that counts what it was asked for, and notices its end and the threads that it ran in."""

    def __init__(self, count):
        self.count, self.made, self.closed, self.threads = count, 0, False, set()

    def items(self):
        try:
            for number in range(self.count):
                self.threads.add(threading.get_ident())
                self.made += 1
                yield number
        finally:
            self.closed = True


def test_a_generator_runs_a_few_items_ahead_in_another_thread():
    source, ended = Source(20), threading.Event()
    items = ahead(source.items(), 2, ended)
    assert next(items) == 0
    wait_for(lambda: source.made == 4)  # one is taken, two wait, and one has no room
    time.sleep(0.02)
    assert source.made == 4
    assert list(items) == list(range(1, 20))
    assert threading.get_ident() not in source.threads
    assert source.closed
    assert not ended.is_set()


def test_closing_ends_the_generator():
    source, ended = Source(20), threading.Event()
    items = ahead(source.items(), 2, ended)
    assert next(items) == 0
    items.close()
    assert ended.is_set()
    assert source.closed
    assert source.made <= 4
    ahead(source.items(), 2, ended).close()  # not even begun


def test_an_error_of_the_generator_comes_after_its_items():
    def items():
        yield from (1, 2)
        raise ValueError("three")

    results = ahead(items(), 5, threading.Event())
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def longer(source, ended):
    """Reads from another generator that runs ahead, and is not done when that has come to its end."""
    with contextlib.closing(ahead(source.items(), 100, ended)) as items:
        yield from items
        yield from "rest"


def test_the_end_of_one_generator_does_not_end_the_one_that_reads_from_it():
    source, ended = Source(6), threading.Event()
    assert list(ahead(longer(source, ended), 1, ended)) == [0, 1, 2, 3, 4, 5, *"rest"]
    assert source.closed
    assert not ended.is_set()


def test_closing_ends_a_generator_and_the_one_that_it_reads_from():
    source, ended = Source(1000), threading.Event()
    items = ahead(longer(source, ended), 1, ended)
    assert next(items) == 0
    items.close()
    assert source.closed
    assert source.made < 200


def test_a_generator_that_waits_ends_when_it_is_told():
    ended, begun = threading.Event(), threading.Event()

    def items():
        yield 1
        begun.set()
        ended.wait()

    results = ahead(items(), 1, ended)
    next(results)
    assert begun.wait(600)
    assert [thread.name for thread in threading.enumerate()].count("ahead") == 1
    results.close()
    assert not any(thread.name == "ahead" for thread in threading.enumerate())
