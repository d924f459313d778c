"""Scripts under another account than SYSTEM: the policy names it, the server tries it before anything is frozen."""

import pytest

from tests.statemachine.truth import assert_failed, record_of
from tests.support.factories.policy import a_policy

NAMES = ("before_orders.cmd", "after_orders.ps1", "complete_orders.exe")


def policy_of(shop, account, **settings):
    defaults = {"scripts": {"from": "server", "run_as": account}, **settings}
    return {"policy": a_policy(shop.instance_id, name="orders", defaults=defaults)}


@pytest.mark.chapter("6.4.1 account")
@pytest.mark.parametrize("account", [r".\backup", r"SQL-A\backup", "CORP\\quiesce$"])
def test_scripts_run_under_the_account_that_the_policy_names_and_the_record_says_so(account, machine, cloud, shop):
    shop.windows.scripts.folder.update(dict.fromkeys(NAMES, "goes well"))
    record = record_of(cloud, machine.start(policy_of(shop, account)), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert f"the scripts run under the account {account}, whose task has begun on the server once" in record["notes"]


def gone(accounts):
    accounts.there = False
    return "icacls ended with 1332: is there such an account?"


def without_its_right(accounts):
    accounts.begin = False
    return "give it the right 'Log on as a batch job'"


def refused_by_windows(accounts):
    accounts.registered = False
    return r"SQL-A\backup is not taken by Task Scheduler"


OBSTACLES = [gone, without_its_right, refused_by_windows]


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_an_account_that_can_not_run_them_is_told_before_anything_is_frozen(obstacle, machine, cloud, shop):
    shop.windows.scripts.folder.update(dict.fromkeys(NAMES, "goes well"))
    words = obstacle(shop.windows.guest.accounts)
    run = machine.start(policy_of(shop, r".\backup"))
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"], record["consistency"]["level"]) == (
        "SUCCEEDED",
        "PartiallySuccessful",
        "crash",
    )
    assert record["reason"].startswith("the application could not be frozen: the server refused: AccountNotUsable: ")
    assert words in record["reason"]
    assert (shop.application.asked, cloud.snapshot_sets()) == ([], 1)


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_where_the_policy_takes_nothing_less_such_an_account_ends_the_run(obstacle, machine, cloud, shop):
    shop.windows.scripts.folder.update(dict.fromkeys(NAMES, "goes well"))
    words = obstacle(shop.windows.guest.accounts)
    run = machine.start(policy_of(shop, r".\backup", consistency="application"))
    assert_failed(cloud, run, shop.instance_id, "ServerRefused", words)
    assert (shop.application.asked, cloud.snapshot_sets()) == ([], 0)


def test_another_domains_account_is_told_by_the_server_which_knows_its_own_name(machine, cloud, shop):
    record = record_of(cloud, machine.start(policy_of(shop, r"CORP\backup")), shop.instance_id)
    assert r"CORP\backup is neither an account of this server, SQL-A, nor a gMSA" in record["reason"]


def test_an_account_that_loses_its_right_after_plan_leaves_the_application_alone(machine, cloud, shop, monkeypatch):
    shop.windows.scripts.folder.update(dict.fromkeys(NAMES, "goes well"))
    accounts = shop.windows.guest.accounts
    rehearse = accounts.rehearse

    def then_lose_it(account):
        rehearse(account)
        accounts.begin = False

    monkeypatch.setattr(accounts, "rehearse", then_lose_it)
    record = record_of(cloud, machine.start(policy_of(shop, r".\backup")), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["session"]["before"]["reason"].startswith(r"NotStarted: the task of SQL-A\backup has not begun")
    assert shop.application.asked == []


def test_a_session_script_is_refused_with_an_account_before_anything_is_frozen(machine, cloud, shop):
    shop.windows.scripts.folder.update(dict.fromkeys(("session_orders.cmd", "complete_orders.cmd"), "goes well"))
    record = record_of(cloud, machine.start(policy_of(shop, r".\backup")), shop.instance_id)
    assert record["reason"] == (
        "the application could not be frozen: a session script can't run under another account, and run_as is .\\backup"
    )
    assert shop.application.asked == []
