"""Volumes as of their shadow copies, on disks that the sandbox's volsnap wrote: are they what they held then?"""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.disks import child as child_module
from quiesce.disks import view as view_module
from quiesce.disks.block_list import ALL_SECTORS, OldBlock, read_block_list
from quiesce.disks.child import Candidate, Child
from quiesce.disks.shadow_copies import ShadowCopy, Storage, Stores
from quiesce.disks.view import View
from quiesce.disks.volsnap import BLOCK_BYTES
from sandbox.disks.sparse_disk import SparseDisk
from sandbox.disks.stores import StoreShape
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


def test_the_server_of_the_mutants_is_read_right() -> None:
    server = a_used_server()
    assert len(server.held) - len(server.deleted) == 4
    assert not wrong_copies(server, made(server))


# Each of these mistakes gives another child of that server: docs/inside/shadow-volumes.md has the table.

READ_LIST, CHAIN, OPEN, PUT, CANDIDATES = read_block_list, Stores.chain, View.__init__, View.put, Child.candidates


def without_overlays(*of: Any) -> Iterator[OldBlock]:
    return (old for old in READ_LIST(*of) if not old.is_overlay)


def overlays_of_whole_blocks(*of: Any) -> Iterator[OldBlock]:
    return (old._replace(sectors=ALL_SECTORS) for old in READ_LIST(*of))


def with_overlays_of_all_stores(view: View) -> Iterator[tuple[OldBlock, int]]:
    for overlays in (False, True):
        for number in reversed(range(len(view.chain))):
            for old in READ_LIST(view.storages[number].extent, view.chain[number].entry, view.length):
                if old.is_overlay == overlays:
                    yield old, number


def without_newer_stores(stores: Stores, of: ShadowCopy) -> list[Storage]:
    return CHAIN(stores, of)[:1]


def without_deleted_stores(stores: Stores, of: ShadowCopy) -> list[Storage]:
    deleted = {entry.store_id for _, entry in stores.listed if entry.marked_deleted}
    return [storage for storage in CHAIN(stores, of) if storage.entry.store_id not in deleted]


def with_old_data_on_the_copied_volume(view: View, *of: Any) -> None:
    OPEN(view, *of)
    view.storages = [view.volume] * len(view.storages)


def without_clipping(view: View, *of: Any) -> None:
    longer = copy(view)
    longer.length += BLOCK_BYTES
    PUT(longer, *of)


def keep_header(*_: Any) -> None:
    """Do not neutralise it."""


def wipe_header(child: bytearray, header_at: int) -> None:
    if 0 <= header_at < len(child):
        child[header_at : header_at + 512] = bytes(512)


def without_the_last_block(child: Child, *of: Any) -> list[Candidate]:
    return list(CANDIDATES(child, *of))[:-1]


MUTANTS = {
    "overlays dropped": (view_module, "read_block_list", without_overlays),
    "sector bits ignored": (view_module, "read_block_list", overlays_of_whole_blocks),
    "another store's overlays": (View, "_entries", with_overlays_of_all_stores),
    "newer stores ignored": (Stores, "chain", without_newer_stores),
    "flagged stores left out of the chain": (Stores, "chain", without_deleted_stores),
    "storage offset taken on the wrong volume": (View, "__init__", with_old_data_on_the_copied_volume),
    "header not neutralised": (child_module, "_forget_catalog", keep_header),
    "header wiped whole": (child_module, "_forget_catalog", wipe_header),
    "one block missing": (Child, "candidates", without_the_last_block),
    "last block not clipped": (View, "put", without_clipping),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mistake_in_reading_gives_another_child(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = a_used_server()
    monkeypatch.setattr(*MUTANTS[mutant])
    assert wrong_copies(server, made(server))
