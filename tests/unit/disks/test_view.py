"""Volumes as of their shadow copies, on disks that the sandbox's volsnap wrote: are they what they held then?"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.disks.child import Child
from quiesce.disks.raw import NotBuildable
from quiesce.disks.shadow_copies import Stores, read_copies
from quiesce.disks.view import View, open_view
from sandbox.disks.sparse_disk import SparseDisk
from sandbox.disks.stores import BLOCK, StoreShape
from tests.unit.disks.used_server import UsedServer, a_used_server, built, wrong_copies

PLACES = st.integers(0, 3)
ANYWHERE = st.integers(0, 1 << 20)
OPERATIONS = st.one_of(
    st.tuples(st.just("copy"), st.integers(0, 1)),
    st.tuples(st.just("write"), st.integers(0, 1), PLACES, ANYWHERE, st.integers(1, 20_000)),
    st.tuples(st.just("write_to_copy"), st.integers(0, 7), PLACES, ANYWHERE, st.integers(512, 20_000)),
    st.tuples(st.just("mark_deleted"), st.integers(0, 7)),
)
SHAPES = st.builds(
    StoreShape,
    data_bytes=st.just(0x180000),
    entries_per_list=st.sampled_from((2, 3, 7, 508)),
    # Where programs do not write: a bit says nothing of a block that is as it was.
    unprotected=st.frozensets(st.integers(0x60, 0x80)),
    previous=st.none() | st.frozensets(st.integers(0x60, 0x80)),
    flags=st.sampled_from((0, 0x88)),
    forwarders=st.just(()),
)
SERVERS = st.builds(
    UsedServer,
    start=st.integers(1, 2100),
    gap=st.integers(0, 40),
    tails=st.tuples(st.integers(0, 33), st.integers(0, 33)),
    d_on_c=st.booleans(),
    shape=SHAPES,
)


def made(server: UsedServer) -> Callable[[View], SparseDisk]:
    return lambda view: built(server.disk, Child([view]))[0]


@settings(max_examples=40, deadline=None)
@given(server=SERVERS, operations=st.lists(OPERATIONS, min_size=5, max_size=40))
def test_a_child_holds_what_the_volume_held_and_nothing_outside_of_it_changes(
    server: UsedServer, operations: list[tuple]
) -> None:
    server.copy(0)
    for number, (name, *how) in enumerate(operations):
        if name.startswith("write"):
            how[-1] = bytes([number + 1]) * how[-1]
        getattr(server, name)(*how)
    assert not wrong_copies(server, made(server))


@settings(max_examples=15, deadline=None)
@given(server=SERVERS, block=st.integers(0, 40), to=st.integers(0, 40))
def test_every_view_over_a_store_with_a_forwarder_is_refused_and_every_other_one_is_read_right(
    server: UsedServer, block: int, to: int
) -> None:
    d = server.volumes[1]
    server.copy(0), server.copy(1)
    d.shape = d.shape._replace(forwarders=((block, to),))
    server.copy(1)
    d.shape = d.shape._replace(forwarders=())
    for number in (0, 1):
        server.write(number, 1, block * BLOCK, b"new" * BLOCK)
        server.copy(number)
        server.write(number, 1, to * BLOCK, b"newer" * BLOCK)
    disks, of_d = server.read(), [store_id for store_id, number in server.copied.items() if number == 1]
    # The one with it, and the older one of its volume, which reads through it; wherever the stores lie.
    refused = of_d[:2]
    for copy in read_copies(disks):
        store_id = copy.entry.store_id
        if store_id in refused:
            with pytest.raises(NotBuildable, match="a forwarder"):
                open_view(Stores(disks), copy)
        else:
            found = made(server)(open_view(Stores(disks), copy))
            assert found.pages() == server.expected(store_id).pages()


def test_a_server_on_which_every_rule_counts_is_read_right() -> None:
    # Each mistake of tools/mutants.yaml in reading gives another child of it.
    server = a_used_server()
    assert len(server.held) - len(server.deleted) == 4
    assert not wrong_copies(server, made(server))
