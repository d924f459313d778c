"""Settings alone reads the environment, and names each variable that is missing."""

import pytest

from quiesce.settings import Settings

ENVIRONMENT = {
    "STACK_NAME": "s",
    "TABLE_NAME": "t",
    "BUCKET_NAME": "b",
    "TOPIC_ARN": "a",
    "LOOK_DOCUMENT": "l",
    "ACT_DOCUMENT": "d",
    "TIMEZONE": "UTC",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_settings_come_from_the_environment() -> None:
    expected = Settings(
        stack_name="s",
        table_name="t",
        bucket_name="b",
        topic_arn="a",
        look_document="l",
        act_document="d",
        timezone="UTC",
    )
    assert Settings.from_env() == expected


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(RuntimeError, match=f"environment lacks {name}: "):
        Settings.from_env()


def test_an_empty_variable_is_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "")
    monkeypatch.setenv("TOPIC_ARN", "")
    with pytest.raises(RuntimeError, match="environment lacks TABLE_NAME, TOPIC_ARN: "):
        Settings.from_env()
