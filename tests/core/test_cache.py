"""The cache of readings: bounded, and one array without a second copy."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freewheel.core import HasCache, ReadingCache, _cache
from freewheel.core._cache import _OVERHEAD


def reading(value, timestamp=0.0, **more):
    return {"value": value, "timestamp": timestamp, **more}


def frame(value, shape=(4, 6), dtype="u2"):
    return np.full(shape, value, dtype)


def first_pixels(stack):
    return stack.reshape(len(stack), -1)[:, 0].tolist()


def test_is_a_cache_with_a_name():
    cache = ReadingCache(name="dark")
    assert isinstance(cache, HasCache)
    assert (cache.name, cache.maxlen, cache.max_bytes) == ("dark", None, 512 * 2**20)
    assert (len(cache), cache.keys(), cache.nbytes) == (0, (), 0)


def test_stash_and_clear_return_statuses_that_are_done():
    cache = ReadingCache()
    assert cache.stash({"cam": reading(frame(1))}).success
    assert len(cache) == 1
    assert cache.clear().success
    assert (len(cache), cache.nbytes, cache.keys()) == (0, 0, ())


def test_gives_back_readings_with_all_that_was_in_them():
    cache = ReadingCache()
    cache.stash({"cam": reading(frame(1), 1.5, alarm_severity=2), "x": reading(3, 2.5)})
    (image,) = cache.readings("cam")
    np.testing.assert_array_equal(image.pop("value"), frame(1))
    assert image == {"timestamp": 1.5, "alarm_severity": 2}
    assert cache.readings("x") == [reading(3, 2.5)]
    assert cache.keys() == ("cam", "x")


def test_keeps_a_copy_of_what_the_device_will_overwrite():
    cache, buffer = ReadingCache(), frame(1)
    cache.stash({"cam": reading(buffer)})
    buffer[:] = 9
    assert first_pixels(cache.stack("cam")) == [1]


def test_stack_is_in_order_and_of_one_type():
    cache = ReadingCache()
    for value in range(40):
        cache.stash({"cam": reading(frame(value))})
    stack = cache.stack("cam")
    assert (stack.shape, stack.dtype) == ((40, 4, 6), np.dtype("u2"))
    assert first_pixels(stack) == list(range(40))


def test_stack_and_readings_are_read_only_views_of_the_same_memory():
    cache = ReadingCache()
    for value in range(5):
        cache.stash({"cam": reading(frame(value))})
    stack = cache.stack("cam")
    assert np.shares_memory(stack, cache.stack("cam"))
    assert np.shares_memory(stack, cache.readings("cam")[2]["value"])
    with pytest.raises(ValueError, match="read-only"):
        stack[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        cache.readings("cam")[0]["value"][0] = 1


def test_stack_takes_no_second_copy_of_the_memory():
    cache, big = ReadingCache(), frame(0, (512, 512))
    for _ in range(20):
        cache.stash({"cam": reading(big)})
    tracemalloc.start()
    try:
        stack = cache.stack("cam")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(stack) == 20
    assert peak < big.nbytes / 10


@pytest.mark.parametrize("in_place", [False, True])
def test_maxlen_drops_the_oldest(monkeypatch, in_place):
    if in_place:
        monkeypatch.setattr(_cache, "_COPY_AT_MOST", 0)
    cache = ReadingCache(maxlen=6)
    for value in range(20):
        cache.stash({"cam": reading(frame(value), float(value))})
        expected = list(range(max(0, value - 5), value + 1))
        if value % 3:
            assert first_pixels(cache.stack("cam")) == expected
        assert len(cache) == len(expected)
    assert [one["timestamp"] for one in cache.readings("cam")] == [14.0, 15, 16, 17, 18, 19]


@pytest.mark.parametrize("cut", [lambda stack: stack, lambda stack: stack[1:2, ::2], np.ravel])
@pytest.mark.parametrize("in_place", [False, True])
def test_what_was_handed_out_never_changes(monkeypatch, cut, in_place):
    if in_place:
        monkeypatch.setattr(_cache, "_COPY_AT_MOST", 0)
    cache, held = ReadingCache(maxlen=4), []
    for value in range(30):
        cache.stash({"cam": reading(frame(value))})
        part = cut(cache.stack("cam"))
        held.append((part, part.copy()))
    cache.clear()
    cache.stash({"cam": reading(frame(99))})
    for part, copied in held:
        np.testing.assert_array_equal(part, copied)


def test_memory_is_bounded_and_the_oldest_dropped():
    one = frame(0, (64, 64)).nbytes + _OVERHEAD
    cache = ReadingCache(max_bytes=10 * one + 5)
    for value in range(35):
        cache.stash({"cam": reading(frame(value, (64, 64)))})
        assert cache.nbytes <= cache.max_bytes
    assert first_pixels(cache.stack("cam")) == list(range(25, 35))


def test_a_late_key_gets_its_share():
    one = frame(0, (64, 64)).nbytes + _OVERHEAD
    cache = ReadingCache(max_bytes=10 * one)
    for key in ("a", "b"):
        for value in range(20):
            cache.stash({key: reading(frame(value, (64, 64)))})
            assert cache.nbytes <= cache.max_bytes
    assert first_pixels(cache.stack("a")) == [15, 16, 17, 18, 19]
    assert first_pixels(cache.stack("b")) == [15, 16, 17, 18, 19]


def test_a_reading_larger_than_its_share_still_finds_room():
    cache = ReadingCache(max_bytes=10_000)
    for value in range(10):
        cache.stash({"small": reading(frame(value))})
    cache.stash({"other": reading(frame(1))})
    cache.stash({"large": reading(frame(7, (4000,)))})
    assert first_pixels(cache.stack("large")) == [7]
    assert cache.nbytes <= 10_000
    cache.stash({"small": reading(frame(8))})
    assert first_pixels(cache.stack("small"))[-1] == 8


def test_a_cache_of_scalars_is_bounded_too():
    cache = ReadingCache(max_bytes=100 * (_OVERHEAD + 8))
    for value in range(1000):
        cache.stash({"x": reading(value)})
    assert cache.stack("x").tolist() == list(range(900, 1000))


def test_a_single_reading_larger_than_the_bound_is_refused():
    cache = ReadingCache(max_bytes=1000, name="dark")
    with pytest.raises(ValueError, match="dark may take 1000; make the cache with a larger"):
        cache.stash({"cam": reading(frame(0, (64, 64)))})
    assert cache.keys() == ()


@pytest.mark.parametrize("other", [frame(1, (4, 7)), frame(1, (24,)), frame(1, dtype="f4"), 5])
def test_ragged_readings_of_one_key_are_refused(other):
    cache = ReadingCache()
    cache.stash({"cam": reading(frame(1))})
    with pytest.raises(ValueError, match=r"'cam' in cache are \(4, 6\) of uint16, and this one"):
        cache.stash({"cam": reading(other)})
    assert len(cache) == 1


def test_all_are_kept_or_none():
    cache = ReadingCache()
    cache.stash({"cam": reading(frame(1))})
    with pytest.raises(ValueError, match="'cam'"):
        cache.stash({"x": reading(1), "cam": reading(frame(1, (2, 2)))})
    assert cache.keys() == ("cam",)


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 0.5, 1], "f8"), ([True, 2], "i8"), (["a", "long", "b"], "U4")]
)
def test_scalars_widen(values, dtype):
    cache = ReadingCache()
    for value in values:
        cache.stash({"x": reading(value)})
    assert cache.stack("x").dtype == dtype
    assert [one["value"] for one in cache.readings("x")] == values


def test_a_number_does_not_become_a_string():
    cache = ReadingCache()
    cache.stash({"x": reading(1)})
    with pytest.raises(ValueError, match="'x'"):
        cache.stash({"x": reading("a")})


@pytest.mark.parametrize("wrong", [{}, [[1], [1, 2]], None, object()])
def test_values_that_no_array_can_hold_are_refused(wrong):
    with pytest.raises(TypeError, match="can't keep the value of 'x'"):
        ReadingCache().stash({"x": reading(wrong)})


@pytest.mark.parametrize("wrong", [5, None, {"value": 1}, [1, 2]])
def test_what_is_no_reading_is_refused(wrong):
    with pytest.raises(TypeError, match="keeps readings"):
        ReadingCache().stash({"x": wrong})


@pytest.mark.parametrize("method", ["stack", "readings"])
def test_unknown_key_names_those_that_exist(method):
    cache = ReadingCache(name="dark")
    with pytest.raises(KeyError, match="dark has no readings of 'q'; it has none"):
        getattr(cache, method)("q")
    cache.stash({"b": reading(1), "a": reading(1)})
    with pytest.raises(KeyError, match="it has 'a', 'b'"):
        getattr(cache, method)("q")


@pytest.mark.parametrize("bound", [{"maxlen": 0}, {"maxlen": -1}, {"max_bytes": 0}])
def test_bounds_must_be_positive(bound):
    with pytest.raises(ValueError, match=f"{next(iter(bound))} of cache must be at least 1"):
        ReadingCache(**bound)


def test_repr_says_what_is_in_it():
    cache = ReadingCache(name="dark")
    assert repr(cache) == "<ReadingCache 'dark': empty; 0 of 512 MiB>"
    cache.stash({"x": reading(1)})
    assert "x: 1;" in repr(cache)


def test_threads_stash_and_stack_at_once():
    cache, torn = ReadingCache(maxlen=7), []

    def stash(key):
        for value in range(300):
            cache.stash({key: reading(frame(value)), "both": reading(frame(value))})

    def stack():
        for _ in range(300):
            for key in cache.keys():
                whole = cache.stack(key)
                torn.extend(one for one in whole if one.min() != one.max())

    threads = [threading.Thread(target=stash, args=(key,)) for key in "ab"]
    threads.append(threading.Thread(target=stack))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []
    assert first_pixels(cache.stack("a")) == list(range(293, 300))


@given(
    maxlen=st.none() | st.integers(1, 6),
    frames=st.integers(2, 12),
    steps=st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "big"]), st.sampled_from(["stash", "stack"])),
        max_size=60,
    ),
)
def test_any_use_keeps_the_latest_in_order_within_the_bounds(maxlen, frames, steps):
    cache = ReadingCache(maxlen, frames * (48 + _OVERHEAD))
    stashed, held = {}, []
    for number, (key, step) in enumerate(steps):
        shape = (4, 6) if key != "big" else (4, 12)
        if step == "stash":
            cache.stash({key: reading(frame(number, shape), float(number))})
            stashed.setdefault(key, []).append(number)
        elif key in cache.keys() and stashed:
            held.append((cache.stack(key), cache.stack(key).copy()))
        assert cache.nbytes <= cache.max_bytes
        for known in cache.keys():
            kept = first_pixels(cache.stack(known))
            assert kept == stashed[known][-len(kept) :]
            assert kept == [int(one["timestamp"]) for one in cache.readings(known)]
            assert maxlen is None or len(kept) <= maxlen
    for part, copied in held:
        np.testing.assert_array_equal(part, copied)
