"""The busy application: its progress depends on the seed and the number of the observation alone."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.windows.application import BusyApplication, examine
from tests.support.memory_files import MemoryFiles

SEEDS = st.integers(0, 10_000)


def drives_after(seed, observations):
    drives = {"D:": MemoryFiles(), "E:": MemoryFiles()}
    application = BusyApplication(seed, drives)
    for _ in range(observations):
        application.work()
    return application, drives


@given(SEEDS, st.integers(0, 20))
def test_the_same_seed_and_observation_give_the_same_data(seed, observations):
    assert drives_after(seed, observations)[1] == drives_after(seed, observations)[1]


@given(SEEDS, st.integers(0, 20))
def test_at_any_instant_at_most_one_order_lacks_its_booking(seed, observations):
    found = examine(drives_after(seed, observations)[1])
    assert found.orders - found.bookings in {0, 1}
    assert found.torn == (found.orders != found.bookings)


def test_both_torn_and_consistent_instants_exist():
    assert {examine(drives_after(seed, 1)[1]).torn for seed in range(20)} == {True, False}


@given(SEEDS, st.integers(0, 20))
def test_a_clean_shutdown_is_never_torn(seed, observations):
    application, drives = drives_after(seed, observations)
    application.shut_down()
    assert not examine(drives).torn


def test_a_changed_amount_is_torn_although_the_counts_agree():
    drives = drives_after(1, 0)[1]
    ledger = drives["E:"].read(r"\Shop\ledger.csv")
    drives["E:"].write(r"\Shop\ledger.csv", ledger.replace(",", ",1", 1))
    found = examine(drives)
    assert found.orders == found.bookings
    assert found.torn
