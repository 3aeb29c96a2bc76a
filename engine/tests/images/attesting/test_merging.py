"""A bill names what the image stands on as well, each part once, and hangs on it what its image needs."""

from __future__ import annotations

import json
from typing import Any

import attrs
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from modelyard.environments import Package
from modelyard.images.attesting import Bill, ImageName, with_parts_of, write_sbom

BASE = ImageName("python:3.11-slim", f"sha256:{'2' * 64}")
ENVIRONMENT = ImageName("images/environments", f"sha256:{'3' * 64}")
SERVICE = ImageName("images/services/digits", f"sha256:{'4' * 64}")
BELOW = Bill(
    ENVIRONMENT, BASE, "3.11.9", pips=((Package("numpy", "2.0"), Package("app", "1", requires=("numpy",))),)
)
ABOVE = Bill(SERVICE, ENVIRONMENT, runtime=Package("modelyard-runtime", "0.1.0"))


def merged(above: Bill = ABOVE, *below: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(with_parts_of(write_sbom(above), below or (write_sbom(BELOW),)))
    return found


def names(document: dict[str, Any]) -> list[str]:
    return sorted(one["name"] for one in document["components"])


def test_all_that_lies_below_is_named():
    assert names(merged()) == [
        *("app", "images/environments", "modelyard-runtime", "numpy", "python", "python:3.11-slim"),
    ]


def test_the_image_needs_what_the_one_below_needed():
    document = merged()
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    root = document["metadata"]["component"]["bom-ref"]
    assert "pkg:pypi/app@1" in needs[root]
    assert needs["pkg:pypi/app@1"] == ["pkg:pypi/numpy@2.0"]


def test_it_is_valid_and_the_same_every_time():
    written = with_parts_of(write_sbom(ABOVE), [write_sbom(BELOW)])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
    assert written == with_parts_of(write_sbom(ABOVE), [write_sbom(BELOW)])


def test_what_is_named_twice_stands_once():
    twice = merged(ABOVE, write_sbom(BELOW), write_sbom(BELOW))
    assert names(twice) == names(merged())
    assert twice["serialNumber"] == merged()["serialNumber"]


def test_another_content_has_another_number():
    other = attrs.evolve(ABOVE, runtime=Package("modelyard-runtime", "0.2.0"))
    assert merged(other)["serialNumber"] != merged()["serialNumber"]


def test_what_is_no_bill_is_passed_over():
    for damaged in (b"", b"[]", b"{}", b'{"components": [{}]}'):
        assert names(merged(ABOVE, damaged)) == ["images/environments", "modelyard-runtime"]
