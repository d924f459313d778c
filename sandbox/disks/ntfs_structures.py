"""A little of NTFS on simulated volumes: the records, the log and the bitmap that say whether a volume is at rest.

Written from the Linux-NTFS project's description. It shares no code with the product's reader.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

RECORD, PAGE = 1024, 4096
RECORDS = 64
MFT, LOG, VOLUME, ROOT, BITMAP, VSS_FOLDER = 0, 2, 3, 5, 6, 30
# Records of files, and of the second parts of those with two.
FIRST_FILE, FIRST_PART = 32, 48
FOLDER = 0x2
NO_FILE = 0xFFFFFFFF
SEQUENCE = 7

# Bytes of the volume: where they begin, and how many; both are multiples of the cluster.
Span = tuple[int, int]


@dataclass(frozen=True)
class NtfsFiles:
    """What NTFS says of a volume.

    Attributes:
        volume_bytes: its size.
        cluster_bytes: a power of two.
        mft_at: where $MFT begins, in bytes, on a cluster.
        log_clean: whether the volume was cleanly dismounted, or its log replayed.
        dirty: whether Windows wants to check it.
        root: files in the root folder, and where their data lies. Those of more than one part have a list of
            attributes.
        vss: files in System Volume Information.
        in_use: what else is in use.
    """

    volume_bytes: int
    cluster_bytes: int = 4096
    mft_at: int = 0x4000
    log_clean: bool = True
    dirty: bool = False
    root: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    vss: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    in_use: Sequence[Span] = ()

    def writes(self) -> Iterator[tuple[int, bytes]]:
        """Yield what to write on the volume: offsets, and the bytes there."""
        places = self.places()
        records = self._records(places)
        yield places["mft"][0], b"".join(records.get(n, _record(n, [], in_use=False)) for n in range(RECORDS))
        yield places["log"][0], self.log(clean=self.log_clean)
        yield places["root"][0], _index(_entries(self._numbers(self.root) | {"System Volume Information": VSS_FOLDER}))
        yield places["bitmap"][0], self._bitmap(places)

    def places(self) -> dict[str, Span]:
        """Return where each of the files of NTFS itself lies."""
        bitmap_bytes = -(-(self.volume_bytes // self.cluster_bytes) // 64) * 8
        found, at = {}, self.mft_at
        for name, length in (("mft", RECORDS * RECORD), ("log", 2 * PAGE), ("root", PAGE), ("bitmap", bitmap_bytes)):
            whole = -(-length // self.cluster_bytes) * self.cluster_bytes
            found[name] = at, whole
            at += whole
        return found

    def log(self, *, clean: bool) -> bytes:
        """Return the beginning of $LogFile: two restart pages, of which the second is the newer one."""
        return _restart_page(1000, clean=True) + _restart_page(2000, clean=clean)

    def _numbers(self, files: Mapping[str, Sequence[Span]]) -> dict[str, int]:
        numbers = {name: FIRST_FILE + at for at, name in enumerate([*self.root, *self.vss])}
        return {name: numbers[name] for name in files}

    def _records(self, places: Mapping[str, Span]) -> dict[int, bytes]:
        information = bytes(8) + struct.pack("<BBH", 3, 1, self.dirty)
        root = [_resident(0x90, _index_root(_entries({})), "$I30"), self._data([places["root"]], PAGE, 0xA0, "$I30")]
        vss = [_resident(0x90, _index_root(_entries(self._numbers(self.vss))), "$I30")]
        records = {
            MFT: _record(MFT, [self._data([places["mft"]], RECORDS * RECORD)]),
            LOG: _record(LOG, [self._data([places["log"]], 2 * PAGE)]),
            VOLUME: _record(VOLUME, [_resident(0x70, information)]),
            ROOT: _record(ROOT, root, FOLDER),
            BITMAP: _record(BITMAP, [self._data([places["bitmap"]], places["bitmap"][1])]),
            VSS_FOLDER: _record(VSS_FOLDER, vss, FOLDER),
        }
        for at, spans in enumerate([*self.root.values(), *self.vss.values()]):
            records |= self._file(FIRST_FILE + at, FIRST_PART + at, spans)
        return records

    def _file(self, number: int, second: int, spans: Sequence[Span]) -> dict[int, bytes]:
        size = sum(length for _, length in spans)
        if len(spans) == 1:
            return {number: _record(number, [self._data(spans, size)])}
        after = spans[0][1] // self.cluster_bytes
        parts = ((0, number), (after, second))
        listed = b"".join(
            struct.pack("<IHBBQQH6x", 0x80, 32, 0, 26, first, n | SEQUENCE << 48, 0) for first, n in parts
        )
        return {
            number: _record(number, [_resident(0x20, listed), self._data(spans[:1], size)]),
            second: _record(second, [self._data(spans[1:], 0, first=after)]),
        }

    def _data(self, spans: Sequence[Span], size: int, kind: int = 0x80, name: str = "", *, first: int = 0) -> bytes:
        runs, before, clusters = b"", 0, 0
        for start, length in spans:
            cluster, count = start // self.cluster_bytes, length // self.cluster_bytes
            runs += b"\x88" + struct.pack("<Qq", count, cluster - before)
            before, clusters = cluster, clusters + count
        numbers = (first, first + clusters - 1, 64 + 2 * len(name), 0, size, size, size)
        return _attribute(kind, name, struct.pack("<QQHH4xQQQ", *numbers), runs + b"\0", elsewhere=True)

    def _bitmap(self, places: Mapping[str, Span]) -> bytes:
        # The volume's last sector belongs to no cluster.
        clusters = (self.volume_bytes - 512) // self.cluster_bytes
        bits = bytearray(-(-clusters // 64) * 8)
        spans = [(0, 0x4000), *places.values(), *self.in_use]
        for start, length in (*spans, *(span for each in (self.root, self.vss) for s in each.values() for span in s)):
            for cluster in range(start // self.cluster_bytes, -(-(start + length) // self.cluster_bytes)):
                bits[cluster // 8] |= 1 << cluster % 8
        # What would lie behind the volume's end is in use.
        for cluster in range(clusters, len(bits) * 8):
            bits[cluster // 8] |= 1 << cluster % 8
        return bytes(bits)


def _record(number: int, attributes: Sequence[bytes], flags: int = 0, *, in_use: bool = True) -> bytes:
    record = bytearray(RECORD)
    body = b"".join(attributes) + struct.pack("<II", NO_FILE, 0)
    head = (b"FILE", 48, RECORD // 512 + 1, 0, SEQUENCE, 1, 56, flags | in_use, 56 + len(body), RECORD, 0, 0, 0, number)
    struct.pack_into("<4sHHQHHHHIIQHHI", record, 0, *head)
    record[56 : 56 + len(body)] = body
    return _with_fix_ups(record)


def _with_fix_ups(record: bytearray) -> bytes:
    at, count = struct.unpack_from("<HH", record, 4)
    mark = b"\x05\x00"
    record[at : at + 2] = mark
    for number in range(1, count):
        end = number * 512
        record[at + 2 * number : at + 2 * number + 2] = record[end - 2 : end]
        record[end - 2 : end] = mark
    return bytes(record)


def _restart_page(number: int, *, clean: bool) -> bytes:
    page = bytearray(PAGE)
    struct.pack_into("<4sHHQIIHHH", page, 0, b"RSTR", 30, 9, 0, PAGE, PAGE, 48, 1, 1)
    struct.pack_into("<QHHHH", page, 48, number, 1, 0xFFFF, 0, 2 if clean else 0)
    return _with_fix_ups(page)


def _resident(kind: int, value: bytes, name: str = "") -> bytes:
    return _attribute(kind, name, struct.pack("<IHH", len(value), 24 + 2 * len(name), 0), value)


def _attribute(kind: int, name: str, head: bytes, body: bytes, *, elsewhere: bool = False) -> bytes:
    content = head + name.encode("utf-16-le") + body
    length = -(-(16 + len(content)) // 8) * 8
    start = struct.pack("<IIBBHHH", kind, length, elsewhere, len(name), 16 + len(head), 0, 0)
    return (start + content).ljust(length, b"\0")


def _index_root(entries: bytes) -> bytes:
    return struct.pack("<IIIB3xIIII", 0x30, 1, PAGE, 1, 16, 16 + len(entries), 16 + len(entries), 0) + entries


def _index(entries: bytes) -> bytes:
    node = bytearray(PAGE)
    struct.pack_into("<4sHH", node, 0, b"INDX", 40, 9)
    struct.pack_into("<IIII", node, 24, 40, 40 + len(entries), PAGE - 24, 0)
    node[64 : 64 + len(entries)] = entries
    return _with_fix_ups(node)


def _entries(numbers: Mapping[str, int]) -> bytes:
    entries = b""
    for name, number in sorted(numbers.items(), key=lambda item: item[0].upper()):
        key = bytes(64) + struct.pack("<BB", len(name), 1) + name.encode("utf-16-le")
        length = -(-(16 + len(key)) // 8) * 8
        entries += (struct.pack("<QHHI", number | SEQUENCE << 48, length, len(key), 0) + key).ljust(length, b"\0")
    return entries + struct.pack("<QHHI", 0, 16, 0, 2)
