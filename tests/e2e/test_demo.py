"""The demo as a newcomer starts it, with the real `sam build` and `sam deploy`; the layer needs PyPI."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.processes import running_with
from tests.support.looking import faults, opened
from tools.pictures import picture_html

PROJECT = Path(__file__).parents[2]


def test_the_demo_deploys_backs_up_shows_the_torn_data_recovers_and_leaves_pages_and_nothing_running():
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox.demo"], check=False, cwd=PROJECT, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    said = ended.stdout
    assert "stack quiesce: CREATE_COMPLETE" in said
    entered = re.findall(r"^ +\d+\.\d s  (\S+)$", said, re.MULTILINE)
    assert entered[:2] == ["Begin", "Plan"]
    crash, held, lost, elsewhere, stopped, last = said.split("Backup started with")[1:]
    assert re.findall(r"^ +\d+\.\d s  (\S+)$", stopped, re.MULTILINE)[-1] == "Snapshot"
    assert len(re.findall(r"snap-[0-9a-f]{17}  completed", crash)) == 3
    assert re.search(r"Torn\..*\n.*This is what crash-consistent means\.$", crash, re.MULTILINE)
    assert re.search(r"^  files-nightly +crash .* torn +never$", held, re.MULTILINE)
    assert re.search(r"^  orders +application .* whole +\d+ ms$", held, re.MULTILINE)
    assert re.search(r"^  frozen +before ended ── .* ms ──▶ after begins$", held, re.MULTILINE)
    assert re.search(
        r"^  files +s3://.*/session-2/\n +after\.out, before\.out, .*diskshadow\.log.*session\.log", held, re.MULTILINE
    )
    assert re.search(r"^  attempt 1 +Shop Writer .*VSS_E_WRITERERROR_TIMEOUT \(0x800423F2\)", held, re.MULTILINE)
    assert len(re.findall(r"^  shadow copy ", held, re.MULTILINE)) == 3
    assert len(re.findall(r"^  in snapshot  [CDE]: present  made .*, storage on vol-", held, re.MULTILINE)) == 3
    assert re.search(r"^  read +\d+ blocks of 512 KiB, \d+ lists of blocks: \$0\.0000\d+ on AWS$", held, re.MULTILINE)
    assert "in snapshot  D: absent  no volume of the recovery point lists it" in lost
    assert "crash: the snapshots do not hold the shadow copies as VSS made them" in lost
    assert "called with: before, after 1, complete 0" in lost
    assert "crash: the shadow storage of D: is on Z:, which is not in the backup" in elsewhere
    assert re.findall(r"the shop is (.*); its scripts were called with: (.*)", stopped) == [
        ("frozen", "before"),
        ("at work", "before, after 1"),
        ("at work", "before, after 1, complete 0"),
    ]
    assert "PartiallySuccessful: the server thawed by itself" in stopped
    assert "thawed by    the server itself" in stopped
    recoveries, after = last.split("Policy started with")
    assert_recovered(*recoveries.split("Recovery started with")[1:])
    assert_what_follows_a_recovery(*re.split("A month of nights|Hand-over of the recovered server", after))
    assert not running_with(str(PROJECT / ".sandbox"))
    assert_it_ends_with_pages_to_look_at(said)


def assert_it_ends_with_pages_to_look_at(said: str) -> None:
    """Check the pages that the stack wrote of the demo's runs: in a browser, where there is one."""
    *_, look, command = said.rstrip().splitlines()
    overview = Path(re.fullmatch(r"Look at the overview, as the stack has written it: (/.*)", look)[1])
    assert command.split()[1:] == ["-m", "webbrowser", overview.as_uri()]
    text = overview.read_text()
    assert all(name in text for name in ("Not everything is good.", "SERVER1", "BUSY", "SCRIPTS", "STOPPED", "BROKEN"))
    links = [overview.parent / link for link in re.findall(r'href="(\.\./records/[^"]+)"', text)]
    assert links
    assert all(link.exists() for link in links)
    outcome = overview.parents[1]
    runs = sorted(outcome.glob("records/*/*.html"))
    # One of the nine was stopped in the freeze; a page follows its record, whoever wrote it.
    assert len(runs) == len(sorted(outcome.glob("records/*/*.json"))) == 10
    for_readme = outcome / "for-readme.html"
    for_readme.write_text(picture_html(outcome), encoding="utf-8")
    with opened() as browser:
        for page in [overview, for_readme, *runs] if browser else []:
            assert faults(browser, page) == [], page


