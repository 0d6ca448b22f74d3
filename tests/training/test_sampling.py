"""Which images a batch holds."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import ParameterError
from convkit.training.sampling import SAMPLERS, make_sampler


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_batch_larger_than_the_data_has_some_of_it(name):
    batch = make_sampler(name).draw(5, 20, 0, np.random.default_rng(0))
    assert set(batch) <= set(range(5))
    assert len(batch) == (20 if name == "replacement" else 5)


def test_a_shuffled_epoch_has_each_image_once_and_goes_on_from_its_state():
    rng, sampler = np.random.default_rng(0), make_sampler("shuffle")
    batches = [sampler.draw(10, 3, place, rng) for place in (0, 1, 2)]
    assert len(set(np.concatenate(batches))) == 9
    other = make_sampler("shuffle")
    other.state = sampler.state
    np.testing.assert_array_equal(other.draw(10, 3, 2, np.random.default_rng(9)), batches[2])
    assert (sampler.draw(10, 3, 0, rng) != batches[0]).any()
    # An order of another number of images is of no use.
    assert set(other.draw(4, 2, 1, rng)) <= set(range(4))


def test_an_unknown_name_is_refused():
    with pytest.raises(ParameterError, match=r"^sampling \(='all'\) must be one of replacement"):
        make_sampler("all")
