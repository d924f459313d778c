"""Print the SHA-256 of each shadow copy on a volume as libvshadow reads it; runs where libvshadow is, without quiesce.

libvshadow_views.py IMAGE START BYTES
"""

import hashlib
import json
import sys
from pathlib import Path

import pyvshadow

CHUNK = 1 << 20


class Volume:
    """A part of an image, as libvshadow reads files."""

    def __init__(self, file, start, length):
        self.file, self.start, self.length, self.at = file, start, length, 0

    def read(self, size):
        self.file.seek(self.start + self.at)
        data = self.file.read(min(size, self.length - self.at))
        self.at += len(data)
        return data

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.length)[whence]

    def tell(self):
        return self.at

    def get_size(self):
        return self.length


def main(path, start, length):
    with Path(path).open("rb") as file:
        volume = pyvshadow.volume()
        volume.open_file_object(Volume(file, int(start), int(length)))
        stores = [volume.get_store(number) for number in range(volume.number_of_stores)]
        json.dump({store.identifier: sha256(store) for store in stores}, sys.stdout)


def sha256(store):
    digest = hashlib.sha256()
    for at in range(0, store.volume_size, CHUNK):
        digest.update(store.read_buffer_at_offset(min(CHUNK, store.volume_size - at), at))
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
