"""What a server says of all that a backup needs of it is read strictly, its writers in whatever language."""

import random
from uuid import NAMESPACE_OID, uuid5

import pytest

from quiesce.errors import AnswerUnreadable
from quiesce.guest.answers import Answer
from quiesce.guest.examination import examination_of, writers_in
from quiesce.guest.inventory import AwsComponents
from sandbox.windows.agent import MAX_OUTPUT_BYTES
from sandbox.windows.answers import line_of
from sandbox.windows.customer_scripts import CustomerScripts
from sandbox.windows.examination import Condition, Writer, examination
from sandbox.windows.guest import Guest
from sandbox.windows.inventory import nvme_drives
from sandbox.windows.vss import Server, ShadowStorage

SYSTEM = "{e8132975-6f93-4464-a53e-1050253ae220}"
# Made after the English one of Server 2008 (gilkirkpatrick.com), with German words and Windows' wrapped lines.
GERMAN = f"""vssadmin 1.1 - Verwaltungsbefehlszeilenprogramm des Volumeschattenkopie-Dienstes

Verfassername: 'Task Scheduler Writer'
   Verfasserkennung: {{d61d61c8-d73a-4eee-8cdd-f6f9786b7124}}
   Verfasserinstanzkennung: {{1bddd48e-5052-49db-9b07-b96f96727e6b}}
   Status: [1] Stabil
   Letzter Fehler: Kein Fehler

Verfassername: 'System Writer'
   Verfasserkennung: {SYSTEM}
   Verfasserinstanzkennung: {{61b1e2dc-a0f9-4a4e-9f4a-5d9b8c7d6e5f}}
   Status: [8] Fehlgeschlagen
   Letzter Fehler: Inkonsistente Schattenkopie
"""


def answer(examined: dict[str, object] | None) -> Answer:
    return Answer(quiesce=1, ok=True, error="", examined=examined)


def test_writers_are_read_by_ids_and_numbers_not_by_words() -> None:
    assert [(each.name, each.state) for each in writers_in(GERMAN)] == [
        ("Task Scheduler Writer", 1),
        ("System Writer", 8),
    ]
    assert writers_in(GERMAN.replace("\n", "\r\n"))[1].writer_id == SYSTEM
    assert writers_in("") == writers_in("vssadmin 1.1") == []


def test_the_models_answer_is_read_and_one_with_another_field_is_refused() -> None:
    said = examination(Condition(unanswered={"services"}), Server({}, []), 1.0, "i-0123456789abcdef0", set())
    found = examination_of(answer(said))
    assert found is not None
    assert (found.services.known, found.providers.known, found.metadata.values) == (
        False,
        True,
        ["i-0123456789abcdef0"],
    )
    with pytest.raises(AnswerUnreadable, match="not what the guest writes"):
        examination_of(answer(said | {"more": 1}))


def test_a_constrained_server_says_nothing() -> None:
    assert examination_of(answer(None)) is None


def test_the_answer_of_a_server_with_64_volumes_and_400_services_fits_what_the_agent_passes_on() -> None:
    letters, chance = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", random.Random(1)
    names = ["".join(chance.choices(letters, k=24)) for _ in range(400)]
    writers = tuple(Writer(name, f"{{{uuid5(NAMESPACE_OID, name)}}}") for name in names[:40])
    condition = Condition(services=dict.fromkeys(names, ("Running", "Auto")), writers=writers)
    drives = nvme_drives({"C:": "vol-0", **{f"C:\\mount\\{number:03}\\": f"vol-{number:017x}" for number in range(63)}})
    storage = [ShadowStorage(drive.volume_guid, drive.volume_guid) for drive in drives]
    guest = Guest("i-0123456789abcdef0", CustomerScripts(None, lambda _link: None), drives=drives, condition=condition)
    guest.vss.storage = storage
    request = guest.ask({"Verb": "examine", "RunId": "doctor", "Attempt": "1", "InstanceId": guest.instance_id}, 1.0)
    said = request.answer(1.0)
    assert said is not None
    assert said["ok"]
    assert len(line_of(said)) < MAX_OUTPUT_BYTES - 1000


@pytest.mark.parametrize(
    ("version", "number", "old"),
    [
        ("2.3.1", (2, 3, 1), ""),
        ("2.10.0.0", (2, 10, 0), ""),
        ("2.3.0", (2, 3, 0), "version 2.3.0 is older than 2.3.1"),
        ("1.3.1.0", (1, 3, 1), "version 1.3.1.0 is older than 2.3.1"),
        ("two", None, ""),
        (None, None, ""),
    ],
)
def test_awss_components_are_too_old_only_where_their_version_is_known(
    version: str | None, number: tuple[int, ...] | None, old: str
) -> None:
    found = AwsComponents.model_validate({"fileVersion": version})
    assert (found.version, found.too_old) == (number, old)
