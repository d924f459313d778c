"""The outcome of a session's shadow copies: good only if the whole log shows it; each failure has its own kind."""

import dataclasses

import pytest

from quiesce.vss.log import Step, read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.script import SYSTEM_PROVIDER
from tests.support.shadow_session import AWS_PROVIDER, C, D, E, a_server, session_log, writer_of

TIMED_OUT = ("9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)")
HOPELESS = ("10 (VSS_WS_FAILED_AT_THAW)", "0x800423f4 (VSS_E_WRITERERROR_NONRETRYABLE)")


def outcome_of(log, volumes=(D, E)):
    return creation_of(read_log(log), volumes)


def edited(old, new, times=-1):
    log = session_log(a_server())
    assert old.encode() in log
    return log.replace(old.encode(), new.encode(), times)


def failing(**writers):
    server = a_server()
    for name, (state, failure) in writers.items():
        writer = writer_of(server, name.replace("_", " "))
        writer.state, writer.failure = state, failure
    return session_log(server, (C, D, E))


def test_a_good_session_is_good():
    outcome = outcome_of(session_log(a_server()))
    assert (outcome.kind, outcome.hresults, outcome.wait_s) == ("created", (), None)


def test_a_good_session_names_the_applications_that_were_not_at_rest():
    log = read_log(session_log(a_server(), (D,)))
    assert [writer.name for writer in log.incomplete] == ["ASR Writer", "System Writer", "SqlServerWriter"]
    outcome = creation_of(log, [D])
    assert outcome.kind == "created"
    assert r"SqlServerWriter (\ORDERS\book)" in outcome.reason


def test_it_is_still_good_once_the_backup_has_ended_badly():
    log = session_log(a_server(), hold=lambda _: 1)
    assert outcome_of(log).kind == "created"
    assert ending_of(read_log(log)) == "aborted"


def test_while_it_is_held_it_is_good_and_nobody_was_told():
    log = session_log(a_server())
    held = read_log(log[: log.index(b"-> end backup")])
    assert (creation_of(held, [D, E]).kind, ending_of(held)) == ("created", "held")


@pytest.mark.parametrize("log", [b"", b"\0\xff" * 50, b"Access is denied.", b"\r\n\r\n"])
def test_a_log_without_a_command_is_unreadable(log):
    assert outcome_of(log).kind == "unreadable"


def test_a_log_that_ends_in_create_is_cut_and_quotes_its_end():
    log = session_log(a_server())
    outcome = outcome_of(log[: log.index(b"Alias shadow1")])
    assert outcome.kind == "cut"
    assert "ORDERS" in outcome.reason


@pytest.mark.parametrize(
    ("line", "taken_as"),
    [
        ("set context persistent", "set contex persistent\r\n\r\nSET"),
        ("begin backup", "begin backup\r\nBEGIN { BACKUP | RESTORE }"),
        ("set verbose on", "# set verbose on\r\n\r\nNo such command."),
        ("set verbose on", "set metadata on\r\n\r\nSET METADATA ...\r\n        ..."),
    ],
)
def test_a_line_that_diskshadow_took_for_another_is_named(line, taken_as):
    outcome = outcome_of(edited(f"-> {line}\r\n", f"-> {taken_as}\r\n"))
    assert outcome.kind == "line-refused"
    assert repr(taken_as.partition("\r")[0]) in outcome.reason


def test_a_file_that_is_replaced_is_no_line_that_was_refused():
    metadata = "writers.cab\r\n-> begin backup"
    assert outcome_of(edited(metadata, metadata.replace("-> ", "Die Datei wird ersetzt.\r\n-> "))).kind == "created"


def test_a_create_that_made_nothing_and_says_no_code_has_failed():
    log = session_log(a_server())
    outcome = outcome_of(log[: log.index(b"Alias shadow1")] + b"Nichts geht mehr.\r\n-> exit\r\n")
    assert (outcome.kind, outcome.wait_s) == ("failed", None)
    assert "Nichts geht mehr." in outcome.reason


