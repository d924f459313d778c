import pytest

from quiesce.disks.raw import BLOCK_BYTES, Extent, Malformed, NotRead, RawDisk


def a_disk(size_bytes: int = 4 * BLOCK_BYTES, left_bytes: int = 1 << 20) -> RawDisk:
    return RawDisk(lambda _, length: b"\xaa" * length, size_bytes, left_bytes)


def test_the_blocks_that_a_read_touches_are_counted_once() -> None:
    disk = a_disk()
    for offset, length in ((0, 512), (100, 1), (BLOCK_BYTES - 1, 2), (3 * BLOCK_BYTES - 1, 1)):
        disk.read(offset, length)
    assert disk.blocks == {0, 1, 2}


def test_nothing_is_read_beyond_the_end_of_the_disk() -> None:
    disk = a_disk()
    assert disk.read(4 * BLOCK_BYTES - 1, 1) == b"\xaa"
    with pytest.raises(NotRead, match="the disk ends"):
        disk.read(4 * BLOCK_BYTES - 1, 2)


def test_a_disk_is_not_read_without_end() -> None:
    disk = a_disk(left_bytes=1000)
    disk.read(0, 1000)
    with pytest.raises(NotRead, match="would have to be read"):
        disk.read(0, 1)


@pytest.mark.parametrize("answer", [b"", b"123", b"12345"])
def test_an_answer_of_another_length_is_not_taken(answer: bytes) -> None:
    with pytest.raises(NotRead, match="instead of 4 bytes"):
        RawDisk(lambda *_: answer, 100).read(0, 4)


def test_a_read_that_fails_keeps_its_cause() -> None:
    def read(*_: int) -> bytes:
        raise OSError("throttled")

    with pytest.raises(NotRead, match="throttled") as caught:
        RawDisk(read, 100).read(0, 4)
    assert isinstance(caught.value.__cause__, OSError)


def test_a_mistake_in_a_reader_is_not_taken_for_a_fault_of_the_disk() -> None:
    with pytest.raises(ZeroDivisionError):
        RawDisk(lambda *_: bytes(1 // 0), 100).read(0, 4)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (99, 2), (100, 1), (1 << 70, 1)])
def test_an_extent_reads_nothing_outside_of_itself(offset: int, length: int) -> None:
    with pytest.raises(Malformed, match="are not all within"):
        Extent(a_disk(), 1000, 100).read(offset, length)


def test_an_extent_counts_from_its_start() -> None:
    disk = RawDisk(lambda offset, length: bytes([offset % 256]) * length, 1000)
    assert Extent(disk, 100, 100).read(5, 2) == b"\x69\x69"


def test_a_reader_may_say_itself_why_it_could_not_read() -> None:
    def read(*_: int) -> bytes:
        raise NotRead("the snapshot is archived")

    with pytest.raises(NotRead, match=r"^the snapshot is archived$"):
        RawDisk(read, 100).read(0, 4)
