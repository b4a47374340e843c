"""What is remembered of old photos when new ones come."""

from __future__ import annotations

import numpy as np
import pytest

from skgeo.embedding._replay import Memory, join, remember


def memory(values, n_seen=None):
    X = np.asarray(values, dtype=np.float32)[:, None]
    labels = np.asarray(values, dtype=int)
    return Memory(X, labels, np.zeros((len(X), 2)), n_seen or len(X))


def test_memory_is_a_uniform_sample_of_everything_seen():
    rng = np.random.default_rng(0)
    counts = np.zeros(60)
    for _ in range(2000):
        kept = remember(None, memory(range(30)), 10, rng)
        assert len(kept.X) == 10
        kept = remember(kept, memory(range(30, 60)), 10, rng)
        assert len(kept.X) == 10
        assert kept.n_seen == 60
        counts[kept.labels] += 1
    # Each of 60 is kept with probability 1/6.
    assert abs(counts / 2000 - 1 / 6).max() < 5 * np.sqrt(1 / 6 * 5 / 6 / 2000)


@pytest.mark.parametrize(("size", "expected"), [(None, 8), (0, 0), (100, 8)])
def test_memory_sizes(rng, size, expected):
    kept = remember(None, memory(range(5)), size, rng)
    kept = remember(kept, memory(range(5, 8)), size, rng)
    assert len(kept.X) == expected
    assert kept.n_seen == 8


def test_join_puts_the_old_first():
    both = join(memory([1, 2]), memory([3]))
    assert both.labels.tolist() == [1, 2, 3]
    assert both.n_seen == 3
