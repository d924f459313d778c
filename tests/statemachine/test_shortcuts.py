"""The shortcuts through moto and botocore lead where the long ways do, and each is still taken."""

import gc
import weakref
from threading import Thread
from types import SimpleNamespace

import pytest
from moto.core.serialize import EC2Serializer, ResponseSerializer, XFormedAttributePicker
from moto.core.utils import get_service_model
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests.statemachine.recoveries import assert_recovered
from tests.support import cloud as clouds
from tests.support.environment import BUCKET, REGION
from tests.support.factories.policy import a_policy
from tests.support.shortcuts import ASKED_FIRST, ORIGINALS, SHORTCUTS

ADDRESSES = {
    f"https://dynamodb.{REGION}.amazonaws.com/": "dynamodb",
    f"https://ec2.{REGION}.amazonaws.com/": "ec2",
    f"https://sns.{REGION}.amazonaws.com/": "sns",
    f"https://states.{REGION}.amazonaws.com/": "stepfunctions",
    f"https://{BUCKET}.s3.{REGION}.amazonaws.com/records/a.json": "s3",
}
# Built into the clients when these are created, or no function.
NOT_WATCHED = {"DEFAULT_TIMESTAMP_PARSER", "backend_url_patterns"}
WATCHED = {f"{owner.__name__}.{name}": (owner, name) for owner, name, _ in SHORTCUTS if name not in NOT_WATCHED}
# The agent's name differs, and is read by none; the others are compared by the whole answer that they go into.
TAKEN_ONLY = {"UserAgentString.to_string", "ResponseSerializer.get_value", "EC2Serializer._serialize_body"}


def both_ways(quick, original, note):
    """Go the short way, and tell at once whether the long one, where there is one to be gone, leads elsewhere."""

    def both(*arguments, **more):
        found = quick(*arguments, **more)
        expected = original(*arguments, **more) if original else found
        note(None if found == expected else (repr(found), repr(expected)))
        return found

    return both


@pytest.fixture
def taken(monkeypatch):
    """Each time that a shortcut was taken: None, or what differed from the long way."""
    ends = {at: [] for at in WATCHED}
    for at, (owner, name) in WATCHED.items():
        quick, original = owner.__dict__[name], ORIGINALS[owner, name]
        note = ends[at].append
        match name:
            case "urls":
                both = property(both_ways(quick.fget, original.fget, note))
            case "copy":
                both = SimpleNamespace(deepcopy=both_ways(quick.deepcopy, original.deepcopy, note))
            case _:
                both = both_ways(quick, None if at in TAKEN_ONLY else original, note)
        monkeypatch.setattr(owner, name, both)
    return ends


@pytest.fixture
def answers(monkeypatch):
    """Each answer of moto: None, or what differs without the shortcuts."""
    found, answer = [], ResponseSerializer.serialize

    def serialize(self, result):
        quick = answer(self, result)
        with monkeypatch.context() as long:
            for at in TAKEN_ONLY:
                long.setattr(*WATCHED[at], ORIGINALS[WATCHED[at]])
            slow = answer(self, result)
        found.append(None if quick == slow else (repr(quick), repr(slow)))
        return quick

    monkeypatch.setattr(ResponseSerializer, "serialize", serialize)
    return found


def test_the_shortcuts_lead_where_the_long_ways_do(taken, answers, backed):
    run = backed.recover()
    assert_recovered(backed, run)
    assert run.states[-1] == "Recovered"
    assert [at for at, ends in taken.items() if not ends] == []
    assert [(at, end) for at, ends in taken.items() for end in ends if end] == []
    assert len(answers) > 100
    assert [answer for answer in answers if answer] == []


class Aliased:
    """A model whose attributes moto finds by way of others."""

    name = 'a "name" with <signs> & umlauts: \u00fc'
    owner = SimpleNamespace(id="123456789012")
    group_id, tags, vpc_id, ip_permissions = (
        "sg-1",
        [],
        None,
        [{"FromPort": 0, "Ipv6Ranges": ["::/0", True, 1.5, None]}],
    )
    Meta = SimpleNamespace(serialization_aliases={"OwnerId": "owner.id", "GroupName": "name"})


def test_what_a_run_does_not_send_is_written_the_same(monkeypatch):
    operation = get_service_model("ec2").operation_model("DescribeSecurityGroups")
    result, body = {"SecurityGroups": [Aliased()]}, {"Answer": {"@xmlns": 'a "place" & more', **vars(Aliased)}}
    body["Answer"] = {name: value for name, value in body["Answer"].items() if name[0] in "@gintv"}

    def written():
        serializer = EC2Serializer(operation_model=operation, value_picker=XFormedAttributePicker())
        return serializer.serialize(result)["body"], serializer._serialize_body(body)

    quick = written()
    for at in TAKEN_ONLY:
        monkeypatch.setattr(*WATCHED[at], ORIGINALS[WATCHED[at]])
    assert quick == written()
    assert "<ownerId>123456789012</ownerId>" in quick[0]


def test_the_services_that_are_asked_first_are_those_that_moto_would_find():
    [(owner, name)] = [key for key in ORIGINALS if key[1] == "backend_url_patterns"]
    quick, original = owner.__dict__[name], ORIGINALS[owner, name]
    for patterns in (quick, original):
        assert {a: next(s for s, pattern in patterns if pattern.match(a)) for a in ADDRESSES} == ADDRESSES
    assert sorted(map(str, quick)) == sorted(map(str, original))
    assert {service for service, _ in quick[: len(ASKED_FIRST)]} <= ASKED_FIRST


def test_the_functions_read_times_by_the_shortcut(backed):
    [parser] = [owner.__dict__[name] for owner, name, _ in SHORTCUTS if name == "DEFAULT_TIMESTAMP_PARSER"]
    before = parser.cache_info().hits
    backed.recover()
    assert parser.cache_info().hits > before


def test_a_copy_of_a_state_document_shares_nothing_with_it():
    [copies, *_] = [owner.__dict__[name] for owner, name, _ in SHORTCUTS if name == "copy"]
    document = {"snapshots": [{"id": "snap-1"}]}
    copy = copies.deepcopy(document)
    copy["snapshots"][0]["id"] = "snap-2"
    assert document == {"snapshots": [{"id": "snap-1"}]}


def test_an_account_starts_with_nothing_of_the_one_before(machine, cloud, server):
    machine.start({"policy": a_policy(server.instance_id), "instance_id": server.instance_id})
    machine.start({"policy": {}})
    assert cloud.records()
    assert cloud.mails()
    with clouds.started() as another:
        assert (another.items(), another.records(), another.mails()) == ({}, {}, [])
        assert (another.server_ids(), another.snapshots()) == ([], [])
        assert another.stepfunctions.list_state_machines()["stateMachines"] == []


def test_nothing_of_an_ended_account_stays_in_memory():
    with clouds.started() as account:
        account.add_server()
        before = weakref.ref(clouds.backend())
        TMP_THREADS.append(Thread())  # as each execution does
    del account
    with clouds.started():
        gc.collect()
        assert (before(), TMP_THREADS) == (None, [])
