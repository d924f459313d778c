"""The error codes of VSS and of Windows beneath it: what each means, what helps, and whether waiting does.

Codes are the only part of a failure that Windows does not translate.
"""

from dataclasses import dataclass

# Microsoft's "wait ten minutes and try again, up to three times".
TEN_MINUTES_S = 600
# Another requestor is between its StartSnapshotSet and DoSnapshotSet; Bareos asks again after 5 s, UrBackup after 30 s.
SHORT_WAIT_S = 30

TEN_MINUTES = "Microsoft: wait ten minutes and try again, up to three times"
UNTIMED = "no waiting time is documented; ten minutes, as for the other timeouts"
NO_RETRY = "another attempt would not help"
EVENTS = "see the Application event log of the server"
# The start types that Windows gives the services of VSS.
SERVICES = (
    "set Volume Shadow Copy and Microsoft Software Shadow Copy Provider to Manual, COM+ Event System to Automatic"
)
NO_REMEDY = f"no remedy is known: {EVENTS}"
WINDOWS_FACILITY = 0x8007
RESTART = "restart the services Volume Shadow Copy and COM+ Event System, or the server"


@dataclass(frozen=True)
class Hresult:
    """An error code; ``wait_s`` is how long to wait before another attempt, None if waiting does not help."""

    code: int
    name: str
    meaning: str
    advice: str = NO_RETRY
    wait_s: int | None = None

    @property
    def hex(self) -> str:
        """The code as Microsoft writes it."""
        return f"0x{self.code:08X}"

    def __str__(self) -> str:
        return f"{self.name} ({self.hex}): {self.meaning}; {self.advice}"


