"""The records of NTFS, as bytes: attributes with their runs of clusters, and the names in a node of a folder's index.

Microsoft has published no full description of the format; this follows the Linux-NTFS project's, and disks of Windows.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from quiesce.disks.raw import Malformed

IN_USE = 0x1
END = 0xFFFFFFFF
# Each 512 bytes of a record end with the same two bytes, whatever the disk's sectors are.
FIXED_STRIDE = 512
# The shortest of their kinds that have what is read here.
ATTRIBUTE_BYTES, ELSEWHERE_BYTES, LISTED_BYTES, NAME_BYTES = 24, 64, 26, 66
# Before a name in a folder's index, and before the entries of its nodes.
INDEX_HEADER_BYTES = 16
LAST_ENTRY = 0x2
MAX_NUMBER_BYTES = 8


class Run(NamedTuple):
    """Clusters that follow each other on the volume; ``first`` is None where the file has a hole."""

    first: int | None
    clusters: int


class Listed(NamedTuple):
    """A name in a folder, the number of its file's record, and the sequence of the record while it is that file's."""

    name: str
    record: int
    sequence: int


@dataclass(frozen=True)
class Attribute:
    """An attribute of a record: its value, or if it lies elsewhere its size, and its runs from a cluster on."""

    kind: int
    name: str
    value: bytes = b""
    runs: tuple[Run, ...] | None = None
    first_cluster: int = 0
    size_bytes: int = 0


def fixed_up(record: bytes) -> bytes:
    """Return a record with the bytes that NTFS keeps in its array: it replaces the last two of each sector by a mark.

    Raises:
        Malformed: a sector has another mark: the record was written only in part.
    """
    at, count = struct.unpack_from("<HH", record, 4)
    if count != len(record) // FIXED_STRIDE + 1 or at + 2 * count > FIXED_STRIDE:
        raise Malformed(f"a record of NTFS has {count} fix-ups at {at:#x}")
    fixed, mark = bytearray(record), record[at : at + 2]
    for number in range(1, count):
        end = number * FIXED_STRIDE
        if fixed[end - 2 : end] != mark:
            raise Malformed("a record of NTFS was written only in part")
        fixed[end - 2 : end] = record[at + 2 * number : at + 2 * number + 2]
    return bytes(fixed)


def attributes_in(record: bytes) -> Iterator[Attribute]:
    """Yield the attributes of a record that is fixed up.

    Raises:
        Malformed: they contradict the format, or go on beyond its end.
    """
    (at,) = struct.unpack_from("<H", record, 20)
    while at + 8 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == END:
            return
        if length < ATTRIBUTE_BYTES or length % 8 or at + length > len(record):
            break
        yield _attribute(kind, record[at : at + length])
        at += length
    raise Malformed(f"an attribute at {at:#x} of a record of NTFS is not within the record")


def _attribute(kind: int, data: bytes) -> Attribute:
    resident, name_length, name_at = data[8] == 0, data[9], int.from_bytes(data[10:12], "little")
    name = data[name_at : name_at + 2 * name_length].decode("utf-16-le", "replace")
    if resident:
        length, at = struct.unpack_from("<IH", data, 16)
        if at + length > len(data):
            raise Malformed(f"an attribute {kind:#x} of NTFS has {length} bytes at {at:#x}, of {len(data)}")
        return Attribute(kind, name, data[at : at + length])
    if len(data) < ELSEWHERE_BYTES:
        raise Malformed(f"an attribute {kind:#x} of NTFS has a header of {len(data)} bytes")
    first, _, at = struct.unpack_from("<QQH", data, 16)
    (size_bytes,) = struct.unpack_from("<Q", data, 48)
    return Attribute(kind, name, b"", tuple(_runs_in(data, at)), first, size_bytes)


def _runs_in(data: bytes, at: int) -> Iterator[Run]:
    first = 0
    while at < len(data) and data[at]:
        for_count, for_offset = data[at] & 0xF, data[at] >> 4
        after = at + 1 + for_count + for_offset
        if not 0 < for_count <= MAX_NUMBER_BYTES or for_offset > MAX_NUMBER_BYTES or after > len(data):
            raise Malformed("a run of clusters of NTFS contradicts the format")
        count = int.from_bytes(data[at + 1 : at + 1 + for_count], "little")
        first += int.from_bytes(data[at + 1 + for_count : after], "little", signed=True)
        if first < 0 or not count:
            raise Malformed(f"a run of NTFS has {count} clusters from cluster {first} on")
        yield Run(first if for_offset else None, count)
        at = after


def records_listed(attribute_list: bytes, kind: int, name: str) -> set[int]:
    """Return the records that have parts of an attribute, by the list in the file's first record."""
    found, at = set(), 0
    while at + LISTED_BYTES <= len(attribute_list):
        own_kind, length, name_length, name_at = struct.unpack_from("<IHBB", attribute_list, at)
        if length < LISTED_BYTES:
            raise Malformed("a list of attributes of NTFS contradicts the format")
        own_name = attribute_list[at + name_at : at + name_at + 2 * name_length].decode("utf-16-le", "replace")
        if (own_kind, own_name) == (kind, name):
            found.add(int.from_bytes(attribute_list[at + 16 : at + 22], "little"))
        at += length
    return found


def names_in(node: bytes, header_at: int) -> Iterator[Listed]:
    """Yield the names in a node of a folder's index that is fixed up.

    Raises:
        Malformed: they contradict the format.
    """
    if header_at + INDEX_HEADER_BYTES > len(node):
        raise Malformed("a folder's index is too short")
    first, total = struct.unpack_from("<II", node, header_at)
    at, end = header_at + first, min(header_at + total, len(node))
    while at + INDEX_HEADER_BYTES <= end:
        reference, length, key_length, flags = struct.unpack_from("<QHHI", node, at)
        if flags & LAST_ENTRY:
            return
        if key_length < NAME_BYTES or INDEX_HEADER_BYTES + key_length > length:
            raise Malformed("an entry of a folder's index contradicts the format")
        name_bytes = 2 * node[at + 80]
        name = node[at + 82 : at + 82 + name_bytes].decode("utf-16-le", "replace")
        yield Listed(name, reference & 0xFFFFFFFFFFFF, reference >> 48)
        at += length
