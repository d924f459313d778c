"""The simulated SSM agent follows the documented rules: times, limits, and the fate of commands on a bad day."""

import math

import pytest

from sandbox.windows.agent import MAX_RESUMPTIONS, Agent, Command, Ended


class Script:
    """A script that runs for `duration_s` and ends as given; `begun_s` has the times of its starts."""

    def __init__(self, duration_s=1.0, exit_code=0, stdout="", stderr=""):
        self.duration_s, self.ended = duration_s, Ended(exit_code, stdout, stderr)
        self.begun_s = []

    def start(self, now_s):
        self.begun_s.append(now_s)
        until_s = now_s + self.duration_s
        return type("Running", (), {"poll": lambda _, at_s: self.ended if at_s >= until_s else None})()


class World:
    """One agent, its scripts by name, and a clock that only the test moves."""

    def __init__(self):
        self.scripts, self.now_s = {}, 1000.0
        self.agent = Agent(lambda script, now_s: self.scripts[script].start(now_s), last_ping_s=self.now_s)

    def send(self, script=None, delivery_limit_s=100, execution_limit_s=900):
        name = f"script {len(self.scripts)}"
        self.scripts[name] = script or Script()
        command = Command(name, name, self.now_s, delivery_limit_s, execution_limit_s)
        self.agent.commands.append(command)
        return command

    def pass_time(self, seconds, step_s=0.1):
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(self.now_s + step_s, until_s)
            self.agent.advance(self.now_s)

    def script_of(self, command):
        return self.scripts[command.script]


@pytest.fixture
def world():
    return World()


def test_a_command_needs_its_time_to_the_server_and_back(world):
    command = world.send(Script(duration_s=2, stdout="done"))
    world.pass_time(0.1)
    assert (command.status, command.exit_code) == ("Pending", -1)
    world.pass_time(0.2)
    assert (command.status, command.exit_code) == ("In Progress", -1)
    world.pass_time(2.1)
    assert (command.status, command.exit_code, command.stdout) == ("Success", 0, "done")


def test_a_script_that_ends_with_another_code_has_failed(world):
    command = world.send(Script(exit_code=1, stdout="line"))
    world.pass_time(2)
    assert (command.status, command.exit_code, command.stdout) == ("Failed", 1, "line")


@pytest.mark.parametrize("code", [3010, 168, 169, -1])
def test_an_exit_code_that_the_agent_takes_for_an_order_is_nothing_to_go_on_with(world, code):
    world.send(Script(exit_code=code))
    with pytest.raises(NotImplementedError, match=str(code)):
        world.pass_time(2)


def test_five_commands_run_at_once_and_the_sixth_waits_for_one_to_end(world):
    commands = [world.send(Script(duration_s=10 + number)) for number in range(6)]
    world.pass_time(9)
    assert [c.status for c in commands] == ["In Progress"] * 5 + ["Pending"]
    world.pass_time(2)
    assert [c.status for c in commands] == ["Success"] + ["In Progress"] * 5


def test_output_is_cut_at_24000_bytes_with_the_agents_suffix(world):
    command = world.send(Script(stdout="x" * 30_000))
    short = world.send(Script(stdout="x" * 23_999))
    world.pass_time(2)
    assert len(command.stdout) == 24_000
    assert command.stdout.endswith("xx--output truncated--")
    assert short.stdout == "x" * 23_999


def test_errors_are_told_in_8000_characters(world):
    command = world.send(Script(stderr="x" * 9_000))
    world.pass_time(2)
    assert command.stderr == "x" * 8_000


def test_without_an_agent_a_command_is_pending_until_both_limits_are_over(world):
    world.agent.connected = False
    command = world.send(delivery_limit_s=100, execution_limit_s=900)
    world.pass_time(999, step_s=1)
    assert command.status == "Pending"
    world.pass_time(2, step_s=1)
    assert (command.status, command.exit_code) == ("Delivery Timed Out", -1)
    world.agent.connected = True
    world.pass_time(5)
    assert world.script_of(command).begun_s == []