# Sources: DoSnapshotSet, AddToSnapshotSet and StartSnapshotSet of IVssBackupComponents, its RevertToSnapshot,
# CVssWriterEx2::SetWriterFailureEx, "Writer Errors and Vetoes" (all learn.microsoft.com), names and values vsserror.h.
_TABLE = (
    Hresult(0x80042301, "VSS_E_BAD_STATE", "the calls came in a wrong order"),
    Hresult(0x80042302, "VSS_E_UNEXPECTED", "an unexpected error; the Application event log has it"),
    Hresult(0x80042303, "VSS_E_PROVIDER_ALREADY_REGISTERED", "the provider is registered already"),
    Hresult(0x80042304, "VSS_E_PROVIDER_NOT_REGISTERED", "no such provider is registered"),
    Hresult(0x80042306, "VSS_E_PROVIDER_VETO", "the provider could not do it now", TEN_MINUTES, TEN_MINUTES_S),
    Hresult(0x80042307, "VSS_E_PROVIDER_IN_USE", "the provider is in use"),
    Hresult(0x80042308, "VSS_E_OBJECT_NOT_FOUND", "there is no such volume or shadow copy"),
    Hresult(0x8004230C, "VSS_E_VOLUME_NOT_SUPPORTED", "no provider can make shadow copies of the volume"),
    Hresult(0x8004230D, "VSS_E_OBJECT_ALREADY_EXISTS", "it exists already"),
    Hresult(
        0x8004230E, "VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER", "the provider can't make shadow copies of the volume"
    ),
    Hresult(0x8004230F, "VSS_E_UNEXPECTED_PROVIDER_ERROR", "the provider failed", TEN_MINUTES, TEN_MINUTES_S),
    Hresult(0x80042310, "VSS_E_CORRUPT_XML_DOCUMENT", "a writer's metadata cannot be read", f"{EVENTS} for its name"),
    Hresult(0x80042311, "VSS_E_INVALID_XML_DOCUMENT", "a writer's metadata is not valid", f"{EVENTS} for its name"),
    Hresult(0x80042312, "VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED", "a set holds 64 volumes at most"),
    Hresult(
        0x80042313, "VSS_E_FLUSH_WRITES_TIMEOUT", "writes could not be flushed in time", TEN_MINUTES, TEN_MINUTES_S
    ),
    Hresult(0x80042314, "VSS_E_HOLD_WRITES_TIMEOUT", "writes could not be held in time", TEN_MINUTES, TEN_MINUTES_S),
    Hresult(0x80042315, "VSS_E_UNEXPECTED_WRITER_ERROR", "a writer failed; the Application event log has it"),
    Hresult(
        0x80042316,
        "VSS_E_SNAPSHOT_SET_IN_PROGRESS",
        "another program is making shadow copies, and VSS allows only one",
        "Microsoft: wait, then try again",
        SHORT_WAIT_S,
    ),
    Hresult(
        0x80042317,
        "VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED",
        "the volume has as many shadow copies as it can have",
        "delete old ones first",
    ),
    Hresult(
        0x80042318,
        "VSS_E_WRITER_INFRASTRUCTURE",
        "the writers cannot be reached",
        "restart the services Volume Shadow Copy and COM+ Event System first",
    ),
    Hresult(
        0x80042319,
        "VSS_E_WRITER_NOT_RESPONDING",
        "a writer does not answer",
        "Microsoft: so severe that its data cannot be backed up with VSS; restart its service first",
    ),
    Hresult(
        0x8004231B, "VSS_E_UNSUPPORTED_CONTEXT", "not for this kind of shadow copy; only persistent ones are reverted"
    ),
    Hresult(0x8004231D, "VSS_E_VOLUME_IN_USE", "the volume is in use", "close what is open on it first"),
    Hresult(0x8004231E, "VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED", "no further shadow storage can be made there"),
    Hresult(
        0x8004231F,
        "VSS_E_INSUFFICIENT_STORAGE",
        "there is too little room for shadow copies",
        "Microsoft: delete old or unnecessary persistent shadow copies first",
    ),
    Hresult(0x80042325, "VSS_E_REVERT_IN_PROGRESS", "the volume is being reverted", "wait until that is done"),
    Hresult(
        0x80042326, "VSS_E_REVERT_VOLUME_LOST", "a volume was lost while it was being reverted", "bring it back first"
    ),
    Hresult(0x80042327, "VSS_E_REBOOT_REQUIRED", "the server must be restarted", "restart it first"),
    Hresult(
        0x80042328, "VSS_E_TRANSACTION_FREEZE_TIMEOUT", "transactions did not stop in time", UNTIMED, TEN_MINUTES_S
    ),
    Hresult(0x80042329, "VSS_E_TRANSACTION_THAW_TIMEOUT", "transactions did not go on in time", UNTIMED, TEN_MINUTES_S),
    Hresult(0x8004232C, "VSS_E_NESTED_VOLUME_LIMIT", "the volume lies on a virtual disk that is nested too deeply"),
    Hresult(0x80042336, "VSS_E_WRITERERROR_PARTIAL_FAILURE", "a part of what the writer looks after failed"),
    Hresult(
        0x800423F0,
        "VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT",
        "the set lacks volumes that the writer needs",
        "Microsoft: add them to the set",
    ),
    Hresult(
        0x800423F1,
        "VSS_E_WRITERERROR_OUTOFRESOURCES",
        "the writer ran out of memory or other resources",
        TEN_MINUTES,
        TEN_MINUTES_S,
    ),
    Hresult(
        0x800423F2,
        "VSS_E_WRITERERROR_TIMEOUT",
        "too much time passed for the writer between freeze and thaw",
        TEN_MINUTES,
        TEN_MINUTES_S,
    ),
    Hresult(
        0x800423F3,
        "VSS_E_WRITERERROR_RETRYABLE",
        "the writer failed, and would likely not do so again",
        f"{TEN_MINUTES}, then restart the service that hosts the writer",
        TEN_MINUTES_S,
    ),
    Hresult(0x800423F4, "VSS_E_WRITERERROR_NONRETRYABLE", "the writer failed, and would likely do so again"),
    Hresult(
        0x800423F5, "VSS_E_WRITERERROR_RECOVERY_FAILED", "the writer could not recover its data in the shadow copy"
    ),
    Hresult(0x800423FB, "VSS_E_AUTORECOVERY_FAILED", "the writers could not recover their data in the shadow copies"),
    Hresult(0x800423FC, "VSS_E_DYNAMIC_DISK_ERROR", "a dynamic disk failed"),
    Hresult(
        0x80042409,
        "VSS_E_WRITER_STATUS_NOT_AVAILABLE",
        "the writer has as many backups under way as it can have",
        "Microsoft: another try might work when the system is less busy",
        TEN_MINUTES_S,
    ),
    Hresult(0x80070005, "E_ACCESSDENIED", "the account that ran DiskShadow is not an administrator"),
    Hresult(0x8007000E, "E_OUTOFMEMORY", "the server is out of memory or other resources"),
    Hresult(0x80070057, "E_INVALIDARG", "an argument is not valid"),
    Hresult(0x8000FFFF, "E_UNEXPECTED", "an unexpected error; the Application event log has it"),
    # Errors of Windows itself, which VSS passes on. Names, values and meanings: System Error Codes and COM Error Codes
    # (learn.microsoft.com), winerror.h.
    Hresult(0x80004005, "E_FAIL", "an error that Windows does not specify", EVENTS),
    Hresult(0x80010108, "RPC_E_DISCONNECTED", "a service that VSS needs has ended meanwhile", RESTART),
    Hresult(
        0x80040154, "REGDB_E_CLASSNOTREG", "a COM class that VSS needs is not registered", f"{EVENTS} for its CLSID"
    ),
    Hresult(0x80070002, "ERROR_FILE_NOT_FOUND", "a file or registry key that VSS or a writer needs is missing", EVENTS),
    Hresult(0x80070015, "ERROR_NOT_READY", "a disk is not ready", "bring it online"),
    Hresult(0x80070070, "ERROR_DISK_FULL", "a disk is full", "free space on the server's volumes"),
    Hresult(0x8007041D, "ERROR_SERVICE_REQUEST_TIMEOUT", "a service that VSS needs did not start in time", RESTART),
    Hresult(0x80070422, "ERROR_SERVICE_DISABLED", "a service that VSS needs is disabled", SERVICES),
    Hresult(0x80070424, "ERROR_SERVICE_DOES_NOT_EXIST", "a service that VSS needs is not installed", EVENTS),
    Hresult(0x8007045B, "ERROR_SHUTDOWN_IN_PROGRESS", "the server is shutting down", "back up when it is up again"),
    Hresult(0x8007045D, "ERROR_IO_DEVICE", "a disk could not be read or written", "check the EBS volume, then chkdsk"),
    Hresult(0x800705AA, "ERROR_NO_SYSTEM_RESOURCES", "the server is out of system resources", "restart the server"),
    Hresult(0x800705B4, "ERROR_TIMEOUT", "Windows has waited too long for a part of VSS", EVENTS),
    Hresult(0x800706BA, "RPC_S_SERVER_UNAVAILABLE", "a service that VSS needs cannot be reached", RESTART),
    Hresult(0x800706BE, "RPC_S_CALL_FAILED", "a service ended in the middle of a call of VSS", RESTART),
    Hresult(0x80080005, "CO_E_SERVER_EXEC_FAILURE", "a COM server that VSS needs did not start", RESTART),
)
TABLE = {hresult.code: hresult for hresult in _TABLE}


def hresult_of(code: int, name: str = "") -> Hresult:
    """Return the table's entry for a code; for an unknown one an entry with the name that Windows wrote."""
    if known := TABLE.get(code):
        return known
    # An HRESULT of facility 7 holds a system error code in its lower half, which Windows can put into words.
    is_of_windows = code >> 16 == WINDOWS_FACILITY
    advice = f"'net helpmsg {code & 0xFFFF}' on the server says what Windows calls it" if is_of_windows else NO_REMEDY
    return Hresult(code, name or "unknown", "quiesce does not know this error", advice)
