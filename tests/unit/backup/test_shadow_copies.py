"""An attempt's shadow copies: good only if the session's state, Windows and DiskShadow's log all say so."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup.shadow_copies import ending_words, log_of, outcome_of
from quiesce.backup.shadow_problems import KILLED, TOO_SLOW, ending_problems, has_good_shadow_copies, thaw_problems
from quiesce.backup.state import Retrying
from quiesce.guest.answers import Answer
from quiesce.guest.sessions import GuestShadowCopy, Session, Shadow, ShadowStorage
from quiesce.points.parts import ShadowOutcome
from quiesce.vss.log import Log, read_log
from quiesce.vss.plan import ShadowPlan, ShadowVolume
from quiesce.vss.script import SYSTEM_PROVIDER
from quiesce.vss.writers import SYSTEM_WRITER, WINDOWS_WRITERS
from sandbox.windows.vss import Server, VssWriter
from tests.support.factories.run import a_freeze, a_plan, a_session, a_state, a_thaw
from tests.support.shadow_session import SQL_WRITER, C, D, E, a_server, session_log, writer_of

VOLUMES = {"D:": D, "E:": E}
PLAN = ShadowPlan(
    volumes=[ShadowVolume(volume_guid=guid, path=path, volume_id="") for path, guid in VOLUMES.items()],
    homes=sorted(guid.lower() for guid in (C, D, E)),
)


def made(change: Callable[[Server], object] = lambda server: None, excluded: Sequence[str] = ()) -> tuple[Log, Shadow]:
    """The log of a session with the real script on the modelled server, and what Windows lists after the thaw."""
    server = a_server()
    before = set(server.shadow_copies)
    change(server)
    log = read_log(session_log(server, excluded=excluded))
    copies = [copy for copy in server.shadow_copies if copy not in before]
    return log, a_shadow(
        set_id=copies[0].set_id if copies else None,
        copies=[
            GuestShadowCopy(
                id=copy.shadow_id.upper(),  # CIM and DiskShadow differ in case
                set_id=copy.set_id.upper(),
                volume_guid=copy.volume,
                device_object=None,
                provider_id=copy.provider,
                persistent=True,
                client_accessible=False,
                no_auto_release=True,
                no_writers=False,
            )
            for copy in copies
        ],
    )


def a_shadow(**changes: Any) -> Shadow:
    fields = {
        "reason": "",
        "process_id": 42,
        "started_ticks": 1,
        "exit_code": None,
        "started_ms": 1,
        "created_ms": 2,
        "ended_ms": 0,
        "set_id": None,
        "copies": [],
        "storage": [
            ShadowStorage(volume_guid=v, storage_guid=v, used_bytes=1, allocated_bytes=2, max_bytes=3) for v in (D, E)
        ],
        "deleted": None,
    }
    return Shadow.model_validate({**fields, **changes})


def judged(shadow: Shadow | None, log: Log | None, **writers: list[str]) -> ShadowOutcome:
    return outcome_of(a_session(shadow=shadow), log, PLAN.model_copy(update=writers))


def test_copies_that_the_log_shows_are_good_before_windows_is_asked() -> None:
    log, shadow = made()
    outcome = judged(shadow.model_copy(update={"copies": None, "storage": None}), log)
    assert (outcome.good, outcome.kind, outcome.wait_s) == (True, "created", None)
    assert [(copy.path, copy.volume_guid) for copy in outcome.copies] == [("D:", D.lower()), ("E:", E.lower())]
    assert {copy.shadow_id for copy in outcome.copies} == {copy.shadow_id for copy in log.shadow_copies}
    assert outcome.writers == ["SqlServerWriter"]


def test_a_copy_has_its_storage_for_a_recovery_once_the_thaw_has_told_it() -> None:
    log, shadow = made()
    frozen = a_freeze(shadow=judged(shadow.model_copy(update={"copies": None, "storage": None}), log))
    state = a_state(plan=a_plan(), freeze=frozen, thaw=a_thaw(session=a_session("thawed", shadow=shadow)))
    assert state.shadow
    assert [copy.storage_guid for copy in state.shadow.copies] == [D.lower(), E.lower()]


SQL = f"{{{SQL_WRITER}}}"
ABSENT = "{00000000-0000-0000-0000-000000000001}"
ASR = "{be000cbe-11fe-4426-9c58-531aa6355fc4}"
FAILED_WRITER = {"state": "9 (VSS_WS_FAILED_AT_FREEZE)", "failure": "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)"}


def fail_sql(server: Server) -> None:
    for name, value in FAILED_WRITER.items():
        setattr(writer_of(server, "SqlServerWriter"), name, value)


def test_a_writer_that_the_policy_excludes_takes_no_part_and_its_failure_is_of_no_account() -> None:
    log, shadow = made(fail_sql, excluded=[SQL])
    outcome = judged(shadow, log, excluded_writers=[SQL])
    assert outcome.good
    assert outcome.writers == []
    assert any("SqlServerWriter is excluded by the policy" in note for note in outcome.notes)


def test_a_writer_that_fails_counts_unless_it_is_the_one_that_is_excluded() -> None:
    log, shadow = made(fail_sql)
    assert judged(shadow, log, excluded_writers=[ASR]).kind == "writers-failed"


@pytest.mark.chapter("6.3.3 verify")
def test_a_writer_that_the_policy_requires_must_have_taken_part() -> None:
    log, shadow = made()
    assert judged(shadow, log, required_writers=[SQL]).good
    outcome = judged(shadow, log, required_writers=[SQL, ASR])
    assert not outcome.good
    assert outcome.reason == "writer ASR Writer, which the policy requires, took no part"


def test_a_required_writer_that_the_server_does_not_have_is_missed_by_its_id() -> None:
    log, shadow = made()
    assert ABSENT in judged(shadow, log, required_writers=[ABSENT]).reason


def in_part(log: Log, name: str) -> Log:
    """The same log, in which a component of a writer that took part was dropped."""
    writers = [replace(w, dropped_components=(r"\ORDERS\archive",)) if w.name == name else w for w in log.writers]
    return replace(log, writers=tuple(writers))


def test_a_writer_that_the_policy_requires_must_have_taken_part_with_all_its_components() -> None:
    log, shadow = made()
    outcome = judged(shadow, in_part(log, "SqlServerWriter"), required_writers=[SQL])
    assert not outcome.good
    assert "writer SqlServerWriter, which the policy requires, took no part" in outcome.reason


def test_an_applications_writer_that_took_part_without_one_of_its_components_was_not_at_rest() -> None:
    log, shadow = made()
    outcome = judged(shadow, in_part(log, "SqlServerWriter"))
    assert not outcome.good
    assert outcome.writers == ["SqlServerWriter"]
    assert "SqlServerWriter was not frozen" in outcome.reason


def changed(copy: GuestShadowCopy, **changes: Any) -> GuestShadowCopy:
    return copy.model_copy(update=changes)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another set": ({"set_id": "{00000000-0000-0000-0000-000000000000}"}, "different shadow sets"),
    "no set": ({"set_id": None}, "different shadow sets"),
    "never held": ({"created_ms": 0}, "DiskShadow ended before it held"),
    "ended early": ({"reason": "EndedEarly"}, "DiskShadow ended before it held"),
    "killed": ({"reason": "Lost"}, KILLED),
    "not started": ({"reason": "NotStarted: access denied"}, "NotStarted: access denied"),
    "the runner was lost": ({"reason": "RunnerLost"}, "lost its runner"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_whatever_speaks_against_a_copy_at_the_freeze_makes_it_bad_and_is_named(
    change: dict[str, Any], words: str
) -> None:
    log, shadow = made()
    outcome = judged(shadow.model_copy(update=change), log)
    assert not outcome.good
    assert words in outcome.reason
    assert outcome.wait_s is None


def test_without_its_log_nothing_is_good() -> None:
    assert judged(made()[1], None).kind == "unreadable"


def test_a_session_without_shadow_copies_is_not_good() -> None:
    assert judged(None, None).kind == "not-asked"


def test_a_create_that_took_too_long_is_worth_another_try() -> None:
    outcome = judged(a_shadow(reason="TimedOut", created_ms=0), None)
    assert (outcome.good, outcome.reason, outcome.wait_s) == (False, TOO_SLOW, 600)


def test_a_writer_that_timed_out_is_worth_another_try() -> None:
    def fail(server: Server) -> None:
        writer = writer_of(server, "SqlServerWriter")
        writer.state, writer.failure = "9 (VSS_WS_FAILED_AT_FREEZE)", "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)"

    log, shadow = made(fail)
    outcome = judged(shadow, log)
    assert (outcome.good, outcome.kind, outcome.hresults, outcome.wait_s) == (
        False,
        "writers-failed",
        ["0x800423F2"],
        600,
    )


def test_a_create_that_windows_refused_says_why_and_when_to_try_again() -> None:
    def refuse(server: Server) -> None:
        server.create_fails = ("80042316", "VSS_E_SNAPSHOT_SET_IN_PROGRESS")

    log, shadow = made(refuse)
    outcome = judged(shadow.model_copy(update={"reason": "EndedEarly", "created_ms": 0}), log)
    assert (outcome.kind, outcome.hresults, outcome.wait_s) == ("failed", ["0x80042316"], 30)


def test_an_applications_writer_with_data_elsewhere_was_not_at_rest() -> None:
    def spread(server: Server) -> None:
        writer_of(server, "SqlServerWriter").needs = frozenset({C, D})

    log, shadow = made(spread)
    outcome = judged(shadow, log)
    assert not outcome.good
    assert "SqlServerWriter was not frozen" in outcome.reason


def test_windows_own_writers_that_take_no_part_are_noted_only() -> None:
    outcome = judged(*made()[::-1])
    assert outcome.good
    assert any("ASR Writer" in note for note in outcome.notes)


LEFT_OUT = {"homes": [D.lower(), E.lower()], "elsewhere": {C.lower(): "C:"}}
DHCP, NTDS = "{be9ac81e-3619-421f-920f-4c6fea9e93ad}", "{b2014c9e-8711-4c5c-a5a9-3cf384484757}"


def with_component(name: str, writer_id: str, component: str, volume: str) -> Callable[[Server], object]:
    """A server that also has this writer, with data on D: and on another volume."""
    components = (r"\data", component)
    writer = VssWriter(name, writer_id, components, component_needs={component: frozenset({volume})})
    return lambda server: server.writers.append(writer)


def judged_without_c(log: Log, shadow: Shadow, **changes: Any) -> ShadowOutcome:
    return outcome_of(a_session(shadow=shadow), log, PLAN.model_copy(update=LEFT_OUT | changes))


def test_a_component_on_a_volume_that_the_policy_leaves_out_is_no_problem_and_noted() -> None:
    def master_on_c(server: Server) -> None:
        sql = writer_of(server, "SqlServerWriter")
        sql.components, sql.component_needs = (*sql.components, r"\ORDERS\master"), {r"\ORDERS\master": frozenset({C})}

    outcome = judged_without_c(*made(master_on_c))
    assert outcome.good
    assert outcome.writers == ["SqlServerWriter"]
    words = r"writer SqlServerWriter: \ORDERS\master needs C:\, which is not in the backup: it was not frozen"
    assert words in outcome.notes


@pytest.mark.parametrize("required", [[SQL], []])
def test_a_component_on_a_volume_that_vss_leaves_out_is_noted_and_costs_a_required_writer(required: list[str]) -> None:
    log, shadow = made(lambda server: setattr(writer_of(server, "SqlServerWriter"), "needs", frozenset({C, D})))
    plan = PLAN.model_copy(update={"left_out": ["C:"], "required_writers": required})
    outcome = outcome_of(a_session(shadow=shadow), log, plan)
    assert outcome.good is not bool(required)
    words = "of which the policy wants no shadow copy: it was not frozen"
    assert any(note.startswith("writer SqlServerWriter: ") and note.endswith(words) for note in outcome.notes)


@pytest.mark.parametrize("required", [[SQL], []])
def test_a_required_writer_is_missed_if_a_component_lies_outside_of_the_backup(required: list[str]) -> None:
    log, shadow = made(lambda server: setattr(writer_of(server, "SqlServerWriter"), "needs", frozenset({C, D})))
    assert judged_without_c(log, shadow, required_writers=required).good is not bool(required)


def test_a_component_on_a_chosen_volume_that_took_no_part_is_a_problem() -> None:
    log, shadow = made(with_component("Shop Writer", ABSENT, r"\ledger", C))
    outcome = judged(shadow, log)
    assert not outcome.good
    assert outcome.reason == r"Shop Writer was not frozen: \ledger needs a volume of which no shadow copy was made"


@pytest.mark.parametrize(
    ("name", "writer_id", "good"),
    [
        ("Dhcp Jet Writer", DHCP, True),
        ("Dhcp Jet Writer", ABSENT, False),
        ("NTDS", NTDS, False),
        ("Microsoft Exchange Writer", "{76fe1ac4-15f7-4bcd-987e-8e1acb462fb7}", False),
    ],
)
def test_where_no_volume_is_shown_microsofts_list_of_ids_decides(name: str, writer_id: str, *, good: bool) -> None:
    log, shadow = made(with_component(name, writer_id, r"\elsewhere", "hidden"))
    outcome = judged_without_c(log, shadow)
    assert outcome.good is good
    assert f"writer {name} took no part, or not with all its data" in outcome.notes
    assert (f"{name} was not frozen" in outcome.reason) is not good


def test_a_dropped_writer_that_windows_does_not_list_counts_as_an_application() -> None:
    log, shadow = made(with_component("Dhcp Jet Writer", DHCP, r"\elsewhere", "hidden"))
    statuses = tuple(status for status in log.statuses if status.writer_id != DHCP)
    log = replace(log, statuses=statuses, writers_listed=len(statuses))
    assert "Dhcp Jet Writer was not frozen" in judged_without_c(log, shadow).reason


def test_a_policy_of_data_volumes_alone_is_consistent_on_a_server_with_roles() -> None:
    def with_roles(server: Server) -> None:
        server.writers += [
            VssWriter(name, writer_id, (rf"\{name}",), frozenset({C})) for writer_id, name in WINDOWS_WRITERS.items()
        ]
        server.writers.append(VssWriter("NTDS", NTDS, (r"\ntds",), frozenset({C})))

    outcome = judged_without_c(*made(with_roles))
    assert outcome.good
    assert len([note for note in outcome.notes if "needs C:" in note]) > 30


# ---- Writers that are not there --------------------------------------------------------------------------------------


def without(*names: str) -> Callable[[Server], object]:
    """A server without these writers; without any name, without all."""
    return lambda server: setattr(
        server, "writers", [writer for writer in server.writers if names and writer.name not in names]
    )


def test_where_windows_lists_no_writer_nothing_was_frozen() -> None:
    log, shadow = made(without())
    assert (log.writers_listed, log.statuses) == (0, ())
    outcome = judged(shadow, log, excluded_writers=[SYSTEM_WRITER])
    assert not outcome.good
    assert outcome.reason.startswith("Windows lists no writer: no application was frozen")


def test_a_server_whose_system_writer_is_missing_has_broken_writers_unless_the_policy_excludes_it() -> None:
    log, shadow = made(without("System Writer"))
    outcome = judged(shadow, log)
    assert (outcome.good, outcome.kind) == (False, "wanting")
    assert outcome.reason.startswith("Windows does not list its System Writer")
    assert judged(shadow, log, excluded_writers=[SYSTEM_WRITER]).good


def test_a_writer_of_the_last_good_run_that_is_gone_is_noted_and_no_problem() -> None:
    log, shadow = made(without("SqlServerWriter"))
    outcome = judged(shadow, log, known_writers=["SqlServerWriter", "System Writer"])
    assert outcome.good
    assert outcome.gone_writers == ["SqlServerWriter"]
    [note] = [note for note in outcome.notes if "last good run" in note]
    assert note.startswith("SqlServerWriter took part in this policy's last good run on this server, and is gone")


def test_a_writer_that_is_there_but_has_nothing_to_freeze_any_more_is_gone_all_the_same() -> None:
    log, shadow = made(lambda server: setattr(writer_of(server, "SqlServerWriter"), "components", ()))
    assert judged(shadow, log, known_writers=["SqlServerWriter"]).gone_writers == ["SqlServerWriter"]


@pytest.mark.parametrize("excluded", [[], [SQL]])
def test_a_writer_that_took_part_or_that_the_policy_excludes_now_is_not_gone(excluded: list[str]) -> None:
    log, shadow = made(excluded=excluded)
    known = ["SqlServerWriter", "System Writer"]  # the second is dropped, and noted as such
    outcome = judged(shadow, log, known_writers=known, excluded_writers=excluded)
    assert outcome.gone_writers == []
    assert not [note for note in outcome.notes if "last good run" in note]


# ---- The log's transport ---------------------------------------------------------------------------------------------


def an_answer_with(log: str | None, *, cut: bool = False) -> Answer:
    return Answer(quiesce=1, ok=True, disk_shadow_log=log, disk_shadow_log_cut=cut)


def test_a_log_comes_as_it_was_written() -> None:
    data = session_log(a_server()) + b"\x84 in the server's own code page"
    assert log_of(an_answer_with(data.decode("latin-1"))) == read_log(data)


@pytest.mark.parametrize("data", [None, "\u20ac is no byte"])
def test_a_log_that_is_missing_or_not_one_of_bytes_is_none(data: str | None) -> None:
    assert log_of(an_answer_with(data)) is None


def test_a_log_that_was_cut_is_none() -> None:
    assert log_of(an_answer_with(session_log(a_server()).decode("latin-1"), cut=True)) is None


@given(st.text(max_size=200))
def test_whatever_the_server_sends_as_a_log_is_read_or_none(data: str) -> None:
    log_of(an_answer_with(data))


# ---- Until the thaw, and the end -------------------------------------------------------------------------------------


def thawed(**changes: Any) -> tuple[Session, ShadowOutcome]:
    log, shadow = made()
    return a_session("thawed", shadow=shadow.model_copy(update=changes)), judged(shadow, log)


def test_copies_that_were_there_after_the_snapshots_have_no_problem() -> None:
    assert thaw_problems(*thawed(), PLAN) == []


Listed = list[GuestShadowCopy]
AT_THAW: dict[str, tuple[Callable[[Listed], Listed], str]] = {
    "one is gone": (lambda c: c[:1], "the shadow copies of E: were gone after the snapshots"),
    "all are gone": (lambda c: [], "the shadow copies of D:, E: were gone after the snapshots"),
    "not persistent": (lambda c: [changed(c[0], persistent=False), c[1]], "persistent"),
    "nobody says so": (lambda c: [changed(c[0], persistent=None), c[1]], "persistent"),
    "without writers": (lambda c: [changed(c[0], no_writers=True), c[1]], "with writers"),
    "client-accessible": (lambda c: [changed(c[0], client_accessible=True), c[1]], "Windows does not list"),
    "another provider": (lambda c: [changed(c[0], provider_id=None), c[1]], "System Provider"),
    "another volume": (lambda c: [changed(c[0], volume_guid=C), c[1]], "or of other volumes"),
    "another set": (lambda c: [changed(c[0], set_id="{0}"), c[1]], "DiskShadow made"),
    "one more": (lambda c: [*c, changed(c[0], id="{1}")], "DiskShadow made"),
}


@pytest.mark.parametrize(("change", "words"), AT_THAW.values(), ids=AT_THAW)
def test_whatever_windows_says_against_a_copy_after_the_thaw_is_named(
    change: Callable[[Listed], Listed], words: str
) -> None:
    session, outcome = thawed()
    assert session.shadow
    assert session.shadow.copies
    session, _ = thawed(copies=change(session.shadow.copies))
    [problem] = thaw_problems(session, outcome, PLAN)
    assert words in problem


def test_shadow_storage_on_a_volume_that_the_policy_leaves_out_would_be_lost() -> None:
    session, outcome = thawed()
    assert session.shadow
    assert session.shadow.storage
    first, second = session.shadow.storage
    session, _ = thawed(storage=[first, second.model_copy(update={"storage_guid": C})])
    left_out = PLAN.model_copy(update={"homes": [D.lower(), E.lower()], "elsewhere": {C.lower(): "C:"}})
    [problem] = thaw_problems(session, outcome, left_out)
    assert problem == "the shadow storage of E: is on C:, which is not in the backup: it would be lost"


def test_shadow_storage_of_which_windows_says_nothing_is_a_problem() -> None:
    session, outcome = thawed(storage=[])
    problems = thaw_problems(session, outcome, PLAN)
    assert problems == [f"Windows does not say where the shadow storage of {path} is" for path in ("D:", "E:")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"copies": None}, "it is not known"), ({"reason": "Lost"}, KILLED), ({"reason": "RunnerLost"}, "lost its")],
)
def test_what_nobody_saw_or_was_lost_is_a_problem(changes: dict[str, Any], words: str) -> None:
    [problem] = thaw_problems(*thawed(**changes), PLAN)
    assert words in problem


def test_a_session_that_forgot_its_copies_is_a_problem() -> None:
    assert thaw_problems(a_session("thawed"), thawed()[1], PLAN) != []


def test_an_end_that_the_log_shows_is_good() -> None:
    session, _ = thawed(deleted=True)
    assert ending_words(read_log(session_log(a_server()))) == "completed"
    assert ending_problems(session, "completed") == []


@pytest.mark.parametrize("ending", ["", "ending", "not-told", "aborted", "held", "not-held"])
def test_an_end_that_the_log_does_not_show_is_a_problem(ending: str) -> None:
    [problem] = ending_problems(thawed(deleted=True)[0], ending)
    assert problem.startswith("the writers were not told")


def test_an_end_that_the_session_denies_is_a_problem_whatever_the_log_says() -> None:
    [problem] = ending_problems(thawed(reason="EndTimedOut")[0], "completed")
    assert "DiskShadow did not end" in problem


def test_copies_that_are_left_on_the_server_are_told() -> None:
    assert ending_problems(thawed(deleted=False)[0], "completed") == [
        "the shadow copies were not deleted on the server"
    ]


def test_nothing_said_of_the_end_is_a_problem() -> None:
    assert ending_problems(None, "completed") != []


def test_good_copies_of_an_attempt_that_was_given_up_are_none() -> None:
    outcome = thawed()[1]
    state = a_state(plan=a_plan(), freeze=a_freeze(shadow=outcome))
    assert has_good_shadow_copies(state)
    assert not has_good_shadow_copies(state.model_copy(update={"retrying": Retrying(attempt=1)}))
    bad = outcome.model_copy(update={"good": False})
    assert not has_good_shadow_copies(a_state(freeze=a_freeze(shadow=bad)))


def test_the_provider_that_is_asked_for_is_the_one_that_is_checked() -> None:
    _log, shadow = made()
    assert {copy.provider_id for copy in shadow.copies or []} == {SYSTEM_PROVIDER}
