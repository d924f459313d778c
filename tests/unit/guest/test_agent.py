"""Whether AWS knows of an obstacle to asking the application, in words that a person can act on."""

import pytest

from quiesce.guest.agent import Agent, obstacle

GOOD = Agent(online=True, version="3.3.3572.0", platform="Windows", windows="Windows Server 2022")


def an_agent(**changes: object) -> Agent:
    return Agent(**{**vars(GOOD), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("platform", ["Windows", "Windows BYOL", "Windows with SQL Server Standard"])
def test_nothing_stands_in_the_way_of_a_running_windows_server_with_an_agent(platform: str) -> None:
    assert obstacle("running", platform, GOOD) is None


OBSTACLES = {
    "stopped": (("stopped", "Windows", None), "the server was stopped"),
    "stopped, whatever the agent was": (("stopped", "Linux/UNIX", GOOD), "the server was stopped"),
    "not Windows": (("running", "Linux/UNIX", GOOD), "the server is not Windows but Linux/UNIX"),
    "no platform": (("running", "", GOOD), "the server is not Windows but of an unknown platform"),
    "no agent": (
        ("running", "Windows", None),
        "Systems Manager does not know the server: its agent or its instance profile is missing",
    ),
    "offline": (
        ("running", "Windows", an_agent(online=False)),
        "the server's SSM agent has lost its connection",
    ),
    "offline and old": (
        ("running", "Windows", an_agent(online=False, version="1.0.0")),
        "the server's SSM agent has lost its connection",
    ),
    "an agent on Linux": (
        ("running", "Windows", an_agent(platform="Linux")),
        "Systems Manager reports that the server is Linux",
    ),
    "an agent on nothing": (
        ("running", "Windows", an_agent(platform="")),
        "Systems Manager reports that the server is of an unknown platform",
    ),
}


@pytest.mark.parametrize(("seen", "words"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_stands_in_the_way_is_said_in_words(seen: tuple[str, str, Agent | None], words: str) -> None:
    state, platform, agent = seen
    assert obstacle(state, platform, agent) == words  # type: ignore[arg-type]


@pytest.mark.parametrize("version", ["3.0.502", "3.0.502.0", "3.0.503.9", "3.1.0", "3.10.0.1", "10.0.0", "999999.0.0"])
def test_an_agent_that_is_new_enough_will_do(version: str) -> None:
    assert obstacle("running", "Windows", an_agent(version=version)) is None


@pytest.mark.parametrize("version", ["3.0.501", "3.0.501.999999", "2.3.1319.0", "1.0.0", "0.0.0", "2.99.9999"])
def test_an_agent_that_is_too_old_is_told_with_both_versions(version: str) -> None:
    words = f"the server's SSM agent {version} is older than 3.0.502"
    assert obstacle("running", "Windows", an_agent(version=version)) == words


@pytest.mark.parametrize("version", ["", "3.0", "3", "latest", "3.0.502-beta", "v3.0.502", "3.0.502.0.1", "3.0.502\n"])
def test_a_version_that_cannot_be_compared_is_not_guessed_at(version: str) -> None:
    words = f"the server's SSM agent has a version that can't be compared: {version!r}"
    assert obstacle("running", "Windows", an_agent(version=version)) == words
