"""The run's package in the cases' bucket, as Plan puts it there."""

from collections.abc import Mapping

from quiesce.guest.package import OwnScripts, Package, pack
from quiesce.guest.scripts import SCRIPTS

# What a case says of the package itself; these are no parameters of the document.
PACKAGE_FIELDS = {"ShadowScript": "none", "PackageBytes": "0", "Account": ""}


def package_of(changes: Mapping[str, str], policy: str, scripts: Mapping[str, bytes], ours: OwnScripts) -> Package:
    """Return the package of a stage.

    Args:
        changes: the case's: ``ShadowScript`` has DiskShadow's lines, joined by ``|``; ``PackageBytes`` is how large the
            package is at least; ``Account`` is the one that the scripts run under.
        policy: its name.
        scripts: the bucket's, by stage.
        ours: the guest's own scripts.
    """
    fields = PACKAGE_FIELDS | {name: str(value) for name, value in changes.items() if name in PACKAGE_FIELDS}
    lines = [] if fields["ShadowScript"] == "none" else fields["ShadowScript"].split("|")
    found = {stage: scripts[stage] for stage in SCRIPTS if stage in scripts}
    package = pack(policy, found, lines, account=fields["Account"], ours=ours)
    return Package(package.content.ljust(int(fields["PackageBytes"]), b"\0"))
