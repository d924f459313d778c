"""What a build costs, before it begins."""

from quiesce.revert.price import estimate


def test_three_gib_of_scattered_changes_on_two_tib_cost_a_few_dollars_and_take_an_hour() -> None:
    """196,608 blocks, at $0.009 a thousand to change them, and $0.003 to read them back."""
    blocks = 196_608
    work = estimate(2 * blocks + 64, blocks, side_by_side=5)
    assert 1.7 < work.dollars < 3.2
    assert 15 * 60 < work.seconds < 90 * 60
    assert "196,608 written" in work.words


def test_a_small_build_costs_next_to_nothing_and_minutes() -> None:
    work = estimate(20, 8, side_by_side=1)
    assert work.dollars < 0.001
    assert work.seconds < 180
    assert "copies" not in work.words


def test_more_functions_take_less_time_for_the_same_money() -> None:
    alone, five = (estimate(50_000, 50_000, side_by_side=n) for n in (1, 5))
    assert five.seconds < alone.seconds
    assert five.dollars == alone.dollars


def test_a_full_copy_is_named_with_its_size_and_price() -> None:
    work = estimate(20, 8, side_by_side=1, copied_gib=2048)
    assert "EBS copies 2,048 GiB" in work.words
    assert "$102.40 a month" in work.words
