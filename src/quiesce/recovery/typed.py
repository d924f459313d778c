"""What a person types for a recovery, brought into the one form that the input's model takes. Pure."""

import re
from difflib import get_close_matches
from typing import Any

from quiesce.errors import RecoveryRefused
from quiesce.policy.parts import tidy_id
from quiesce.recovery.moments import Unreadable, read_moment

WORDS = ("latest", "latest whole", "latest application")
# Of a record: its id, its file, its key in the bucket, or its s3:// URL.
RECORD = re.compile(r"(?:(?:s3://[^/]+/)?records/(?P<server>[^/]+)/)?(?P<run>[^/]+?)(?:\.json)?")

# Names that people give to fields, and that are nearer in their letters to another field than to the one that is meant.
MEANT = {
    **dict.fromkeys(("server", "instance", "server_id", "name"), "instance_id"),
    **dict.fromkeys(("time", "when", "date"), "at"),
    **dict.fromkeys(("point", "run", "run_id", "backup"), "recovery_point"),
    **dict.fromkeys(("id", "recovery"), "recovery_id"),
    **dict.fromkeys(("ami", "ami_id", "image"), "image_id"),
    "thaw": "thaw_after_recovery",
}
# Fields that take one of a few words, and fields that take an id of EC2 or a name that AWS writes in lower case, with a
# digit in it. What is neither is left as the person wrote it, for the message.
CHOICES = {"mode", "on_failure", "agent", "revert", "volume_type"}
WORD = re.compile(r"[a-z0-9]+([\s_-]+[a-z]+)*", re.IGNORECASE)
LOWER_CASE = {"image_id", "subnet_id", "security_group_id", "instance_type", "zone"}
NAME = re.compile(r"(?=.*[0-9])[a-z0-9.-]+", re.IGNORECASE)
GROUPS = re.compile(r"sg-[0-9a-f]+([\s,]+sg-[0-9a-f]+)*", re.IGNORECASE)


def typed(raw: Any, schedule_zone: str) -> Any:
    """Return an input with its recovery point, server and time in the one form that the model takes.

    Args:
        raw: the execution's input; what is not an object, or not text in these fields, is left to the model.
        schedule_zone: IANA zone of the stack's schedule.

    Raises:
        RecoveryRefused: a time is no single moment, the record's key and ``instance_id`` name two servers, or a field
            has another name.
    """
    if not isinstance(raw, dict):
        return raw
    if meant := next((name for name in raw if name in MEANT), None):
        raise RecoveryRefused(meant, "is not a field that quiesce knows", f"write '{MEANT[meant]}'")
    data = {name: tidied(name, value) for name, value in raw.items()}
    if isinstance(data.get("instance_id"), str):
        data["instance_id"] = tidy_id(data["instance_id"])
    if isinstance(point := data.get("recovery_point"), str) and (found := RECORD.fullmatch(point.strip())):
        data["recovery_point"] = found["run"]
        if server := found["server"]:
            _agree(data.setdefault("instance_id", server), server)
    if isinstance(at := data.get("at"), str):
        data["at"] = _at(at, schedule_zone)
    return data


def tidied(field: str, value: Any) -> Any:
    """Return a field's value without blanks around it, and in lower case what AWS or quiesce writes so.

    Tags are the person's own: nothing of them is changed. Several security groups may stand in one text.

    Args:
        field: its name; of a list's values, that of the list without its last s.
        value: as the person wrote it; what is no text is left to the model.
    """
    if field == "tags":
        return value
    if isinstance(value, dict):
        return {str(name).strip(): tidied(str(name).strip(), inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [tidied(field.removesuffix("s"), each) for each in value]
    return _tidy(field, value.strip()) if isinstance(value, str) else value


def _tidy(field: str, text: str) -> str | list[str]:
    if field == "security_group_ids" and GROUPS.fullmatch(text):
        return re.split(r"[\s,]+", text.lower())
    if field in CHOICES and WORD.fullmatch(text):
        return re.sub(r"[\s_]+", "-", text.lower())
    return text.lower() if field in LOWER_CASE and NAME.fullmatch(text) else text


def _agree(instance_id: Any, server: str) -> None:
    if instance_id != server:
        problem = f"the record is one of {server}, and instance_id is {instance_id}"
        raise RecoveryRefused("recovery_point", problem, "leave out instance_id, or name a record of that server")


def _at(text: str, schedule_zone: str) -> str:
    word = re.sub(r"[\s_-]+", " ", text.strip().lower())
    if word in WORDS:
        return word
    try:
        return read_moment(text, schedule_zone).isoformat()
    except Unreadable as error:
        near = get_close_matches(word, WORDS, n=1) if not any(sign.isdigit() for sign in word) else []
        if near:
            raise RecoveryRefused("at", f"'{text}' is no word that quiesce knows", f"write '{near[0]}'") from error
        if error.problem.startswith("is no date"):
            problem = f"'{text}' is not {', '.join(repr(known) for known in WORDS)}, nor a date with time and zone"
            raise RecoveryRefused("at", problem, error.remedy) from error
        raise RecoveryRefused("at", f"'{text}' {error.problem}", error.remedy) from error
