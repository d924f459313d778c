"""A little of NTFS on simulated volumes: the records, the log and the bitmap that say whether a volume is at rest.

Written from the Linux-NTFS project's description. It shares no code with the product's reader.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

RECORD, PAGE = 1024, 4096
RECORDS = 128
MFT, LOG, VOLUME, ROOT, BITMAP, FIRST_FOLDER, VSS_FOLDER = 0, 2, 3, 5, 6, 24, 30
VSS_FOLDER_NAME = "System Volume Information"
# Records of files, and of the second parts of those with two.
FIRST_FILE, FIRST_PART = 32, 80
FOLDER = 0x2
# More of a folder's names than this are kept outside of its record.
ROOM_FOR_NAMES, VSS_PAGES = 600, 4
LAST_ENTRY = struct.pack("<QHHI", 0, 16, 0, 2)
# How many clusters a page of the bitmap is for.
PER_PAGE = PAGE * 8
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
        folders: other folders in the root folder, and the files in each.
        sizes: of files, by path, that are shorter than the clusters of their data.
    """

    volume_bytes: int
    cluster_bytes: int = 4096
    mft_at: int = 0x4000
    log_clean: bool = True
    dirty: bool = False
    root: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    vss: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    in_use: Sequence[Span] = ()
    folders: Mapping[str, Mapping[str, Sequence[Span]]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def writes(self) -> Iterator[tuple[int, bytes]]:
        """Yield what to write on the volume: offsets, and the bytes there. Pages of the bitmap without a bit stay."""
        places = self.places()
        records = self._records(places)
        yield places["mft"][0], b"".join(records.get(n) or _unused(n) for n in range(RECORDS))
        yield places["log"][0], self.log(clean=self.log_clean)
        folders = {VSS_FOLDER_NAME: VSS_FOLDER} | {name: FIRST_FOLDER + at for at, name in enumerate(self.folders)}
        yield places["root"][0], _index([*_entries(self._numbers("", self.root) | folders)])
        yield places["vss"][0], _index([*_entries(self._numbers(VSS_FOLDER_NAME, self.vss))], VSS_PAGES)
        for page, bits in self._bitmap(places).items():
            yield places["bitmap"][0] + page * PAGE, bits.to_bytes(PAGE, "little")

    def spans(self) -> Iterator[Span]:
        """Yield all that is in use; spans may share a cluster."""
        yield 0, 0x4000
        yield from self.places().values()
        yield from self.in_use
        for spans in self._files().values():
            yield from spans

    def places(self) -> dict[str, Span]:
        """Return where each of the files of NTFS itself lies."""
        bitmap_bytes = -(-(self.volume_bytes // self.cluster_bytes) // PER_PAGE) * PAGE
        found, at = {}, self.mft_at
        lengths = {"mft": RECORDS * RECORD, "log": 2 * PAGE, "root": PAGE, "vss": VSS_PAGES * PAGE}
        for name, length in (lengths | {"bitmap": bitmap_bytes}).items():
            whole = -(-length // self.cluster_bytes) * self.cluster_bytes
            found[name] = at, whole
            at += whole
        return found

    def log(self, *, clean: bool) -> bytes:
        """Return the beginning of $LogFile: two restart pages, of which the second is the newer one."""
        return _restart_page(1000, clean=True) + _restart_page(2000, clean=clean)

    def _files(self) -> dict[str, Sequence[Span]]:
        """Return all files by their paths, in the order of their records."""
        folders = {"": self.root, VSS_FOLDER_NAME: self.vss, **self.folders}
        return {path_of(folder, name): spans for folder, files in folders.items() for name, spans in files.items()}

    def _numbers(self, folder: str, files: Mapping[str, Sequence[Span]]) -> dict[str, int]:
        numbers = {path: FIRST_FILE + at for at, path in enumerate(self._files())}
        return {name: numbers[path_of(folder, name)] for name in files}

    def _records(self, places: Mapping[str, Span]) -> dict[int, bytes]:
        information = bytes(8) + struct.pack("<BBH", 3, 1, self.dirty)
        root = [_resident(0x90, _index_root([]), "$I30"), self._data([places["root"]], PAGE, 0xA0, "$I30")]
        records = {
            MFT: _record(MFT, [self._data([places["mft"]], RECORDS * RECORD)]),
            LOG: _record(LOG, [self._data([places["log"]], 2 * PAGE)]),
            VOLUME: _record(VOLUME, [_resident(0x70, information)]),
            ROOT: _record(ROOT, root, FOLDER),
            BITMAP: _record(BITMAP, [self._data([places["bitmap"]], places["bitmap"][1])]),
            VSS_FOLDER: _record(VSS_FOLDER, self._vss_index(places["vss"]), FOLDER),
        }
        for at, (name, files) in enumerate(self.folders.items()):
            index = _index_root([*_entries(self._numbers(name, files))])
            records[FIRST_FOLDER + at] = _record(FIRST_FOLDER + at, [_resident(0x90, index, "$I30")], FOLDER)
        files = self._files()
        if len(files) > FIRST_PART - FIRST_FILE or len(self.folders) > VSS_FOLDER - FIRST_FOLDER:
            raise ValueError(f"there is no room for {len(files)} files and {len(self.folders)} folders")
        for at, (path, spans) in enumerate(files.items()):
            size = self.sizes.get(path, sum(length for _, length in spans))
            records |= self._file(FIRST_FILE + at, FIRST_PART + at, spans, size)
        return records

    def _vss_index(self, place: Span) -> list[bytes]:
        entries = [*_entries(self._numbers(VSS_FOLDER_NAME, self.vss))]
        if sum(map(len, entries)) <= ROOM_FOR_NAMES:
            return [_resident(0x90, _index_root(entries), "$I30")]
        return [_resident(0x90, _index_root([]), "$I30"), self._data([place], VSS_PAGES * PAGE, 0xA0, "$I30")]

    def _file(self, number: int, second: int, spans: Sequence[Span], size: int) -> dict[int, bytes]:
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
        numbers = (first, first + clusters - 1, 64 + 2 * len(name), 0, clusters * self.cluster_bytes, size, size)
        return _attribute(kind, name, struct.pack("<QQHH4xQQQ", *numbers), runs + b"\0", elsewhere=True)

    def _bitmap(self, places: Mapping[str, Span]) -> dict[int, int]:
        """Return the pages of the bitmap that have a bit, each as a number."""
        # The volume's last sector belongs to no cluster; what would lie behind the volume's end is in use.
        end = (self.volume_bytes - 512) // self.cluster_bytes
        last = -(-(self.volume_bytes // self.cluster_bytes) // PER_PAGE) * PER_PAGE
        behind = (end * self.cluster_bytes, (last - end) * self.cluster_bytes)
        pages: dict[int, int] = {}
        for start, length in (*self.spans(), behind):
            first, after = start // self.cluster_bytes, -(-(start + length) // self.cluster_bytes)
            for page in range(first // PER_PAGE, -(-after // PER_PAGE)):
                low, high = max(first - page * PER_PAGE, 0), min(after - page * PER_PAGE, PER_PAGE)
                pages[page] = pages.get(page, 0) | ((1 << high - low) - 1) << low
        return pages


def path_of(folder: str, name: str) -> str:
    """Return a file's path; the root folder's name is empty."""
    return f"\\{folder}\\{name}" if folder else f"\\{name}"


def _record(number: int, attributes: Sequence[bytes], flags: int = 0, *, in_use: bool = True) -> bytes:
    record = bytearray(RECORD)
    body = b"".join(attributes) + struct.pack("<II", NO_FILE, 0)
    if 56 + len(body) > RECORD:
        raise ValueError(f"record {number} has no room for {len(body)} bytes")
    head = (b"FILE", 48, RECORD // 512 + 1, 0, SEQUENCE, 1, 56, flags | in_use, 56 + len(body), RECORD, 0, 0, 0, number)
    struct.pack_into("<4sHHQHHHHIIQHHI", record, 0, *head)
    record[56 : 56 + len(body)] = body
    return _with_fix_ups(record)


@cache
def _unused(number: int) -> bytes:
    return _record(number, [], in_use=False)


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


def _index_root(entries: Sequence[bytes]) -> bytes:
    body = b"".join(entries) + LAST_ENTRY
    return struct.pack("<IIIB3xIIII", 0x30, 1, PAGE, 1, 16, 16 + len(body), 16 + len(body), 0) + body


def _index(entries: Sequence[bytes], pages: int = 1) -> bytes:
    """Return the nodes of a folder's index. Names are spread over them in their order, without a tree above them."""
    nodes = []
    left = list(entries)
    for number in range(pages):
        body = b""
        while left and 64 + len(body) + len(left[0]) + len(LAST_ENTRY) <= PAGE:
            body += left.pop(0)
        body += LAST_ENTRY
        node = bytearray(PAGE)
        struct.pack_into("<4sHH8xQ", node, 0, b"INDX", 40, 9, number)
        struct.pack_into("<IIII", node, 24, 40, 40 + len(body), PAGE - 24, 0)
        node[64 : 64 + len(body)] = body
        nodes.append(_with_fix_ups(node))
    if left:
        raise ValueError(f"a folder has no room for {len(left)} of its names")
    return b"".join(nodes)


def _entries(numbers: Mapping[str, int]) -> Iterator[bytes]:
    for name, number in sorted(numbers.items(), key=lambda item: item[0].upper()):
        key = bytes(64) + struct.pack("<BB", len(name), 1) + name.encode("utf-16-le")
        length = -(-(16 + len(key)) // 8) * 8
        yield (struct.pack("<QHHI", number | SEQUENCE << 48, length, len(key), 0) + key).ljust(length, b"\0")
