"""Which image stands in for an initial AMI that is gone: never one of another licence, and each is named."""

from typing import Any

import pytest

from quiesce.recovery.substitutes import Tried, choose_substitute, parameters_for
from tests.support.factories.recovery import a_point, a_source, an_image

LICENSED = {"usage_operation": "RunInstances:0002"}


def point(**source: Any) -> Any:
    return a_point(source=a_source(**{**LICENSED, **source}))


def test_the_first_that_fits_is_taken_and_said() -> None:
    tried = [Tried("the first", None), Tried("the second", an_image("ami-2")), Tried("the third", an_image("ami-3"))]
    found = choose_substitute(tried, point())
    assert (found.image_id, found.said) == ("ami-2", "it is launched from ami-2, the second")


@pytest.mark.parametrize(
    ("image", "source", "words"),
    [
        (None, {}, "it does not exist any more"),
        (an_image(state="deregistered"), {}, "it is deregistered, not available"),
        (an_image(platform=""), {}, "it is of platform Linux, not windows"),
        (an_image(boot_mode="uefi"), {}, "it boots by uefi, not legacy-bios"),
        (
            an_image(billing="RunInstances:0800"),
            {},
            "it has the licence (UsageOperation) RunInstances:0800, not RunInstances:0002",
        ),
        (an_image(product_codes=("aw0ev1",)), {}, "it has the product codes aw0ev1, not none"),
        (an_image(), {"product_codes": ["aw0ev1"]}, "it has the product codes none, not aw0ev1"),
        (
            an_image(),
            {"usage_operation": ""},
            "it can't be compared, because the recovery point does not say under which licence its server ran",
        ),
    ],
)
def test_what_does_not_fit_or_has_another_licence_is_never_taken_and_says_why(
    image: Any, source: dict[str, Any], words: str
) -> None:
    found = choose_substitute([Tried("it", image)], point(**source))
    assert (found.image_id, found.said) == ("", words)


@pytest.mark.parametrize(
    ("windows", "year"),
    [
        ("Microsoft Windows Server 2022 Datacenter 10.0.20348", "2022"),
        ("Microsoft Windows Server 2016 Standard 10.0.14393", "2016"),
    ],
)
def test_awss_public_image_of_the_same_windows_is_looked_for(windows: str, year: str) -> None:
    assert parameters_for(windows) == [
        f"/aws/service/ami-windows-latest/Windows_Server-{year}-English-Full-Base",
        f"/aws/service/ami-windows-latest/TPM-Windows_Server-{year}-English-Full-Base",
    ]


@pytest.mark.parametrize("windows", ["", "Microsoft Windows 11 Pro 10.0.22621", "Microsoft Windows Server 2012 R2 6.3"])
def test_of_any_other_windows_none_is_guessed(windows: str) -> None:
    assert parameters_for(windows) == []