def test_a_command_that_has_not_begun_in_its_delivery_time_never_begins(world):
    world.agent.connected = False
    command = world.send(delivery_limit_s=100)
    world.pass_time(101, step_s=1)
    world.agent.connected = True
    world.pass_time(5)
    assert (command.status, world.script_of(command).begun_s) == ("Pending", [])


def test_an_agent_that_comes_back_in_time_runs_what_waits(world):
    world.agent.connected = False
    command = world.send(delivery_limit_s=100)
    world.pass_time(90, step_s=1)
    world.agent.connected = True
    world.pass_time(2)
    assert command.status == "Success"


def test_a_script_that_takes_too_long_is_given_up_by_the_agent(world):
    command = world.send(Script(duration_s=math.inf), execution_limit_s=20)
    world.pass_time(20)
    assert command.status == "In Progress"
    world.pass_time(1)
    assert (command.status, command.exit_code, command.stdout) == ("Execution Timed Out", -1, "")


def test_an_answer_that_found_no_way_out_in_time_is_a_delivery_timeout_although_the_script_ran(world):
    command = world.send(Script(duration_s=5), delivery_limit_s=30, execution_limit_s=60)
    world.pass_time(1)
    world.agent.connected = False
    world.pass_time(100)
    assert (command.status, len(world.script_of(command).begun_s)) == ("Delivery Timed Out", 1)
    world.agent.connected = True
    world.pass_time(1)
    assert command.status == "Delivery Timed Out"


def test_an_answer_is_told_when_the_network_is_back(world):
    command = world.send(Script(duration_s=5))
    world.pass_time(1)
    world.agent.connected = False
    world.pass_time(20)
    assert command.status == "In Progress"
    world.agent.connected = True
    world.pass_time(0.1)
    assert command.status == "Success"


def test_a_restarted_agent_runs_again_from_the_start_what_was_in_progress(world):
    command, ended = world.send(Script(duration_s=5)), world.send(Script(duration_s=1))
    world.pass_time(3)
    world.agent.restart(world.now_s)
    world.pass_time(4)
    assert command.status == "In Progress"
    world.pass_time(2)
    assert command.status == "Success"
    assert [len(world.script_of(c).begun_s) for c in (command, ended)] == [2, 1]


def test_a_command_is_resumed_15_times_and_then_left_to_its_timeout(world):
    command = world.send(Script(duration_s=math.inf), delivery_limit_s=100, execution_limit_s=900)
    world.pass_time(1)
    for _ in range(MAX_RESUMPTIONS + 3):
        world.agent.restart(world.now_s)
        world.pass_time(1)
    assert len(world.script_of(command).begun_s) == 16
    assert command.status == "In Progress"
    world.pass_time(1000, step_s=1)
    assert command.status == "Delivery Timed Out"


def test_a_command_of_two_days_ago_is_not_resumed(world):
    command = world.send(Script(duration_s=math.inf), delivery_limit_s=100, execution_limit_s=172_800)
    world.pass_time(1)
    world.agent.stop()
    world.now_s += 48 * 3600
    world.agent.begin(world.now_s)
    world.pass_time(1)
    assert len(world.script_of(command).begun_s) == 1


def test_a_cancelled_command_that_waits_never_runs(world):
    command = world.send()
    world.agent.cancel(command, world.now_s)
    world.pass_time(3)
    assert (command.status, world.script_of(command).begun_s) == ("Cancelled", [])


def test_a_cancelled_script_is_given_up_when_the_agent_hears_of_it(world):
    command = world.send(Script(duration_s=math.inf))
    world.pass_time(1)
    world.agent.cancel(command, world.now_s)
    assert command.status == "Cancelling"
    world.pass_time(0.1)
    assert (command.status, command.exit_code) == ("Cancelled", -1)


def test_a_cancellation_comes_too_late_for_a_command_that_has_ended(world):
    command = world.send()
    world.pass_time(2)
    world.agent.cancel(command, world.now_s)
    assert command.status == "Success"


def test_a_lost_agent_seems_online_until_its_next_ping_is_missed(world):
    world.pass_time(1)
    world.agent.connected = False
    world.pass_time(299, step_s=1)
    assert world.agent.seems_online(world.now_s)
    world.pass_time(2, step_s=1)
    assert not world.agent.seems_online(world.now_s)
