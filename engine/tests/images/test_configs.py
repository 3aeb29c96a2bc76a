"""The configuration of an image: what is kept of the base, what is ours, and that it never varies."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard.api import Artifact, Descriptor, ImageUnbuildable, Platform
from modelyard.images import Addition, Base, Image, Part, Start
from modelyard.images.configs import config_descriptor, read_base, write_config
from modelyard.images.layers import TAR_TYPE, Layer

from engine.tests.images.making import AMD64, CONFIG_TYPE, GZIP_TYPE, base_config

MANIFEST = Descriptor("manifest", "sha256:" + "a" * 64, 500)
BLOB = Descriptor(GZIP_TYPE, "sha256:" + "b" * 64, 100)
CONFIG = Descriptor(CONFIG_TYPE, "sha256:" + "c" * 64, 200)
LAYER = Layer(Descriptor(TAR_TYPE, "sha256:" + "d" * 64, 1), "sha256:" + "d" * 64)
DOCKER = "application/vnd.docker."


def artifact(layer_type: str = GZIP_TYPE) -> Artifact:
    return Artifact(CONFIG_TYPE, (attrs.evolve(BLOB, media_type=layer_type),), config=CONFIG)


def base(document: object = None, *, wanted: Platform = AMD64, layer_type: str = GZIP_TYPE) -> Base:
    content = json.dumps(base_config() if document is None else document).encode()
    return read_base("python:3", MANIFEST, artifact(layer_type), content, wanted)


def written(image: Image) -> dict[str, Any]:
    return json.loads(write_config(image, [LAYER] * len(image.additions)))


def image(below: Base | None = None, **start: Any) -> Image:
    return Image(below or base(), [Addition(Part.CODE, ())], "digits", "sha256:code", Start(**start))


def test_the_layers_of_the_base_come_first():
    document = written(image())
    assert document["rootfs"]["type"] == "layers"
    assert document["rootfs"]["diff_ids"] == [*base_config()["rootfs"]["diff_ids"], LAYER.diff_id]


def test_the_platform_is_the_bases():
    arm = base(base_config(architecture="arm64", variant="v8"), wanted=Platform("linux", "arm64"))
    document = written(image(arm))
    assert (document["os"], document["architecture"], document["variant"]) == ("linux", "arm64", "v8")


def test_the_history_counts_as_many_layers_as_there_are_and_knows_no_time_of_ours():
    history = written(image())["history"]
    assert [entry["created_by"] for entry in history] == ["ADD rootfs", "CMD", "modelyard code"]
    assert "created" not in history[-1]


@pytest.mark.parametrize("history", [[], None, [{"created_by": "one"}, {"created_by": "two"}]])
def test_a_history_that_does_not_match_the_layers_is_written_anew(history: object):
    document = written(image(base(base_config(history=history))))
    assert [entry["created_by"] for entry in document["history"]] == ["base", "modelyard code"]


def test_variables_are_added_to_the_bases_and_win():
    document = written(image(variables={"LANG": "C", "AZUREML_MODEL_DIR": "/opt/model"}))
    assert document["config"]["Env"] == ["AZUREML_MODEL_DIR=/opt/model", "LANG=C", "PATH=/usr/bin"]


def test_an_entrypoint_replaces_the_bases_command():
    running = written(image(entrypoint=("/opt/run", "serve")))["config"]
    assert running["Entrypoint"] == ["/opt/run", "serve"]
    assert "Cmd" not in running


def test_without_an_entrypoint_the_bases_command_stays():
    running = written(image())["config"]
    assert running["Cmd"] == ["python3"]
    assert "Entrypoint" not in running


def test_the_bases_root_user_does_not_stay():
    assert written(image())["config"]["User"] == "65532:65532"


def test_volumes_and_ports_join_those_of_the_base():
    below = base(base_config(config={"Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}}}))
    running = written(image(below, volumes=("/var/lib/x",), ports=(8484,)))["config"]
    assert running["Volumes"] == {"/data": {}, "/var/lib/x": {}}
    assert running["ExposedPorts"] == {"80/tcp": {}, "8484/tcp": {}}
    assert "Volumes" not in written(image())["config"]


def test_labels_say_what_it_is_and_what_it_stands_on():
    assert written(image())["config"]["Labels"] == {
        "vendor": "somebody",
        "org.opencontainers.image.title": "digits",
        "org.opencontainers.image.revision": "sha256:code",
        "org.opencontainers.image.base.name": "python:3",
        "org.opencontainers.image.base.digest": MANIFEST.digest,
    }


def test_the_same_image_has_the_same_bytes_however_its_base_is_spelt():
    document = base_config()
    backwards = dict(reversed(document.items()))
    backwards["config"] = dict(reversed(document["config"].items()))
    one, other = image(base(document)), image(base(backwards), variables={})
    assert write_config(one, [LAYER]) == write_config(other, [LAYER])


def test_no_time_but_1970_is_in_what_we_write():
    assert written(image())["created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("layer_type", "ours"),
    [
        (TAR_TYPE, TAR_TYPE),
        (f"{DOCKER}image.rootfs.diff.tar.gzip", GZIP_TYPE),
        (f"{TAR_TYPE}+zstd", f"{TAR_TYPE}+zstd"),
    ],
)
def test_layers_of_the_base_get_the_types_of_an_oci_manifest(layer_type: str, ours: str):
    assert base(layer_type=layer_type).layers == (attrs.evolve(BLOB, media_type=ours),)


@pytest.mark.parametrize(
    "layer_type", ["application/octet-stream", f"{DOCKER}image.rootfs.foreign.diff.tar.gzip"]
)
def test_a_base_with_other_layers_is_refused(layer_type: str):
    with pytest.raises(ImageUnbuildable, match="a layer of the type"):
        base(layer_type=layer_type)


def test_a_base_for_another_platform_is_refused_with_both():
    with pytest.raises(ImageUnbuildable, match="built for linux/amd64, not for linux/arm64") as caught:
        base(wanted=Platform("linux", "arm64"))
    assert caught.value.place == "python:3"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"architecture": "amd64", "os": "linux"},
        base_config(rootfs={"diff_ids": []}),
        base_config(rootfs={"diff_ids": [1]}),
        base_config(rootfs=[]),
        base_config(config=[1]),
        base_config(config={"Env": "PATH"}),
        base_config(config={"Env": [1]}),
        base_config(config={"Labels": {"a": 1}}),
        base_config(history=["ADD"]),
        base_config(history={"a": 1}),
    ],
)
def test_a_damaged_configuration_is_refused_by_the_bases_name(document: object):
    with pytest.raises(ImageUnbuildable, match="its configuration is damaged") as caught:
        base(document)
    assert caught.value.place == "python:3"
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_no_json_is_refused(content: bytes):
    with pytest.raises(ImageUnbuildable, match="its configuration is damaged"):
        read_base("python:3", MANIFEST, artifact(), content, AMD64)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    ("architecture",),
    ("os",),
    ("variant",),
    ("history",),
    ("rootfs",),
    ("rootfs", "diff_ids"),
    ("config",),
    *(("config", key) for key in ("Env", "Labels", "Cmd", "Entrypoint", "Volumes", "User")),
]


@given(st.sampled_from(KEYS), VALUES)
def test_whatever_a_base_holds_it_is_refused_or_an_image_stands_on_it(key: tuple[str, ...], value: object):
    document = json.loads(json.dumps(base_config()))
    inner = document
    for part in key[:-1]:
        inner = inner[part]
    inner[key[-1]] = value
    try:
        below = base(document)
    except ImageUnbuildable:
        return
    assert written(image(below))["config"]["User"] == "65532:65532"


def test_an_artifact_that_is_no_image_is_no_base():
    with pytest.raises(ImageUnbuildable, match="no container image"):
        config_descriptor("models/digits:1", Artifact("application/vnd.modelyard.model.v1", (BLOB,)))


def test_an_image_of_docker_is_a_base():
    config = attrs.evolve(CONFIG, media_type=f"{DOCKER}container.image.v1+json")
    assert config_descriptor("python:3", attrs.evolve(artifact(), config=config)) == config
