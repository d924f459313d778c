from tests.unit.shadow_fuzz import fuzz

# A part of what `make fuzz` tries; the same inputs, from the first.
INPUTS = 400


def test_damaged_disks_raise_nothing_are_read_within_bounds_and_a_fault_never_makes_a_copy_absent() -> None:
    tally = fuzz(INPUTS)
    assert sum(tally.verdicts.values()) == 2 * INPUTS
    assert {"bit: present", "fails: not verifiable", "bytes: damaged"} <= set(tally.verdicts)
