"""Which servers a policy means: by examples, and against a second reading written without the first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy
from quiesce.policy.policy import Policy
from quiesce.policy.selection import Candidate
from quiesce.policy_run import resolving
from quiesce.policy_run.resolving import Target, resolve


def an_id(number: int) -> str:
    return f"i-{number:017x}"


def a_policy(*targets: dict[str, Any], **changes: Any) -> Policy:
    return read_policy({"name": "nightly", "targets": list(targets), **changes}, "here")


def a_server(number: int = 1, state: str = "running", *, windows: bool = True, recovery: str = "", **tags: str) -> Any:
    return Candidate(an_id(number), tags, state, windows, recovery)


NIGHTLY = {"tags": {"Backup": "nightly"}}
SQL = {"tags": {"Backup": "nightly", "Role": "sql"}}


def test_servers_are_chosen_by_id_and_by_all_of_their_tags() -> None:
    policy = a_policy({"instance_id": an_id(1)}, SQL)
    servers = [a_server(1), a_server(2, Backup="nightly", Role="sql"), a_server(3, Backup="nightly")]
    found = resolve(policy, servers)
    assert found.targets == [Target(an_id(1), 0), Target(an_id(2), 1)]
    assert (found.notes, found.warnings) == ([], [])


@pytest.mark.parametrize("value", ["Nightly", "nightly ", "night*", "", "n?ghtly"])
def test_a_tag_is_compared_letter_by_letter(value: str) -> None:
    assert resolve(a_policy(NIGHTLY), [a_server(Backup=value)]).targets == []
    assert resolve(a_policy({"tags": {"Backup": "night*"}}), [a_server(Backup="nightly")]).targets == []


PRECEDENCE = {
    "an id before tags": (
        (SQL, {"instance_id": an_id(1)}),
        1,
        "targets[1] counts, not targets[0], as it names the id: i-00000000000000001",
    ),
    "more tags before fewer": (
        (NIGHTLY, SQL),
        1,
        "targets[1] counts, not targets[0], as it asks for more tags: i-00000000000000001",
    ),
    "the order in the file": (
        ({"tags": {"Role": "sql"}}, NIGHTLY),
        0,
        "targets[0] counts, not targets[1], as it comes first: i-00000000000000001",
    ),
    "a tag that names policies is one tag": (
        ({"tag_key": "Policies"}, NIGHTLY),
        0,
        "targets[0] counts, not targets[1], as it comes first: i-00000000000000001",
    ),
}


@pytest.mark.parametrize(("targets", "entry", "note"), PRECEDENCE.values(), ids=PRECEDENCE)
def test_a_server_that_two_entries_mean_belongs_to_one_and_the_summary_says_why(
    targets: tuple[dict[str, Any], ...], entry: int, note: str
) -> None:
    found = resolve(a_policy(*targets), [a_server(Backup="nightly", Role="sql", Policies="nightly")])
    assert found.targets == [Target(an_id(1), entry)]
    assert found.notes == [note]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("nightly", True),
        ("weekly nightly", True),
        ("weekly,nightly, hourly", True),
        ("nightly2", False),
        ("no-backup", False),
        ("", False),
    ],
)
def test_a_servers_tag_names_its_policies(value: str, meant: bool) -> None:
    found = resolve(a_policy({"tag_key": "cpmbackup"}), [a_server(cpmbackup=value)])
    assert bool(found.targets) is meant


LEFT_OUT = {
    "no Windows": (a_server(windows=False, Backup="nightly"), "left out, no Windows server: i-00000000000000001"),
    "terminated": (a_server(state="terminated", Backup="nightly"), "left out, terminated: i-00000000000000001"),
    "going": (a_server(state="shutting-down", Backup="nightly"), "left out, terminated: i-00000000000000001"),
    "in recovery": (
        a_server(recovery="drill-7", Backup="nightly"),
        "left out, recovery drill-7 is still making it: i-00000000000000001",
    ),
}


@pytest.mark.parametrize(("server", "note"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_can_not_be_backed_up_is_left_out_with_one_note(server: Candidate, note: str) -> None:
    others = [a_server(2, Backup="nightly")]
    found = resolve(a_policy(NIGHTLY), [server, *others])
    assert found.targets == [Target(an_id(2), 0)]
    assert (found.notes, found.warnings) == ([note], [])
    alerted = resolve(a_policy(NIGHTLY, missing="alert"), [server, *others])
    assert (alerted.notes, alerted.warnings) == ([], [note])


def test_a_stopped_server_is_backed_up() -> None:
    assert resolve(a_policy(NIGHTLY), [a_server(state="stopped", Backup="nightly")]).targets


def test_an_id_that_ec2_does_not_know_and_tags_that_match_nothing_are_noted() -> None:
    policy = a_policy({"instance_id": an_id(9)}, SQL, {"tag_key": "cpmbackup"}, NIGHTLY)
    found = resolve(policy, [a_server(Backup="nightly")])
    assert found.notes == [
        "left out, EC2 does not know it: i-00000000000000009",
        "targets[1] (tags Backup=nightly, Role=sql) means no server",
        "targets[2] (tag_key cpmbackup) means no server",
    ]
    assert found.warnings == []


def test_a_policy_that_means_no_server_at_all_is_always_a_warning() -> None:
    found = resolve(a_policy(NIGHTLY), [a_server(Backup="weekly")])
    assert found.warnings == ["the policy means no server that can be backed up"]


def test_what_is_excluded_is_left_out_whatever_names_it_and_whatever_its_state_is() -> None:
    policy = a_policy(
        NIGHTLY, {"instance_id": an_id(3)}, exclude=[{"instance_id": an_id(1)}, {"tags": {"Stage": "test"}}]
    )
    servers = [
        a_server(1, Backup="nightly"),
        a_server(2, Backup="nightly", Stage="test"),
        a_server(3, Stage="test"),
        a_server(4, state="terminated", Backup="nightly", Stage="test"),
        a_server(5, Backup="nightly"),
    ]
    found = resolve(policy, servers)
    assert found.targets == [Target(an_id(5), 0)]
    assert found.notes == [
        "exclude[0] (i-00000000000000001) leaves out: i-00000000000000001",
        "exclude[1] (tags Stage=test) leaves out: i-00000000000000002, i-00000000000000003, i-00000000000000004",
    ]


def test_a_note_names_some_servers_and_counts_the_rest() -> None:
    servers = [a_server(number, windows=False, Backup="nightly") for number in range(12)]
    [note] = resolve(a_policy(NIGHTLY), servers).notes
    assert note.endswith("i-00000000000000004 and 7 more")


def test_more_servers_than_one_policy_run_has_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "MOST_TARGETS", 2)
    servers = [a_server(number, Backup="nightly") for number in range(3)]
    assert len(resolve(a_policy(NIGHTLY), servers[:2]).targets) == 2
    with pytest.raises(PolicyRefused, match=r"^targets: mean 3 servers, more than 2. Remedy: split the policy"):
        resolve(a_policy(NIGHTLY), servers)


REFUSED = {
    "no server": ([{}], {}, "targets[0]: {}: says no server: it needs 'instance_id', 'tags' or 'tag_key'"),
    "two ways": ([{**NIGHTLY, "tag_key": "x"}], {}, "has 'tags' and 'tag_key'; make an entry of each"),
    "no tags": ([{"tags": {}}], {}, "targets[0].tags: {}: must have 1 or more entries"),
    "a number": ([{"tags": {"Backup": 1}}], {}, "targets[0].tags: 1: must be text. Remedy: write it in quotes"),
    "a misspelling": (
        [{"tag": {"a": "b"}}],
        {},
        "targets[0].tag: is not a field that quiesce knows. Remedy: write 'tags'",
    ),
    "twice the same": ([NIGHTLY, NIGHTLY], {}, "two entries have tags Backup=nightly; make one of them"),
    "excluded and a target": (
        [NIGHTLY],
        {"exclude": [NIGHTLY]},
        "'exclude' has tags Backup=nightly, and so has 'targets'",
    ),
    "an unknown word": ([NIGHTLY], {"missing": "mail"}, "missing: 'mail': must be 'note' or 'alert'"),
    "too many at once": (
        [NIGHTLY],
        {"max_concurrency": 0},
        "max_concurrency: 0: must be a whole number from 1 to 1000",
    ),
    "settings that contradict": (
        [NIGHTLY, {**SQL, "evidence": "required", "vss": "off"}],
        {},
        "targets[1].evidence: there would be no shadow copies to look for",
    ),
}


@pytest.mark.parametrize(("targets", "changes", "words"), REFUSED.values(), ids=REFUSED)
def test_targets_that_make_no_sense_are_refused_with_their_field(
    targets: list[dict[str, Any]], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(PolicyRefused) as refused:
        a_policy(*targets, **changes)
    assert words in str(refused.value)


def test_settings_of_an_entry_by_tags_hold_for_its_servers() -> None:
    policy = a_policy(NIGHTLY, {**SQL, "consistency": "crash"}, defaults={"vss": "off"})
    [target] = resolve(policy, [a_server(Backup="nightly", Role="sql")]).targets
    settings = policy.settings_of(target.entry)
    assert (settings.vss, settings.consistency) == ("off", "crash")


# A second reading: it sorts what there is by hand, and shares nothing with the first.
KEYS, VALUES = ("Backup", "Role", "Names"), ("a", "b", "nightly", "nightly b")
TAGS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
ENTRY = st.one_of(
    st.integers(0, 5).map(lambda number: {"instance_id": an_id(number)}),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), min_size=1, max_size=3).map(lambda t: {"tags": t}),
    st.sampled_from(KEYS).map(lambda key: {"tag_key": key}),
)
SERVERS = st.lists(
    st.tuples(st.sampled_from(["running", "stopped", "terminated"]), st.booleans(), TAGS), min_size=1, max_size=6
)


def means(entry: dict[str, Any], server: Candidate) -> bool:
    if "tag_key" in entry:
        return "nightly" in server.tags.get(entry["tag_key"], "").split()
    if "tags" in entry:
        return set(entry["tags"].items()) <= set(server.tags.items())
    return bool(server.instance_id == entry["instance_id"])


def second_reading(policy: dict[str, Any], servers: list[Candidate]) -> dict[str, int]:
    found = {}
    for server in servers:
        out = server.state == "terminated" or not server.windows
        ranks = [
            ("instance_id" not in entry, -len(entry.get("tags", "x")), number)
            for number, entry in enumerate(policy["targets"])
            if means(entry, server)
        ]
        if ranks and not out and not any(means(entry, server) for entry in policy["exclude"]):
            found[server.instance_id] = min(ranks)[2]
    return found


def in_order(entry: dict[str, Any]) -> str:
    return str(sorted(entry["tags"].items()) if "tags" in entry else entry)


@given(
    targets=st.lists(ENTRY, min_size=1, max_size=5, unique_by=in_order),
    excluded=st.lists(ENTRY, max_size=2),
    described=SERVERS,
)
def test_a_second_reading_chooses_the_same_servers_and_entries(
    targets: list[Any], excluded: list[Any], described: list[Any]
) -> None:
    document = {"name": "nightly", "targets": targets, "exclude": [entry for entry in excluded if entry not in targets]}
    policy = Policy.model_validate(document)
    servers = [Candidate(an_id(n), tags, state, windows) for n, (state, windows, tags) in enumerate(described)]
    found = resolve(policy, reversed(servers))
    assert {target.instance_id: target.entry for target in found.targets} == second_reading(document, servers)
    assert [target.instance_id for target in found.targets] == sorted(t.instance_id for t in found.targets)