def test_two_sets_are_told_apart_from_one():
    log = session_log(a_server())
    create = log[log.index(b"-> create") : log.index(b"-> list writers status")]
    other = create.replace(b"-000000000001}", b"-00000000000a}")
    assert outcome_of(log.replace(create, create + other)).kind == "two-sets"


@pytest.mark.parametrize("volumes", [(D,), (C, D, E), (C, D)])
def test_other_volumes_than_wanted_are_wrong(volumes):
    outcome = outcome_of(session_log(a_server()), volumes)
    assert outcome.kind == "wrong-volumes"
    assert E.lower() in outcome.reason


def test_a_volume_is_the_same_in_any_case():
    assert outcome_of(session_log(a_server()), (E.upper(), D.upper())).kind == "created"


@pytest.mark.chapter("6.3.1 requestor")
def test_another_providers_shadow_copy_is_not_ours():
    outcome = outcome_of(edited(f"Provider ID: {SYSTEM_PROVIDER}", f"Provider ID: {AWS_PROVIDER}"))
    assert outcome.kind == "wrong-kind"
    assert AWS_PROVIDER in outcome.reason


@pytest.mark.parametrize(
    "attributes",
    [
        "No_Auto_Release Persistent No_Writers Differential",
        "Differential",
        "Persistent Differential",
        "Client_Accessible",
    ],
)
def test_a_shadow_copy_that_is_not_persistent_or_without_writers_is_of_the_wrong_kind(attributes):
    assert outcome_of(edited("No_Auto_Release Persistent Differential", attributes, 1)).kind == "wrong-kind"


def test_attributes_in_another_language_are_left_to_windows_itself():
    assert outcome_of(edited("No_Auto_Release Persistent Differential", "Dauerhaft")).kind == "created"


def test_a_writer_that_timed_out_is_worth_ten_minutes():
    outcome = outcome_of(failing(SqlServerWriter=TIMED_OUT), (C, D, E))
    assert (outcome.kind, outcome.wait_s) == ("writers-failed", 600)
    assert "SqlServerWriter (VSS_WS_FAILED_AT_FREEZE): VSS_E_WRITERERROR_TIMEOUT (0x800423F2)" in outcome.reason


def test_if_one_of_two_writers_failed_for_good_no_wait_is_worth_it():
    outcome = outcome_of(failing(SqlServerWriter=TIMED_OUT, System_Writer=HOPELESS), (C, D, E))
    assert (outcome.kind, outcome.wait_s) == ("writers-failed", None)
    assert [known.name for known in outcome.hresults] == [
        "VSS_E_WRITERERROR_NONRETRYABLE",
        "VSS_E_WRITERERROR_TIMEOUT",
    ]


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        ("5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)", "0x800423f3 (VSS_E_WRITERERROR_RETRYABLE)"),
        ("12 (VSS_WS_FAILED_AT_BACKUP_COMPLETE)", "0x00000000 (S_OK)"),
    ],
)
def test_a_writers_state_and_its_code_must_both_be_good(state, failure):
    assert outcome_of(failing(SqlServerWriter=(state, failure)), (C, D, E)).kind == "writers-failed"


def test_a_writer_that_took_part_and_is_stable_has_not_failed():
    outcome = outcome_of(failing(SqlServerWriter=("1 (VSS_WS_STABLE)", "0x00000000 (S_OK)")), (C, D, E))
    assert outcome.kind == "created"


@pytest.mark.parametrize("state", ["2 (VSS_WS_WAITING_FOR_FREEZE)", "0 (VSS_WS_UNKNOWN)", "17 (VSS_WS_TOMORROW)"])
def test_a_writer_in_the_middle_of_something_is_unsettled(state):
    outcome = outcome_of(failing(SqlServerWriter=(state, "0x00000000 (S_OK)")), (C, D, E))
    assert (outcome.kind, outcome.wait_s) == ("writers-unsettled", None)
    assert "SqlServerWriter" in outcome.reason


