"""What one state writes, the next one reads."""

import pytest

from quiesce.policy import TargetSettings


@pytest.mark.parametrize("scripts", ["off", {"from": "server"}, {"from": "bucket", "collect_output": False}])
def test_settings_survive_the_way_through_the_state_machine(scripts):
    settings = TargetSettings.model_validate({"scripts": scripts})
    assert TargetSettings.model_validate_json(settings.model_dump_json()) == settings
    assert TargetSettings.model_validate(settings.model_dump(mode="json")) == settings
