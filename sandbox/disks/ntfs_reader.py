"""Reads what `ntfs_structures` writes, off the bytes of a volume: as Windows does that mounts it.

It knows no other NTFS, and shares no code with the product's reader.
"""

import struct
from collections.abc import Callable, Iterator

from sandbox.disks.ntfs_structures import (
    FIRST_FILE,
    LOG,
    NO_FILE,
    PAGE,
    RECORD,
    ROOT,
    SEQUENCE,
    VOLUME,
    VSS_FOLDER_NAME,
    NtfsFiles,
    Span,
    path_of,
)

Read = Callable[[int, int], bytes]
LIST, INFORMATION, DATA, INDEX_ROOT, INDEX = 0x20, 0x70, 0x80, 0x90, 0xA0
CLEAN = 2
# More are told as a negative power of two.
MOST_SECTORS_PER_CLUSTER = 128


class NotMounted(Exception):
    """What Windows would not mount, or would have to repair; the message states what is wrong."""


class NtfsReader:
    """The files of a volume, read anew each time.

    Attributes:
        read: of the volume, from an offset, so many bytes.
    """

    def __init__(self, read: Read) -> None:
        """Read the boot sector.

        Raises:
            NotMounted: it is not of NTFS.
        """
        self.read = read
        sector = read(0, 512)
        if sector[3:11] != b"NTFS    ":
            raise NotMounted("the boot sector is not of NTFS")
        sector_bytes, per_cluster = struct.unpack_from("<HB", sector, 11)
        sectors, first = struct.unpack_from("<QQ", sector, 40)
        self.cluster_bytes = sector_bytes * (
            per_cluster if per_cluster <= MOST_SECTORS_PER_CLUSTER else 1 << 256 - per_cluster
        )
        # The last sector repeats the first one.
        self.volume_bytes, self.mft_at = (sectors + 1) * sector_bytes, first * self.cluster_bytes

    def files(self) -> NtfsFiles:
        """Return what NTFS says of the volume.

        Raises:
            NotMounted: it contradicts itself.
        """
        folders = {name: self._listed(number) for name, number in self._listed(ROOT).items() if number < FIRST_FILE}
        spans: dict[str, dict[str, list[Span]]] = {}
        sizes = {}
        names = {"": {n: number for n, number in self._listed(ROOT).items() if number >= FIRST_FILE}} | folders
        for folder, files in names.items():
            spans[folder] = {}
            # In the order of their records.
            for name in sorted(files, key=files.__getitem__):
                spans[folder][name], size = self._data(files[name], DATA)
                if size != sum(length for _, length in spans[folder][name]):
                    sizes[path_of(folder, name)] = size
        if VSS_FOLDER_NAME not in spans:
            raise NotMounted(f"there is no folder {VSS_FOLDER_NAME}")
        root, vss = spans.pop(""), spans.pop(VSS_FOLDER_NAME)
        return NtfsFiles(
            self.volume_bytes,
            self.cluster_bytes,
            self.mft_at,
            log_clean=self._log_is_clean(),
            dirty=bool(self._attributes(VOLUME)[INFORMATION][10] & 1),
            root=root,
            vss=vss,
            folders={name: spans[name] for name in sorted(spans, key=self._listed(ROOT).__getitem__)},
            sizes=sizes,
        )

    def _log_is_clean(self) -> bool:
        [(at, _)], _ = self._data(LOG, DATA)
        pages = [_fixed(self.read(at + page, PAGE), b"RSTR") for page in (0, PAGE)]
        _, flags = max((struct.unpack_from("<Q", page, 48)[0], page[48 + 14]) for page in pages)
        return bool(flags & CLEAN)

    def _listed(self, folder: int) -> dict[str, int]:
        """Return the records of the files in a folder by their names, in the order of the names."""
        attributes = self._attributes(folder)
        found = dict(_names(attributes[INDEX_ROOT], 16))
        if INDEX in attributes:
            spans, size = self._data(folder, INDEX)
            nodes = b"".join(self.read(at, length) for at, length in spans)
            for at in range(0, size, PAGE):
                found |= _names(_fixed(nodes[at : at + PAGE], b"INDX"), 24)
        return found

    def _data(self, number: int, kind: int) -> tuple[list[Span], int]:
        """Return where an attribute of a record lies, and its size."""
        attributes = self._attributes(number)
        if LIST in attributes or kind not in attributes:
            raise NotMounted(f"record {number} has no data, or more than the sandbox reads")
        data = attributes[kind]
        (at,), (size,) = struct.unpack_from("<H", data, 32), struct.unpack_from("<Q", data, 48)
        spans, cluster = [], 0
        while data[at]:
            count, step = struct.unpack_from("<Qq", data, at + 1)
            cluster += step
            spans.append((cluster * self.cluster_bytes, count * self.cluster_bytes))
            at += 17
        return spans, size

    def _attributes(self, number: int) -> dict[int, bytes]:
        """Return the attributes of a record by their kinds: the value of a resident one, otherwise the attribute."""
        record = _fixed(self.read(self.mft_at + number * RECORD, RECORD), b"FILE")
        sequence, _, at, flags = struct.unpack_from("<HHHH", record, 16)
        if sequence != SEQUENCE or not flags & 1:
            raise NotMounted(f"record {number} is not in use")
        found = {}
        while (kind := struct.unpack_from("<I", record, at)[0]) != NO_FILE:
            (length,) = struct.unpack_from("<I", record, at + 4)
            attribute = record[at : at + length]
            value_bytes, value_at = struct.unpack_from("<IH", attribute, 16)
            found[kind] = attribute if attribute[8] else attribute[value_at : value_at + value_bytes]
            at += length
        return found


def _fixed(record: bytes, mark: bytes) -> bytes:
    if not record.startswith(mark):
        raise NotMounted(f"there is no {mark.decode()} record")
    at, count = struct.unpack_from("<HH", record, 4)
    fixed = bytearray(record)
    for number in range(1, count):
        if record[number * 512 - 2 : number * 512] != record[at : at + 2]:
            raise NotMounted(f"a {mark.decode()} record was written only in part")
        fixed[number * 512 - 2 : number * 512] = record[at + 2 * number : at + 2 * number + 2]
    return bytes(fixed)


def _names(node: bytes, header_at: int) -> Iterator[tuple[str, int]]:
    at = header_at + struct.unpack_from("<I", node, header_at)[0]
    while not struct.unpack_from("<I", node, at + 12)[0] & 2:
        reference, length = struct.unpack_from("<QH", node, at)
        yield node[at + 82 : at + 82 + 2 * node[at + 80]].decode("utf-16-le"), reference & 0xFFFFFFFFFFFF
        at += length
