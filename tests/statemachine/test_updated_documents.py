"""An update of the stack gives the guest's documents new versions: each run sends one version from Plan to its end."""

import pytest

from sandbox.aws.documents import MAX_SIZE_BYTES, SsmError
from tests.statemachine.truth import record_of
from tests.support.environment import ACT_DOCUMENT, BUCKET, LOOK_DOCUMENT, REGION
from tests.support.ssm import guest_document
from tests.support.wire import refused

VERBS = ("inventory", "stage", "freeze", "thaw", "complete", "collect")
STEPS = ("freeze", "snapshot", "thaw", "await_snapshots", "complete", "make_image", "report")


DOCUMENTS = {"look": LOOK_DOCUMENT, "act": ACT_DOCUMENT}


def guest(name, mark):
    """Return one of the guest's documents as another release has it: with one line more, which does nothing."""
    document = guest_document(name, BUCKET, REGION)
    [step] = document["mainSteps"]
    inputs = {**step["inputs"], "runCommand": [*step["inputs"]["runCommand"], f"# {mark}"]}
    return {**document, "mainSteps": [{**step, "inputs": inputs}]}


@pytest.fixture
def update(cloud):
    """Give both documents another version, as an update of the stack does: their default stays the first."""

    def put(mark="of another release"):
        for name, document in DOCUMENTS.items():
            cloud.run_command.put_document(document, guest(name, mark))

    return put


@pytest.fixture
def sent(shop):
    """The versions of the guest that commands ran, in order: the mark of each, empty for the first version."""

    def marks():
        return [c.script.rpartition("\n# ")[2] if "\n# of " in c.script else "" for c in shop.windows.agent.commands]

    return marks


@pytest.mark.parametrize("step", STEPS)
def test_a_run_goes_on_with_the_version_that_it_began_with(step, update, sent, machine, cloud, shop, frozen_request):
    machine.before(step, update)
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert sent() == [""] * len(VERBS)
    assert run.input_of("Report")["plan"]["documents"] == {LOOK_DOCUMENT: "1", ACT_DOCUMENT: "1"}


def test_the_next_run_sends_the_new_version_although_the_documents_default_is_the_old_one(
    update, sent, machine, cloud, frozen_request
):
    machine.start(frozen_request)
    update()
    assert {cloud.run_command.documents[each].default for each in DOCUMENTS.values()} == {1}
    run = machine.start(frozen_request)
    assert run.status == "SUCCEEDED"
    assert sent() == [""] * len(VERBS) + ["of another release"] * len(VERBS)
    assert run.input_of("Report")["plan"]["documents"] == {LOOK_DOCUMENT: "2", ACT_DOCUMENT: "2"}


def test_sweep_ends_a_session_with_the_version_that_its_run_began_with(
    update, sent, machine, cloud, shop, frozen_request
):
    machine.before("snapshot", update)
    machine.stop_in("Snapshot")
    run = machine.start(frozen_request)
    assert run.status == "ABORTED"
    machine.sweep(run)
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert sent() == ["", "", "", "", ""]  # inventory, stage, freeze, complete, collect


def test_a_look_for_the_version_that_ssm_throttles_is_made_again(sent, machine, cloud, shop, frozen_request):
    machine.wire.on("ssm:DescribeDocument", refused("ThrottlingException"))
    run = machine.start(frozen_request)
    assert record_of(cloud, run, shop.instance_id)["status"] == "Successful"
    assert machine.wire.count("ssm:DescribeDocument") == 3


def test_without_the_right_to_look_it_up_nothing_is_frozen(machine, cloud, shop, frozen_request):
    machine.wire.on("ssm:DescribeDocument", refused("AccessDeniedException", 400))
    run = machine.start(frozen_request)
    assert (run.status, run.error) == ("FAILED", "AccessDenied")
    assert "ssm:DescribeDocument" in run.cause
    assert shop.windows.agent.commands == []


@pytest.mark.parametrize("document", DOCUMENTS.values())
def test_a_document_that_is_gone_costs_consistency_and_not_the_backup(document, machine, cloud, shop, frozen_request):
    del cloud.run_command.documents[document]
    record = record_of(cloud, machine.start(frozen_request), shop.instance_id)
    assert record["consistency"]["level"] == "crash"
    assert f"SSM does not have {document}" in record["consistency"]["reason"]
    assert "Deploy the stack again" in record["consistency"]["reason"]


def test_a_version_that_somebody_deleted_under_a_run_is_refused_and_no_other_is_sent(
    sent, machine, cloud, shop, frozen_request
):
    def delete():
        cloud.run_command.documents[ACT_DOCUMENT].made.clear()

    machine.before("freeze", delete)
    run = machine.start(frozen_request)
    assert (run.status, run.error) == ("FAILED", "CommandRefused")
    assert "InvalidDocumentVersion" in run.cause
    assert sent() == ["", "", ""]  # inventory, stage, and what Report collects by the other document
    assert shop.application.asked == []


def test_a_document_that_is_too_large_is_refused_and_the_version_before_stays(cloud):
    with pytest.raises(SsmError, match="MaxDocumentSizeExceeded"):
        cloud.run_command.put_document(ACT_DOCUMENT, guest("act", "x" * MAX_SIZE_BYTES))
    assert [version.version for version in cloud.run_command.documents[ACT_DOCUMENT].made] == [1]
