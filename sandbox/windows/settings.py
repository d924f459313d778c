"""The guest's verb ``set`` on a simulated server: one setting of Windows, from one value to another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sandbox.windows.examination import Condition
from sandbox.windows.staging import Refused
from sandbox.windows.vss import Server

# Win32_Service's words for what Set-Service, Start-Service and Stop-Service can make of a service.
START_MODES, STATES = ("Auto", "Manual", "Disabled"), ("Running", "Stopped")


@dataclass(frozen=True)
class Settings:
    """What can be set on a server: its services, and the limits of its shadow storage.

    ``refused`` and ``set_back`` are knobs: Windows lets nobody configure services, or another program sets them back.
    """

    condition: Condition
    vss: Server
    refused: bool = False
    set_back: bool = False

    def set(self, parameters: Mapping[str, str], told: dict[str, str]) -> None:
        """Change a setting, and nothing if it has neither value; ``told`` gets what it was, if that could be read."""
        setting, subject, wanted = (parameters[name] for name in ("Setting", "Subject", "To"))
        read, write = self._limit(subject) if setting == "MaxSpace" else self._service(subject, setting)
        told["was"] = read()
        if read() == wanted:
            return
        if read() != parameters["From"]:
            raise Refused(f"SettingDiffers: {setting} of {subject} is {read()}, not {parameters['From']}")
        write(wanted)
        if read() != wanted:
            raise Refused("NotChanged")

    def _service(self, name: str, setting: str) -> tuple[Callable[[], str], Callable[[str], None]]:
        services, place = self.condition.services, ("State", "StartMode").index(setting)
        if name not in services:
            raise Refused(f"SettingMissing: Windows lists 0 of {name}")

        def write(value: str) -> None:
            if value not in (STATES, START_MODES)[place]:
                raise NotImplementedError(f"{setting} of a service can't be {value}")
            state, mode = services[name]
            starts_disabled = value == "Running" and mode == "Disabled"
            if starts_disabled or (setting == "StartMode" and self.refused):
                raise Refused("NotChanged")
            if not (setting == "StartMode" and self.set_back):
                services[name] = (state, value) if place else (value, mode)

        return lambda: services[name][place], write

    def _limit(self, guid: str) -> tuple[Callable[[], str], Callable[[str], None]]:
        volume = f"\\\\?\\Volume{{{guid}}}\\"
        places = [number for number, each in enumerate(self.vss.storage) if each.volume.lower() == volume.lower()]
        if len(places) != 1:
            raise Refused(f"SettingMissing: Windows lists {len(places)} of {guid}")
        [place] = places

        def write(value: str) -> None:
            self.vss.storage[place] = replace(self.vss.storage[place], max_bytes=int(value))

        return lambda: str(self.vss.storage[place].max_bytes), write