def test_a_writer_that_was_dropped_may_be_in_any_state():
    stable = '* WRITER "System Writer"\r\n        - Status: 1 (VSS_WS_STABLE)'
    assert (
        outcome_of(edited(stable, stable.replace("1 (VSS_WS_STABLE)", "6 (VSS_WS_FAILED_AT_IDENTIFY)"))).kind
        == "created"
    )


def test_a_writer_of_which_a_component_was_dropped_still_counts():
    dropped = 'Component "\\ORDERS\\archive" from writer "SqlServerWriter" is excluded from backup,\r\n* Including'
    log = edited("* Including", dropped).replace(b"5 (VSS_WS_WAITING_FOR_BACKUP_COMPLETE)", TIMED_OUT[0].encode())
    writer = next(one for one in read_log(log).writers if one.name == "SqlServerWriter")
    assert (writer.included, writer.dropped_components) == (True, (r"\ORDERS\archive",))
    assert outcome_of(log).kind == "writers-failed"


@pytest.mark.parametrize("listed", ["5 writers listed.", "No writers listed."])
def test_writers_that_are_missing_in_the_list_are_missed(listed):
    assert outcome_of(edited("4 writers listed.", listed)).kind == "cut"


def test_an_end_that_was_not_taken_as_such_told_nobody():
    log = read_log(edited("-> end backup\r\n", "-> end backu\r\n\r\nEND { BACKUP | RESTORE }\r\n"))
    assert ending_of(log) == "not-told"
    log = read_log(edited("-> end backup\r\n", "-> end backup\r\nThe last operation failed.\r\n"))
    assert ending_of(log) == "not-told"


def test_an_end_that_was_begun_when_the_log_ends_is_nobodys_knowledge():
    log = session_log(a_server())
    assert ending_of(read_log(log[: log.index(b"-> exit")])) == "ending"


def test_what_a_started_program_prints_is_no_failure_of_diskshadows():
    log = read_log(edited("-> end backup", "error 0x80070005\r\n-> end backup"))
    assert log.failures == ()
    assert creation_of(log, [D, E]).kind == "created"


def test_a_call_that_failed_is_no_writers_name():
    call = 'COM call "(*vssObject)->DoSnapshotSet" failed.'
    log = session_log(a_server())
    log = read_log(log[: log.index(b"Alias shadow1")] + call.encode())
    assert "(*vssObject)->DoSnapshotSet" not in [writer.name for writer in log.writers]
    assert "DoSnapshotSet" in creation_of(log, [D, E]).reason


def test_an_id_that_has_one_digit_is_no_number_of_shadow_copies():
    log = read_log(
        session_log(a_server()).replace(b"80042301-0000-0000-0000-00000000000", b"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee")
    )
    assert [copy.copies_in_set for copy in log.shadow_copies] == [2, 2]


def test_a_failure_after_the_hold_says_nothing_against_the_shadow_copies():
    log = read_log(edited("-> exit", "        - Returned HRESULT: 80042301\r\n-> exit"))
    assert creation_of(log, [D, E]).kind == "created"
    assert ending_of(log) == "not-told"


def test_a_shadow_copy_that_lacks_any_part_is_not_whole():
    log = read_log(session_log(a_server()))
    for part in ("set_id", "volume", "device", "provider"):
        copies = (dataclasses.replace(log.shadow_copies[0], **{part: ""}), *log.shadow_copies[1:])
        assert creation_of(dataclasses.replace(log, shadow_copies=copies), [D, E]).kind == "cut"
    assert creation_of(dataclasses.replace(log, shadow_copies=log.shadow_copies[:1]), [D]).kind == "cut"


def test_a_step_knows_its_command_in_any_case():
    assert Step("END Backup").begins("end backup")
    assert not Step("end backu").begins("end backup")
