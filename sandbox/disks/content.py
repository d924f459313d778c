"""What is on simulated volumes and in their snapshots."""

from dataclasses import dataclass, field


@dataclass
class VolumeContent:
    """The files on one volume, by path, and the shadow copies whose storage lies on it, by id. Small on purpose."""

    files: dict[str, str] = field(default_factory=dict)
    shadow_copies: dict[str, "VolumeContent"] = field(default_factory=dict)

    def read(self, path: str) -> str:
        """Return the text of a file; empty if it was not written yet."""
        return self.files.get(path, "")

    def write(self, path: str, text: str) -> None:
        """Replace a file."""
        self.files[path] = text

    def capture(self) -> "VolumeContent":
        """Return a copy of the content at this instant."""
        return VolumeContent(dict(self.files), dict(self.shadow_copies))
