"""Every error code of VSS has its name, and the wait that Microsoft advises, or none."""

import pytest

from quiesce.vss.hresults import TABLE, hresult_of
from quiesce.vss.log import read_log
from quiesce.vss.outcome import creation_of
from tests.support.shadow_session import D, E, a_server, session_log, writer_of

# Names and values as in vsserror.h and winerror.h; seconds as documented for DoSnapshotSet, StartSnapshotSet and
# SetWriterFailureEx.
CODES: dict[int, tuple[str, int | None]] = {
    0x80042301: ("VSS_E_BAD_STATE", None),
    0x80042302: ("VSS_E_UNEXPECTED", None),
    0x80042303: ("VSS_E_PROVIDER_ALREADY_REGISTERED", None),
    0x80042304: ("VSS_E_PROVIDER_NOT_REGISTERED", None),
    0x80042306: ("VSS_E_PROVIDER_VETO", 600),
    0x80042307: ("VSS_E_PROVIDER_IN_USE", None),
    0x80042308: ("VSS_E_OBJECT_NOT_FOUND", None),
    0x8004230C: ("VSS_E_VOLUME_NOT_SUPPORTED", None),
    0x8004230D: ("VSS_E_OBJECT_ALREADY_EXISTS", None),
    0x8004230E: ("VSS_E_VOLUME_NOT_SUPPORTED_BY_PROVIDER", None),
    0x8004230F: ("VSS_E_UNEXPECTED_PROVIDER_ERROR", 600),
    0x80042310: ("VSS_E_CORRUPT_XML_DOCUMENT", None),
    0x80042311: ("VSS_E_INVALID_XML_DOCUMENT", None),
    0x80042312: ("VSS_E_MAXIMUM_NUMBER_OF_VOLUMES_REACHED", None),
    0x80042313: ("VSS_E_FLUSH_WRITES_TIMEOUT", 600),
    0x80042314: ("VSS_E_HOLD_WRITES_TIMEOUT", 600),
    0x80042315: ("VSS_E_UNEXPECTED_WRITER_ERROR", None),
    0x80042316: ("VSS_E_SNAPSHOT_SET_IN_PROGRESS", 30),
    0x80042317: ("VSS_E_MAXIMUM_NUMBER_OF_SNAPSHOTS_REACHED", None),
    0x80042318: ("VSS_E_WRITER_INFRASTRUCTURE", None),
    0x80042319: ("VSS_E_WRITER_NOT_RESPONDING", None),
    0x8004231B: ("VSS_E_UNSUPPORTED_CONTEXT", None),
    0x8004231D: ("VSS_E_VOLUME_IN_USE", None),
    0x8004231E: ("VSS_E_MAXIMUM_DIFFAREA_ASSOCIATIONS_REACHED", None),
    0x8004231F: ("VSS_E_INSUFFICIENT_STORAGE", None),
    0x80042325: ("VSS_E_REVERT_IN_PROGRESS", None),
    0x80042326: ("VSS_E_REVERT_VOLUME_LOST", None),
    0x80042327: ("VSS_E_REBOOT_REQUIRED", None),
    0x80042328: ("VSS_E_TRANSACTION_FREEZE_TIMEOUT", 600),
    0x80042329: ("VSS_E_TRANSACTION_THAW_TIMEOUT", 600),
    0x8004232C: ("VSS_E_NESTED_VOLUME_LIMIT", None),
    0x80042336: ("VSS_E_WRITERERROR_PARTIAL_FAILURE", None),
    0x800423F0: ("VSS_E_WRITERERROR_INCONSISTENTSNAPSHOT", None),
    0x800423F1: ("VSS_E_WRITERERROR_OUTOFRESOURCES", 600),
    0x800423F2: ("VSS_E_WRITERERROR_TIMEOUT", 600),
    0x800423F3: ("VSS_E_WRITERERROR_RETRYABLE", 600),
    0x800423F4: ("VSS_E_WRITERERROR_NONRETRYABLE", None),
    0x800423F5: ("VSS_E_WRITERERROR_RECOVERY_FAILED", None),
    0x800423FB: ("VSS_E_AUTORECOVERY_FAILED", None),
    0x800423FC: ("VSS_E_DYNAMIC_DISK_ERROR", None),
    0x80042409: ("VSS_E_WRITER_STATUS_NOT_AVAILABLE", 600),
    0x80004005: ("E_FAIL", None),
    0x80010108: ("RPC_E_DISCONNECTED", None),
    0x80040154: ("REGDB_E_CLASSNOTREG", None),
    0x80070002: ("ERROR_FILE_NOT_FOUND", None),
    0x80070005: ("E_ACCESSDENIED", None),
    0x8007000E: ("E_OUTOFMEMORY", None),
    0x80070015: ("ERROR_NOT_READY", None),
    0x80070057: ("E_INVALIDARG", None),
    0x80070070: ("ERROR_DISK_FULL", None),
    0x8007041D: ("ERROR_SERVICE_REQUEST_TIMEOUT", None),
    0x80070422: ("ERROR_SERVICE_DISABLED", None),
    0x80070424: ("ERROR_SERVICE_DOES_NOT_EXIST", None),
    0x8007045B: ("ERROR_SHUTDOWN_IN_PROGRESS", None),
    0x8007045D: ("ERROR_IO_DEVICE", None),
    0x800705AA: ("ERROR_NO_SYSTEM_RESOURCES", None),
    0x800705B4: ("ERROR_TIMEOUT", None),
    0x800706BA: ("RPC_S_SERVER_UNAVAILABLE", None),
    0x800706BE: ("RPC_S_CALL_FAILED", None),
    0x80080005: ("CO_E_SERVER_EXEC_FAILURE", None),
    0x8000FFFF: ("E_UNEXPECTED", None),
}
ALL = pytest.mark.parametrize("code", CODES, ids=lambda code: CODES[code][0])


