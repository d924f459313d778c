"""A sample of long grids is the same for a seed, and no test is missing in it; long tests first, on one local AWS."""

from tests.support.sampling import AT_LEAST, AT_MOST, ONE_OF, left_out
from tests.support.scheduling import rank, unit_of

GRID = [f"tests/a.py::test_of_a_grid[{number}]" for number in range(40)]
SHORT = [f"tests/a.py::test_of_few[{number}]" for number in range(AT_LEAST)]


def sampled(seed, cases):
    return [case for case in cases if case not in left_out(seed, cases)]


def test_the_same_seed_chooses_the_same_and_another_seed_others():
    assert sampled("1", GRID) == sampled("1", GRID) != sampled("2", GRID)


def test_what_a_grid_gives_does_not_depend_on_what_else_is_run():
    assert sampled("1", [*SHORT, *GRID])[AT_LEAST:] == sampled("1", GRID)


def test_a_sample_is_a_part_of_a_grid_and_never_nothing():
    assert len(sampled("1", GRID)) == len(GRID) // ONE_OF
    assert sampled("1", SHORT) == SHORT
    assert len(sampled("1", [*GRID[:4], "tests/a.py::test_another[1]"])) == AT_LEAST + 1
    assert len(sampled("1", [f"tests/a.py::test_of_hundreds[{number}]" for number in range(500)])) == AT_MOST


def test_every_case_is_in_the_sample_of_some_seed():
    assert {case for seed in range(50) for case in sampled(str(seed), GRID)} == set(GRID)


def test_the_long_ones_come_first():
    files = ["e2e/test_demo", "e2e/test_backup", "sandbox/test_iam", "statemachine/test_good_runs", "unit/test_policy"]
    ranks = [rank(f"tests/{file}.py::test_it") for file in files]
    assert ranks == sorted(set(ranks))


def test_all_that_need_a_local_aws_run_on_one_and_the_demos_which_have_their_own_apart():
    assert unit_of("tests/e2e/test_freeze.py::test_it") == unit_of("tests/sandbox/test_iam.py::test_it[2]")
    assert unit_of("tests/e2e/test_demo.py::test_it[2]") != unit_of("tests/e2e/test_demo.py::test_it[15]")


def test_the_cases_of_a_run_run_together_and_its_file_apart():
    first, second, other = "test_it[a::b]", "test_it[c]", "test_that"
    of = [unit_of(f"tests/statemachine/test_runs.py::{test}") for test in (first, second, other)]
    assert of[0] == of[1] != of[2]
    assert unit_of("tests/unit/test_policy.py::test_it[a::b]") == "tests/unit/test_policy.py"
