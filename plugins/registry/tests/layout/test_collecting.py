"""What is removed from a layout folder and what stays: deletion, grace, and what other tools have put there."""

from __future__ import annotations

import json
import os

import pytest
from modelyard.api import NotFound
from modelyard_registry.layout import OciLayoutRegistry

from plugins.registry.tests.layout.pushing import REPOSITORY, TYPE, Clock, blob_files, hex_of, push, run


def test_a_digest_stays_readable_after_its_tag_moved_on(registry: OciLayoutRegistry):
    old, new = run(push(registry, b"old")), run(push(registry, b"new"))
    assert run(registry.resolve(REPOSITORY, "1")) == new
    assert run(registry.resolve(REPOSITORY, old.digest)) == old


def test_deleting_a_digest_takes_its_tags_along(registry: OciLayoutRegistry):
    pushed = run(push(registry, b"weights"))
    run(push(registry, b"weights", tag="2"))
    run(registry.delete(REPOSITORY, pushed.digest))
    for reference in ("1", "2", pushed.digest):
        with pytest.raises(NotFound):
            run(registry.resolve(REPOSITORY, reference))


def test_blobs_nothing_names_are_collected_after_their_grace(registry: OciLayoutRegistry, clock: Clock):
    run(push(registry, b"shared", tag="1"))
    gone, kept = run(push(registry, b"gone", tag="2")), run(push(registry, b"kept", tag="3"))
    run(registry.delete(REPOSITORY, "2"))
    assert gone.digest.removeprefix("sha256:") in blob_files(registry)
    clock.now += registry.grace_seconds + 1
    run(push(registry, b"young", tag="4"))
    run(registry.delete(REPOSITORY, "4"))
    files = blob_files(registry)
    assert not {gone.digest.removeprefix("sha256:"), hex_of(b"gone")} & files
    assert {
        kept.digest.removeprefix("sha256:"),
        hex_of(b"kept"),
        hex_of(b"shared"),
        hex_of(b"young"),
    } <= files


def test_a_blob_somebody_just_asked_for_is_not_collected(registry: OciLayoutRegistry, clock: Clock):
    layer = run(registry.push_blob(REPOSITORY, b"weights", TYPE))
    other = run(registry.push_blob(REPOSITORY, b"forgotten", TYPE))
    clock.now += registry.grace_seconds + 1
    assert run(registry.has_blob(REPOSITORY, layer.digest))
    run(push(registry, b"x"))
    run(registry.delete(REPOSITORY, "1"))
    assert run(registry.has_blob(REPOSITORY, layer.digest))
    assert not run(registry.has_blob(REPOSITORY, other.digest))


def test_collection_keeps_everything_while_a_manifest_cannot_be_read(
    registry: OciLayoutRegistry, clock: Clock
):
    broken = run(push(registry, b"broken", tag="1"))
    run(push(registry, b"old", tag="2"))
    registry.layout.blob(broken.digest).write_bytes(b"{")
    clock.now += registry.grace_seconds + 1
    run(registry.delete(REPOSITORY, "2"))
    assert {hex_of(b"broken"), hex_of(b"old")} <= blob_files(registry)


def test_what_a_killed_writer_left_is_swept(registry: OciLayoutRegistry, clock: Clock):
    run(push(registry, b"weights"))
    left = registry.layout.blobs / ".incoming-abc"
    left.write_bytes(b"half")
    os.utime(left, (clock.now, clock.now))
    clock.now += registry.grace_seconds + 1
    run(push(registry, b"x", tag="2"))
    run(registry.delete(REPOSITORY, "2"))
    assert not left.exists()


def test_entries_of_other_tools_survive(registry: OciLayoutRegistry, clock: Clock):
    run(push(registry, b"weights"))
    foreign = run(registry.push_blob(REPOSITORY, b'{"schemaVersion": 2, "layers": []}', TYPE))
    document = json.loads(registry.layout.index_file.read_text())
    entry = {"mediaType": TYPE, "digest": foreign.digest, "size": foreign.size, "annotations": {"a": "b"}}
    document["manifests"].append(entry)
    registry.layout.index_file.write_text(json.dumps(document))
    clock.now += registry.grace_seconds + 1
    run(registry.delete(REPOSITORY, "1"))
    assert json.loads(registry.layout.index_file.read_text())["manifests"] == [entry]
    assert run(registry.has_blob(REPOSITORY, foreign.digest))