def assert_what_follows_a_recovery(policy: str, month: str, handed_over: str) -> None:
    assert_summed_up(policy)
    assert_pruned(month)
    assert_handed_over(handed_over)


def assert_pruned(month: str) -> None:
    """Check that the table has a reason for each of 31 nights, and that what it says went is gone."""
    rows = re.findall(
        r"^  \d{4}-\d\d-\d\d 02:00 +nights-\d{8} +\w+ +application +(keep|remove) +(\S.*)$", month, re.MULTILINE
    )
    assert len(rows) == 31
    reasons = {words for keep, words in rows if keep == "keep"}
    assert any(
        words.startswith("newest, newest successful, newest application, at_least 1 of 3, daily 1 of 7")
        for words in reasons
    )
    for part in ("daily 7 of 7", "weekly 4 of 4", "monthly 2 of 2", "held: anna: the audit"):
        assert any(part in words for words in reasons), part
    going = {words for keep, words in rows if keep == "remove"}
    assert {words.partition(", and ")[0] for words in going} == {"no rule keeps it", "not whole"}
    assert "go only with a person's word" in month
    removed, left = re.findall(r"Removed (\d+) recovery points; (\d+) are left", month)[0]
    kept = sum(keep == "keep" for keep, _ in rows)
    assert (int(removed), int(left)) == (31 - kept, kept)


def assert_handed_over(last: str) -> None:
    """Check what the demo ends with."""
    last = last.partition("Try next")[0]
    assert re.search(r"^  server +SERVER1 \(i-[0-9a-f]{17}\), [0-9.]+; ", last, re.MULTILINE)
    assert re.search(r"^  session +https://", last, re.MULTILINE)
    states = re.findall(r"^  (yours|done|not needed) +([^:]+): .", last, re.MULTILINE)
    assert {state for state, _ in states} == {"yours", "done", "not needed"}
    assert [what for _, what in states][:3] == ["old server", "session of the backup", "DNS"]
    assert last.rstrip().splitlines()[-1].startswith("  yours        termination protection: ")


def assert_summed_up(policy: str) -> None:
    assert re.findall(r"^ +\d+\.\d s  (\S+)$", policy, re.MULTILINE)[:7] == [
        *("Begin", "Follows?", "Resolve", "Servers?", "BackUp", "Rule?", "Summarize")
    ]
    assert "PartiallySuccessful: of 4 servers: 2 PartiallySuccessful, 2 Successful" in policy
    assert re.findall(r"^  ([A-Z]+) +(\w+) +(application|crash|none)$", policy, re.MULTILINE) == [
        ("BUSY", "Successful", "application"),
        ("SCRIPTS", "Successful", "application"),
        ("STOPPED", "PartiallySuccessful", "crash"),
        ("BROKEN", "PartiallySuccessful", "crash"),
    ]


def assert_recovered(dry_run: str, recovery: str) -> None:
    assert "nothing stands in the way; nothing was created" in dry_run
    assert re.findall(r"^ +\d+\.\d s  (\w+) +━", recovery, re.MULTILINE)[-3:] == ["AwaitOnline", "EndSession", "Finish"]
    assert "Recovered: i-" in recovery
    raw, frozen, new, old = re.findall(r"(\d+ worth \d+)  (\d+ worth \d+)  (torn|whole)$", recovery, re.MULTILINE)
    assert frozen[2] == "whole"
    assert len({raw, frozen, old}) == 3
    assert new == frozen
    assert "Whole on the new server, as of the instant of the shadow copies." in recovery
    assert len(re.findall(r"^  volume +[CDE]: .*as of its shadow copy of ", recovery, re.MULTILINE)) == 3
    built = r"^  built +\d+ blocks of 512 KiB read, the check among them, and \d+ written: \$0\.\d+ on AWS"
    assert re.search(built, recovery, re.MULTILINE)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(tmp_path, end):
    command = [sys.executable, "-m", "sandbox.demo", "--home", str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while "sam build" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        process.send_signal(end)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (128 + end, "")
    assert not running_with(str(tmp_path))
    assert not list(tmp_path.glob("port-*"))
