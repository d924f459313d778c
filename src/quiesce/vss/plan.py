"""The shadow copies that Plan decided on: of which volumes, with their storage where, and with which writers."""

from quiesce.executions import Crossing


class ShadowVolume(Crossing):
    """A Windows volume to make a shadow copy of; ``volume_id`` is its EBS volume, empty if the disk reports none."""

    volume_guid: str
    path: str
    volume_id: str


class ShadowPlan(Crossing):
    """The shadow copies that VSS is asked for: of ``volumes``, with their storage on those of ``homes``.

    ``homes`` are all volumes (GUID paths, in lower case) on EBS volumes of the recovery point, ``elsewhere`` the others
    with their paths; ``left_out`` are paths of volumes there that get no shadow copy because the policy names others.
    Writers are ids in lower case, ``known_writers`` names, of the policy's last good run here; with ``no_writers`` none
    takes part.
    """

    volumes: list[ShadowVolume]
    homes: list[str]
    elsewhere: dict[str, str] = {}
    left_out: list[str] = []
    excluded_writers: list[str] = []
    no_writers: bool = False
    required_writers: list[str] = []
    known_writers: list[str] = []
