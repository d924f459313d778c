"""Files of a volume, without the volume."""

from dataclasses import dataclass, field


@dataclass
class MemoryFiles:
    """Files by path."""

    files: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        return self.files.get(path, "")

    def write(self, path: str, text: str) -> None:
        self.files[path] = text
