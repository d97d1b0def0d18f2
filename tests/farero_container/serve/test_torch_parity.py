"""The proof that a graph answers as a network does: what it finds, by functions that differ in one place each."""

import numpy as np
import pytest

from farero_container.serve.frameworks.torch_parity import ATOL, SIZES, Differs, prove

SAMPLE = np.random.default_rng(2).normal(size=(2, 5, 3)).astype(np.float32)


def network(rows):
    """ReLU and sums, as PyTorch does them: NaN stays NaN."""
    with np.errstate(all="ignore"):
        return [np.where(rows < 0, np.float32(0), rows).sum(axis=(-1, -2))]


def test_equal_functions_are_the_same_in_every_way():
    proof = prove(network, network, SAMPLE)

    assert proof.is_together
    assert (proof.limit, proof.worst) == (None, 0)
    assert proof.batches > 4 * len(SIZES)


def test_a_relu_that_makes_zero_of_nan_is_not_asked_about_nan():
    def graph(rows):
        with np.errstate(all="ignore"):
            return network(np.nan_to_num(np.fmax(rows, np.float32(0)), posinf=0))

    proof = prove(network, graph, SAMPLE)

    assert proof.limit == 1e30


def test_numbers_up_to_the_size_at_which_answers_part_are_left_to_the_graph():
    def graph(rows):
        return network(np.clip(rows, -1e9, 1e9))

    assert prove(network, graph, SAMPLE).limit == 1e6


def test_where_answers_part_soon_the_limit_is_what_the_sample_has_times_ten():
    def graph(rows):
        return network(np.clip(rows, -5000, 5000))

    assert prove(network, graph, SAMPLE).limit == np.abs(SAMPLE).max() * 10


@pytest.mark.parametrize("size", SIZES)
def test_a_difference_with_one_number_of_rows_is_found(size):
    def graph(rows):
        return [network(rows)[0] * (1.01 if len(rows) == size else 1)]

    with pytest.raises(Differs, match=f"an answer to {size} rows differs by"):
        prove(network, graph, SAMPLE)


def test_a_difference_within_tolerance_is_none():
    proof = prove(network, lambda rows: [network(rows)[0] + np.float32(ATOL / 2)], SAMPLE)

    assert 0 < proof.worst < ATOL


@pytest.mark.parametrize(
    "wrong",
    [
        lambda found: [found],
        lambda found: found.astype(np.float64),
        lambda found: found[:, None],
        lambda found: np.where(found > 0, np.nan, found).astype(np.float32),
    ],
    ids=["two tensors", "another type", "another shape", "NaN"],
)
def test_answers_of_another_form_differ(wrong):
    def graph(rows):
        found = wrong(network(rows)[0])
        return [*found, *found] if isinstance(found, list) else [found]

    with pytest.raises(Differs):
        prove(network, graph, SAMPLE)


def test_a_network_that_looks_at_all_rows_is_proven_with_one_row_alone():
    def crowd(rows):
        return [network(rows)[0] + len(rows)]

    proof = prove(crowd, crowd, SAMPLE)

    assert not proof.is_together


def test_a_network_that_takes_one_row_only_is_proven_with_one_row():
    def single(rows):
        if len(rows) > 1:
            raise RuntimeError("expected hidden size (1, 1, 8)")
        return network(rows)

    assert not prove(single, network, SAMPLE).is_together


def test_a_network_that_answers_otherwise_each_time_cannot_be_proven():
    dice = np.random.default_rng(1)

    def noisy(rows):
        return [network(rows)[0] + dice.normal()]

    with pytest.raises(Differs, match="differently each time"):
        prove(noisy, network, SAMPLE)


def test_a_network_that_takes_a_row_without_its_dimension_says_so():
    def square(rows):
        with np.errstate(all="ignore"):
            return [rows * rows]

    def strict(rows):
        if rows.ndim < 3:
            raise IndexError("too few dimensions")
        return network(rows)

    assert prove(square, square, SAMPLE).is_bare
    assert not prove(strict, network, SAMPLE).is_bare