def test_the_table_has_these_and_no_others():
    assert {code: (known.name, known.wait_s) for code, known in TABLE.items()} == CODES


@ALL
def test_a_create_that_fails_is_told_by_its_code_alone(code):
    name, wait_s = CODES[code]
    log = session_log(a_server(create_fails=(f"{code:x}", "-")))
    outcome = creation_of(read_log(log), [D, E])
    assert (outcome.kind, [known.name for known in outcome.hresults], outcome.wait_s) == ("failed", [name], wait_s)
    assert name in outcome.reason
    assert f"0x{code:08X}" in outcome.reason


@ALL
@pytest.mark.chapter("6.3.4 writer")
def test_a_writer_that_fails_is_told_by_its_code_alone(code):
    name, wait_s = CODES[code]
    server = a_server()
    writer = writer_of(server, "SqlServerWriter")
    writer.state, writer.failure = "9 (VSS_WS_FAILED_AT_FREEZE)", f"0x{code:08x} (-)"
    outcome = creation_of(read_log(session_log(server)), [D, E])
    assert (outcome.kind, [known.name for known in outcome.hresults]) == ("writers-failed", [name])
    assert outcome.wait_s == wait_s
    assert "SqlServerWriter (VSS_WS_FAILED_AT_FREEZE)" in outcome.reason


def test_an_unknown_code_keeps_the_name_that_windows_gave_it_and_promises_nothing():
    log = session_log(a_server(create_fails=("80042abc", "VSS_E_TOMORROW")))
    outcome = creation_of(read_log(log), [D, E])
    assert (outcome.kind, outcome.wait_s) == ("failed", None)
    assert "VSS_E_TOMORROW (0x80042ABC)" in outcome.reason
    assert hresult_of(0x80042ABC).name == "unknown"


REMEDIES = {
    0x80070422: ("a service that VSS needs is disabled", "COM+ Event System"),
    0x800706BA: ("a service that VSS needs cannot be reached", "restart"),
    0x80040154: ("a COM class that VSS needs is not registered", "Application event log"),
}


@pytest.mark.parametrize(("code", "words"), REMEDIES.items())
def test_an_error_of_windows_itself_has_its_meaning_and_a_remedy(code, words):
    outcome = creation_of(read_log(session_log(a_server(create_fails=(f"{code:x}", "-")))), [D, E])
    assert all(part in outcome.reason for part in words)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.chapter("6.3.4 writer")
def test_every_error_in_the_table_has_its_meaning_and_advice(code):
    assert "does not know" not in str(hresult_of(code))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (0x80070643, "'net helpmsg 1603' on the server says what Windows calls it"),
        (0x80042ABC, "no remedy is known: see the Application event log of the server"),
        (0x8004D02A, "no remedy is known: see the Application event log of the server"),
    ],
)
def test_an_error_that_is_not_known_says_so_plainly_and_where_to_look(code, advice):
    outcome = creation_of(read_log(session_log(a_server(create_fails=(f"{code:x}", "-")))), [D, E])
    assert f"unknown (0x{code:08X}): quiesce does not know this error; {advice}" in outcome.reason


def test_the_advice_quotes_microsoft_only_where_microsoft_advises():
    assert "Microsoft" in hresult_of(0x80042306).advice
    assert "Microsoft" not in hresult_of(0x80042328).advice
