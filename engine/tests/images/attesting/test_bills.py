"""Bills of materials: valid CycloneDX, the same bytes for the same content, and nothing secret in them."""

from __future__ import annotations

import json
import sysconfig
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from modelyard.api import BasePython
from modelyard.environments import Package, list_packages
from modelyard.images.attesting import Bill, CondaPackage, ImageName, write_sbom
from packaging.utils import canonicalize_name

SHA = "ab" * 32
PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.9", "cp311", "glibc-2.36", "x86_64", True)
IMAGE = ImageName("registry.example:5000/team/digits:7", f"sha256:{'1' * 64}")
BASE = ImageName("python:3.11-slim", f"sha256:{'2' * 64}")
PIPS = (
    Package("app", "1.0", (f"sha256:{SHA}",), "MIT", "Ada", ("lib", "ring-a")),
    Package("lib", "2.0", (f"sha256:{SHA}", f"sha512:{SHA}{SHA}"), "MIT OR Apache-2.0"),
    Package("ring-a", "1", requires=("ring-b",)),
    Package("ring-b", "1", requires=("ring-a",)),
    Package("loop-a", "1", requires=("loop-b",)),
    Package("loop-b", "1", requires=("loop-a",)),
    Package("local", "", (f"sha256:{SHA}",), "Our own licence"),
)
CONDA = CondaPackage(
    "numpy", "2.1", "py311_0", "https://u:p@host.example/t/tk-123/forge?x=1", "linux-64", SHA
)
BILL = Bill(
    IMAGE, BASE, "3.11.9", Package("modelyard-runtime", "0.1.0", (f"sha256:{SHA}",)), (PIPS,), (CONDA,)
)


def document(bill: Bill) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(write_sbom(bill))
    return found


def components(bill: Bill) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in document(bill)["components"]}


def needs(bill: Bill) -> dict[str, set[str]]:
    return {one["ref"]: set(one.get("dependsOn", ())) for one in document(bill)["dependencies"]}


def test_a_bill_is_valid_and_names_every_component():
    written = write_sbom(BILL)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None
    names = {one["name"] for one in json.loads(written)["components"]}
    assert names == {
        "python:3.11-slim",
        "python",
        "modelyard-runtime",
        "numpy",
        *(package.name for package in PIPS),
    }


def test_packages_have_address_hashes_licence_and_supplier():
    found = components(BILL)
    assert found["app"]["purl"] == "pkg:pypi/app@1.0"
    assert found["app"]["hashes"] == [{"alg": "SHA-256", "content": SHA}]
    assert found["app"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert found["app"]["supplier"] == {"name": "Ada"}
    assert found["lib"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert {one["alg"] for one in found["lib"]["hashes"]} == {"SHA-256", "SHA-512"}
    assert found["local"]["licenses"] == [{"license": {"name": "Our own licence"}}]
    assert "version" not in found["local"]


def test_images_are_named_by_digest_and_place():
    found = document(BILL)
    image, base = found["metadata"]["component"], components(BILL)["python:3.11-slim"]
    assert image["purl"] == (
        f"pkg:oci/digits@{IMAGE.digest}?repository_url=registry.example:5000/team/digits"
    )
    assert base["purl"] == f"pkg:oci/python@{BASE.digest}?repository_url=python"
    assert base["hashes"] == [{"alg": "SHA-256", "content": "2" * 64}]


def test_conda_packages_are_named_without_what_lets_somebody_in():
    assert components(BILL)["numpy"]["purl"] == (
        "pkg:conda/numpy@2.1?build=py311_0&channel=https://host.example/forge&subdir=linux-64"
    )
    text = write_sbom(BILL).decode()
    assert not any(secret in text for secret in ("u:p", "tk-123", "x=1"))


def test_the_graph_has_every_need_and_every_component_hangs_on_the_image():
    graph = needs(BILL)
    root = document(BILL)["metadata"]["component"]["bom-ref"]
    assert graph["pkg:pypi/app@1.0"] == {"pkg:pypi/lib@2.0", "pkg:pypi/ring-a@1"}
    assert "pkg:pypi/lib@2.0" not in graph[root], "it comes with app"
    assert "pkg:pypi/loop-a@1" in graph[root], "a ring hangs on one of its own"
    reached, waiting = set[str](), [root]
    while waiting:
        ref = waiting.pop()
        waiting += graph.get(ref, set()) - reached
        reached.add(ref)
    assert reached == graph.keys()


def test_a_package_of_two_environments_stands_once_with_the_needs_of_both():
    other = (Package("app", "1.0", requires=("late",)), Package("late", "3"))
    both = attrs.evolve(BILL, pips=(PIPS, other))
    assert [one["name"] for one in document(both)["components"]].count("app") == 1
    assert needs(both)["pkg:pypi/app@1.0"] >= {"pkg:pypi/lib@2.0", "pkg:pypi/late@3"}


def test_nothing_of_a_clock_or_of_chance_is_in_it():
    first = write_sbom(BILL)
    assert write_sbom(attrs.evolve(BILL, pips=(PIPS[::-1],))) == first == write_sbom(BILL)
    assert "timestamp" not in json.loads(first)["metadata"]


def test_another_content_has_another_serial_number():
    other = attrs.evolve(BILL, python="3.12.1")
    assert document(other)["serialNumber"] != document(BILL)["serialNumber"]
    assert document(BILL)["serialNumber"].startswith("urn:uuid:")


def test_an_image_that_is_its_own_base_stands_once():
    assert "components" not in document(Bill(IMAGE, IMAGE))


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)


@settings(max_examples=30, deadline=None)
@given(WORDS, WORDS, WORDS, st.sampled_from(["", "conda-forge", "https://a:b@h.example/t/x/c", "//", "::"]))
def test_whatever_packages_call_themselves_the_bill_is_valid(
    version: str, licence: str, supplier: str, channel: str
):
    pips = (Package("app", version, licence=licence, supplier=supplier),)
    conda = (CondaPackage("c", version, "", channel, "", licence=licence),)
    written = write_sbom(Bill(IMAGE, BASE, pips=(pips,), conda=conda))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written.decode()) is None


@pytest.mark.parametrize("channel", ["https://u:p@host.example/forge", "https://host.example/t/tk/forge"])
def test_a_channel_is_named_by_its_public_address(channel: str):
    conda = attrs.evolve(CONDA, channel=channel)
    text = write_sbom(attrs.evolve(BILL, conda=(conda,))).decode()
    assert "channel=https://host.example/forge" in text


def test_the_packages_that_these_tests_run_with_make_a_valid_bill():
    site = Path(sysconfig.get_path("purelib"))
    lock = "".join(
        f"{canonicalize_name(one.name)}=={one.version} --hash=sha256:{SHA}\n"
        for one in metadata.distributions(path=[str(site)])
    )
    packages = list_packages(lock, PYTHON, site)
    bill = attrs.evolve(BILL, pips=(packages,))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(write_sbom(bill).decode()) is None
    found = components(bill)
    assert found["attrs"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert found["pytest"]["supplier"]["name"]
    assert any(one.startswith("pkg:pypi/pluggy@") for one in needs(bill)[found["pytest"]["bom-ref"]])
