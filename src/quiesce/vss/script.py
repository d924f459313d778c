"""The script that DiskShadow runs on the server: it makes a session's shadow copies, and holds them for the backup.

DiskShadow's documentation does not state how it treats a bad line, so this module lets none in.
"""

import re
from collections.abc import Sequence

from quiesce.errors import ServerRefused

# "Microsoft Software Shadow Copy provider 1.0".
# Unless the script names it, VSS prefers any other provider, such as AWS's own, whose copies are not on the volumes.
SYSTEM_PROVIDER = "{b5946137-7b9f-4925-af80-51abd60b20d5}"
# The writers' metadata, which a later restore of an application needs.
METADATA = "writers.cab"
# A batch file that ends with 0 when the backup has succeeded, else with another code: DiskShadow then stops at once.
HOLD = "hold.cmd"
# VSS's own limit for a shadow set.
MAX_VOLUMES = 64
# More than a server has: about fifteen, and thirty more with all of Windows' roles.
MAX_NAMED_WRITERS = 64
# In a script as sent to the server, this stands for the attempt's folder.
FOLDER_MARK = "*"

GUID_PATTERN = r"\{[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}"
GUID = re.compile(GUID_PATTERN)
VOLUME = re.compile(rf"\\\\\?\\Volume{GUID_PATTERN}\\")
# No blank, no quote, no percent sign: DiskShadow's documentation does not state how it reads those.
FOLDER = re.compile(r"[A-Za-z]:(?:\\[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)+")

ABOUT = "# quiesce: makes the shadow copies of one session, and keeps the writers waiting until the backup is done."
# A script without a final line end loses its last character: "exit" may lose it, "end backup" may not.
LAST_LINE = "exit"


def session_script(
    volumes: Sequence[str], *, copy_only: bool, excluded: Sequence[str] = (), no_writers: bool = False
) -> tuple[str, ...]:
    r"""Return the lines of one session's script, with ``*`` in place of the attempt's folder.

    Args:
        volumes: GUID paths, ``\\?\Volume{...}\``; 1 to 64, each once.
        copy_only: leave the applications' own backup history alone; their logs are not truncated then.
        excluded: ids of at most 64 writers that take no part.
        no_writers: no writer at all takes part, and no application is frozen.

    Raises:
        ServerRefused: the volumes or writers can't be put into a script, by form or by number; nothing was done.
    """
    _check_volumes(volumes)
    _check_writers(excluded)
    added = [f"add volume {volume} alias shadow{n} provider {SYSTEM_PROVIDER}" for n, volume in enumerate(volumes, 1)]
    return (
        ABOUT,
        "set verbose on",
        "set context persistent nowriters" if no_writers else "set context persistent",
        f"set metadata {FOLDER_MARK}\\{METADATA}",
        *(f"writer exclude {writer}" for writer in excluded),
        *([] if copy_only else ["begin backup"]),
        *added,
        "create",
        "list writers status",
        f"exec {FOLDER_MARK}\\{HOLD} %VSS_SHADOW_SET%",
        "end backup",
        LAST_LINE,
    )


def _check_volumes(volumes: Sequence[str]) -> None:
    remedy = "leave it out of the policy's volumes, or turn VSS off"
    for volume in volumes:
        if not VOLUME.fullmatch(volume):
            raise ServerRefused("volumes", f"{volume!r} is not a volume's GUID path", remedy)
    if len({volume.lower() for volume in volumes}) < len(volumes):
        raise ServerRefused("volumes", "a volume is named more than once", remedy)
    if not 1 <= len(volumes) <= MAX_VOLUMES:
        raise ServerRefused("volumes", f"{len(volumes)} volumes; a shadow set has 1 to {MAX_VOLUMES}", remedy)


def _check_writers(writers: Sequence[str]) -> None:
    wrong = [writer for writer in writers if not GUID.fullmatch(writer)]
    if wrong or len(writers) > MAX_NAMED_WRITERS:
        problem = f"{wrong[0]!r} is no writer's id" if wrong else f"{len(writers)} writers, more than can be excluded"
        remedy = f"name at most {MAX_NAMED_WRITERS} by their ids, as diskshadow lists them by 'list writers status'"
        raise ServerRefused("vss.exclude_writers", problem, remedy)
