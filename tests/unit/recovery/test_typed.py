"""What people type at three in the morning: ids in any case, keys and URLs, times in every form, names of servers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from quiesce.errors import RecoveryRefused
from quiesce.recovery.input import id_of, is_dry_run, read_recovery_request
from quiesce.recovery.servers import NAMED_SERVERS, listed, named
from tests.support.factories.run import INSTANCE

OTHER = "i-0fedcba9876543210"
NAMES = {INSTANCE: "FILES01", OTHER: "SQL01"}


def read(zone: str = "Europe/Berlin", **raw: Any) -> Any:
    return read_recovery_request(raw, zone)


def refusal(zone: str = "Europe/Berlin", **raw: Any) -> str:
    with pytest.raises(RecoveryRefused) as refused:
        read(zone, **raw)
    return str(refused.value)


@pytest.mark.parametrize("written", [INSTANCE, INSTANCE.upper(), f"  {INSTANCE}\n", INSTANCE.capitalize()])
def test_an_instance_id_may_be_in_any_case_and_have_blanks_around_it(written: str) -> None:
    assert read(instance_id=written, at="latest").instance_id == INSTANCE


@pytest.mark.parametrize("written", ["FILES01", " FILES01 ", "i-am-a-name", "Server für Müller"])
def test_what_is_no_instance_id_may_be_a_name(written: str) -> None:
    assert read(instance_id=written, at="latest").instance_id == written.strip()


@pytest.mark.parametrize("written", ["night-1", " night-1 ", "night-1.json"])
def test_a_recovery_point_may_be_written_as_its_id_or_its_file(written: str) -> None:
    request = read(recovery_point=written)
    assert (request.recovery_point, request.instance_id) == ("night-1", None)


@pytest.mark.parametrize("place", ["", "s3://quiesce-bucket/"])
@pytest.mark.parametrize("end", ["", ".json"])
def test_a_recovery_point_may_be_written_as_its_records_key_or_url_which_names_its_server(place: str, end: str) -> None:
    request = read(recovery_point=f"{place}records/{INSTANCE}/night-1{end}")
    assert (request.recovery_point, request.instance_id) == ("night-1", INSTANCE)


@pytest.mark.parametrize("change", [str.upper, lambda text: f"  {text}\n", lambda text: f" {text.upper()} "])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image_id", "ami-0123456789abcdef0"),
        ("overrides.subnet_id", "subnet-0123456789abcdef0"),
        ("overrides.zone", "eu-central-1a"),
        ("overrides.instance_type", "m7i.large"),
        ("mode", "dry-run"),
        ("on_failure", "clean-up"),
        ("agent", "none"),
        ("revert", "where-possible"),
    ],
)
def test_an_id_of_ec2_a_name_of_aws_and_a_word_may_be_in_any_case_and_have_blanks_around_it(
    path: str, value: str, change: Callable[[str], str]
) -> None:
    outer, _, inner = path.rpartition(".")
    typed = {outer: {inner: change(value)}} if outer else {inner: change(value)}
    request = read(recovery_point="night-1", **typed)
    assert getattr(request.overrides if outer else request, inner) == value


@pytest.mark.parametrize(
    "written",
    [["SG-0123456789ABCDEF0 ", "sg-11111111"], "sg-0123456789abcdef0, SG-11111111", "sg-0123456789abcdef0 sg-11111111"],
)
def test_security_groups_may_stand_in_one_text_and_in_any_case(written: Any) -> None:
    groups = read(recovery_point="night-1", overrides={"security_group_ids": written}).overrides.security_group_ids
    assert groups == ["sg-0123456789abcdef0", "sg-11111111"]


def test_blanks_are_taken_off_what_has_letters_of_both_cases_and_no_letter_is_changed() -> None:
    arn = "arn:aws:iam::123456789012:instance-profile/Files"
    wanted = {"key_name": " Admins ", "instance_profile_arn": f" {arn}", "private_ip": "10.0.0.9 ", "kms_key_id": " K "}
    found = read(recovery_point="night-1", overrides=wanted).overrides
    assert (found.key_name, found.instance_profile_arn) == ("Admins", arn)
    assert (found.private_ip, found.kms_key_id) == ("10.0.0.9", "K")


def test_a_device_may_have_blanks_around_it_and_a_volume_type_be_in_any_case() -> None:
    found = read(recovery_point="night-1", overrides={"volumes": {" xvdf ": {"volume_type": "GP3"}}}).overrides
    assert {device: each.volume_type for device, each in found.volumes.items()} == {"xvdf": "gp3"}


def test_tags_are_taken_to_the_letter() -> None:
    tags = {" Owner ": " Finance "}
    assert read(recovery_point="night-1", overrides={"tags": tags}).overrides.tags == tags


def test_the_recoverys_id_and_that_it_is_a_dry_run_are_read_as_typed_even_if_the_input_is_refused() -> None:
    raw = {"recovery_id": " fire-1 ", "mode": "Dry Run", "wrong": 1}
    assert (id_of(raw, "execution"), is_dry_run(raw)) == ("fire-1", True)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (
            {"overrides": {"subnet_id": "10.0.1.0/24"}},
            "overrides.subnet_id: '10.0.1.0/24': must be an id of EC2, such as",
        ),
        ({"overrides": {"security_group_ids": "default"}}, "overrides.security_group_ids: 'default': must be a list"),
        ({"image_id": "windows"}, "image_id: 'windows': must be an id of EC2, such as ami-0123456789abcdef0"),
    ],
)
def test_what_is_no_id_is_named_as_the_person_wrote_it(wrong: dict[str, Any], right: str) -> None:
    assert right in refusal(recovery_point="night-1", **wrong)


@pytest.mark.parametrize(
    ("field", "meant"), [("server", "instance_id"), ("time", "at"), ("run_id", "recovery_point"), ("ami", "image_id")]
)
def test_a_field_by_another_name_is_answered_with_the_one_that_is_meant(field: str, meant: str) -> None:
    words = f"{field}: is not a field that quiesce knows. Remedy: write '{meant}'."
    assert refusal(recovery_point="night-1", **{field: "FILES01"}) == words


@pytest.mark.parametrize("number", [20260314, 1773451800, 1.5, True])
def test_a_number_is_no_time(number: Any) -> None:
    assert refusal(instance_id=INSTANCE, at=number).startswith(
        f"at: {'true' if number is True else number}: must be 'latest'"
    )


def test_a_record_of_another_server_than_the_one_named_is_refused() -> None:
    words = refusal(recovery_point=f"records/{INSTANCE}/night-1.json", instance_id=OTHER)
    assert f"the record is one of {INSTANCE}, and instance_id is {OTHER}. Remedy: leave out instance_id" in words


def test_an_url_of_something_else_is_refused_in_words() -> None:
    words = refusal(recovery_point="s3://quiesce-bucket/recoveries/x/y.json")
    assert "must be the id of a recovery point, the beginning of one, or the key or s3:// URL of its record" in words


@pytest.mark.parametrize("word", ["latest whole", "Latest Whole", " latest-whole ", "latest_whole", "LATEST  WHOLE"])
def test_a_word_for_a_recovery_point_may_be_in_any_case_and_with_any_separator(word: str) -> None:
    assert read(instance_id=INSTANCE, at=word).at == "latest whole"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("lastest", "latest"), ("latest hole", "latest whole"), ("latest aplication", "latest application")],
)
def test_a_wrong_word_is_answered_with_the_one_that_was_meant(wrong: str, right: str) -> None:
    assert refusal(instance_id=INSTANCE, at=wrong) == (
        f"at: '{wrong}' is no word that quiesce knows. Remedy: write '{right}'."
    )


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-14T01:30:00Z",
        "2026-03-14 01:30:00Z",
        "2026-03-14 01:30 Z",
        "2026-03-14t01:30z",
        "2026-03-14 01:30 utc",
        "2026-03-14T02:30+01:00",
        "2026-03-14 02:30 +0100",
        "2026-03-14 02:30:00.000 Europe/Berlin",
        " 2026-03-13 21:30 america/new_york ",
    ],
)
def test_a_time_may_be_written_in_every_usual_form(written: str) -> None:
    assert read(instance_id=INSTANCE, at=written).moment == datetime(2026, 3, 14, 1, 30, tzinfo=UTC)


def test_a_time_without_a_zone_is_answered_with_its_two_likely_meanings() -> None:
    assert refusal(instance_id=INSTANCE, at="2026-03-14 01:30") == (
        "at: '2026-03-14 01:30' has no zone. Remedy: write 2026-03-14T01:30:00Z if it is in UTC, or "
        "'2026-03-14 01:30:00 Europe/Berlin' (which is 2026-03-14T00:30:00Z) if it is in the schedule's zone."
    )
    words = refusal("UTC", instance_id=INSTANCE, at="2026-03-14 01:30")
    assert "Remedy: write 2026-03-14T01:30:00Z if it is in UTC, as the schedule is; else add its zone, as in" in words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            "2026-03-29 02:30 Europe/Berlin",
            "is skipped by a change of clocks in Europe/Berlin. Remedy: write 2026-03-",
        ),
        (
            "2026-10-25 02:30 Europe/Berlin",
            "happens twice in Europe/Berlin, because clocks are set back. "
            "Remedy: write 2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z.",
        ),
        (
            "2026-03-14 01:30 Europe/Berln",
            "has an unknown zone: 'Europe/Berln' is not the IANA name of a time zone. "
            "Remedy: write Europe/Berlin, if that is meant, or give an offset or Z.",
        ),
        ("2026-03-14 01:30 CEST", "Remedy: write one such as Europe/Berlin or UTC, or give an offset or Z."),
        ("2026-03-14 01:30 Middle Earth", "Remedy: write one such as Europe/Berlin or UTC, or give an offset or Z."),
        (
            "2026-03-14 01:30 w. europe standard time",
            "is Windows' name for a zone of many countries. Remedy: write Europe/Berlin, or the IANA name of your",
        ),
        ("2026-13-14 01:30Z", "is on no calendar or clock. Remedy: write it as in 2026-03-14T01:30:00Z, "),
        ("2026-03-14 01:30+99:00", "has no possible offset: +99:00. Remedy: write it as in "),
        (
            "2026-03-14",
            "is not 'latest', 'latest whole', 'latest application', nor a date with time and zone. Rem",
        ),
        (
            "yesterday",
            "'yesterday' is not 'latest', 'latest whole', 'latest application', nor a date with time and zone",
        ),
    ],
)
def test_a_time_that_is_no_single_moment_is_refused_with_what_to_write(written: str, words: str) -> None:
    assert words in refusal(instance_id=INSTANCE, at=written)


def test_a_local_time_that_a_change_of_clocks_skips_has_one_meaning_left() -> None:
    words = refusal(instance_id=INSTANCE, at="2026-03-29 02:30")
    assert "write 2026-03-29T02:30:00Z if it is in UTC; in the schedule's zone Europe/Berlin it is skipped by" in words


def test_a_name_means_the_only_server_that_has_it() -> None:
    assert named("FILES01", NAMES, RecoveryRefused) == INSTANCE
    assert named("files01", NAMES, RecoveryRefused) == INSTANCE
    assert named("files01", {INSTANCE: "FILES01", OTHER: "files01"}, RecoveryRefused) == OTHER


@pytest.mark.parametrize(
    ("typed", "names", "words"),
    [
        (
            "FILES01",
            {INSTANCE: "FILES01", OTHER: "FILES01"},
            "2 servers have the Name tag 'FILES01'. Remedy: wr",
        ),
        (
            "FILE01",
            NAMES,
            "has the Name tag 'FILE01'. Remedy: write 'FILES01'",
        ),
        (
            "MAIL",
            NAMES,
            f"Remedy: name one of FILES01 ({INSTANCE}), SQL01 ({OTHER})",
        ),
        ("MAIL", {}, "Remedy: look at the servers in EC2's console: "),
    ],
)
def test_a_name_that_means_no_single_server_is_refused_with_those_there_are(typed: str, names: Any, words: str) -> None:
    with pytest.raises(RecoveryRefused) as refused:
        named(typed, names, RecoveryRefused)
    assert words in str(refused.value)


def test_a_list_of_servers_stays_readable() -> None:
    names = {f"i-{n:017x}": f"S{n:02}" for n in range(NAMED_SERVERS + 3)}
    assert listed(names).endswith(f"S09 (i-{9:017x}) and 3 more (output ReadRecords lists all)")
