"""A revision's image: a plugin's own, one that a registry has, or one that is built; then the service's on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest
from modelyard.api import (
    READABLE_LAYERS,
    Artifact,
    BasePython,
    BuildOrder,
    BuildSite,
    Candidate,
    CodeRef,
    Descriptor,
    EngineSettings,
    EnvironmentSpec,
    EnvironmentUnsolvable,
    ImageBuilt,
    ImageRef,
    ImageSettings,
    ImageUnbuildable,
    ImageUntrusted,
    Maturity,
    PipLayer,
    PluginFailed,
    PluginSettings,
    Refusal,
    Refused,
    Registry,
    ServiceSpec,
    Unavailable,
    UserError,
)
from modelyard.controller.artifacts import bases, images, services
from modelyard.controller.artifacts.images import ImageMaker
from modelyard.controller.ports import Built
from modelyard.environments import CondaLock, CondaPlatform, CondaSpec, Preinstalled
from modelyard.host import load
from modelyard.images import (
    ENVIRONMENT,
    BaseFacts,
    CondaFacts,
    Ground,
    ImageArrangement,
    Inputs,
    Inside,
    Repository,
    ServiceParts,
    Shelves,
    UnderWay,
    describe,
)
from modelyard.images.attesting import sign_image
from modelyard.images.descriptions import describe_conda
from modelyard.images.layers import ZSTD_TYPE, Layer
from modelyard.processes import Home, find_home
from modelyard.store import RevisionRecord
from modelyard.testing import InMemoryRegistry, plugin_from

from engine.tests.images.attesting.making_keys import pair
from engine.tests.images.layering import layer, put_image
from engine.tests.images.making import AMD64, BASES

BASE = f"memory/{BASES}:3"
PYTHON = BasePython(PurePosixPath("/usr/bin/python3.11"), "3.11.7", "cp311", "glibc-2.36", "x86_64", True)
PIP = PipLayer(ENVIRONMENT, PYTHON, "", serving=True)
HERE = (Candidate("here", 1000, 1 << 30, {"kubernetes.io/arch": "amd64"}),)
SERVICE = ImageRef("memory", "images/services/digits", "sha256:service")


@attrs.define
class Builder:
    """Pushes an image that says what it holds; remembers its orders."""

    name: str = "fake"
    maturity: Maturity = Maturity.STABLE
    refusal: Refusal | None = None
    failure: Exception | None = None
    conda: CondaFacts = attrs.field(factory=lambda: CondaFacts(None, ()))
    orders: list[BuildOrder] = attrs.field(factory=list)

    def can_build(self, order: BuildOrder) -> Refusal | None:
        assert order.tag
        return self.refusal

    async def build(self, order: BuildOrder, site: BuildSite) -> Descriptor:
        self.orders.append(order)
        if self.failure:
            raise self.failure
        return await put_image(
            site.workspace,
            [layer({"made": order.tag.encode()})],
            labels={**order.labels, **(describe_conda(self.conda) if order.conda else {})},
            repository=order.repository,
            tag=order.tag,
        )


@attrs.define
class Yard:
    """An image maker over fakes: what it is asked, what it built, what was told."""

    home: Home
    registry: InMemoryRegistry = attrs.field(factory=InMemoryRegistry)
    shared: InMemoryRegistry = attrs.field(factory=lambda: InMemoryRegistry("shared"))
    builder: Builder = attrs.field(factory=Builder)
    events: list[object] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)
    parts: list[ServiceParts] = attrs.field(factory=list)
    grounds: list[Ground] = attrs.field(factory=list)
    begun: list[str] = attrs.field(factory=list)
    prepared: list[tuple[str, PurePosixPath]] = attrs.field(factory=list)

    def maker(self, settings: ImageSettings | None = None, **hooks: Any) -> ImageMaker:
        def hear(event: object) -> None:
            self.events.append(event)

        given: dict[str, Any] = {
            "offer_registries": [self.registry, self.shared],
            "offer_image_builders": [self.builder],
            "on_image_built": hear,
            **hooks,
        }
        host = load(PluginSettings(), entry_points=[plugin_from("all", **given)])
        return ImageMaker(self.home, host, EngineSettings(images=settings or ImageSettings(base=BASE)))

    def build(self, maker: ImageMaker, **environment: Any) -> Built:
        return asyncio.run(maker.build(self.revision(**environment), HERE, self.registry, self.lines.append))

    def revision(self, **environment: Any) -> RevisionRecord:
        return RevisionRecord(
            service="digits",
            number=1,
            created_at=0.0,
            spec=self.spec(**environment),
            code_digest="sha256:code",
            code_dir=str(self.home.state),
        )

    def spec(self, **environment: Any) -> ServiceSpec:
        code = CodeRef(str(self.home.state), "score.py")
        return ServiceSpec(name="digits", code=code, environment=EnvironmentSpec(**environment))


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    made = Yard(find_home({"MODELYARD_HOME": str(tmp_path)}))

    async def arrange(inputs: Inputs, ground: Ground, isolation: str, *, desk: Any) -> ImageArrangement:
        del desk
        assert isinstance(inputs, Inputs)
        made.grounds.append(ground)
        kind: Any = "thread" if isolation == "auto" else isolation
        return ImageArrangement(kind, (PIP,), why="")

    async def facts_of(*_: object) -> BaseFacts:
        return BaseFacts("x86_64", "glibc-2.36", (PYTHON,))

    async def build_service(parts: ServiceParts, *_: object, **more: Any) -> Descriptor:
        made.parts.append(parts)
        assert more["target"].name == parts.repository
        return Descriptor("manifest", SERVICE.digest, 1)

    async def prepare_service(parts: ServiceParts, inside: Inside, **_: Any) -> None:
        made.prepared.append((parts.name, inside.prefix))

    monkeypatch.setattr(images, "arrange_image", arrange)

    async def send_code(parts: ServiceParts, **_: Any) -> UnderWay:
        made.begun.append(parts.name)
        sent = asyncio.create_task(asyncio.sleep(0))
        return UnderWay("key", Layer(Descriptor("tar", SERVICE.digest, 1), SERVICE.digest), sent)

    monkeypatch.setattr(services, "build_service", build_service)
    monkeypatch.setattr(services, "send_code", send_code)
    monkeypatch.setattr(services, "prepare_service", prepare_service)
    monkeypatch.setattr(images, "bundled_runtime", lambda: None)
    monkeypatch.setattr(bases, "facts_of", facts_of)
    asyncio.run(put_image(made.registry, [layer({"a": b"a"})]))
    return made


def test_an_image_that_nobody_has_is_built_and_told(yard: Yard):
    built = yard.build(yard.maker())
    assert built == Built(built.key, str(ENVIRONMENT), image=SERVICE)
    (order,) = yard.builder.orders
    assert (order.repository, order.tag, order.pips) == ("images/environments", built.key, (PIP,))
    (event,) = yard.events
    assert isinstance(event, ImageBuilt)
    assert (event.builder, event.tag) == ("fake", built.key)


def test_a_build_that_fails_ends_the_sending_of_its_code(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    sending = list[asyncio.Task[None]]()

    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def send_code(*_: Any, **__: Any) -> UnderWay:
        sending.append(asyncio.create_task(for_ever()))
        return UnderWay("key", Layer(Descriptor("tar", SERVICE.digest, 1), SERVICE.digest), sending[0])

    async def build_service(*_: Any, **__: Any) -> Descriptor:
        raise Unavailable("the registry is gone", place="r", remedy="start it")

    monkeypatch.setattr(services, "send_code", send_code)
    monkeypatch.setattr(services, "build_service", build_service)

    async def case() -> None:
        with pytest.raises(Unavailable, match="gone"):
            await yard.maker().build(yard.revision(), HERE, yard.registry, yard.lines.append)
        (sent,) = sending
        assert sent.cancelled()  # while the loop goes on

    asyncio.run(case())


def test_models_are_sent_while_the_environment_is_looked_for(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    heard, arranged, arrange = list[str](), asyncio.Event(), images.arrange_image

    async def arrange_image(*arguments: Any, **more: Any) -> ImageArrangement:
        arranged.set()
        return await arrange(*arguments, **more)

    async def store_models(*_: Any, **__: Any) -> None:
        await arranged.wait()
        heard.append("models")

    async def build_service(*_: Any, **__: Any) -> Descriptor:
        heard.append("image")
        return Descriptor("manifest", SERVICE.digest, 1)

    monkeypatch.setattr(images, "arrange_image", arrange_image)
    monkeypatch.setattr(services, "store_models", store_models)
    monkeypatch.setattr(services, "build_service", build_service)
    yard.build(yard.maker())
    assert heard == ["models", "image"]


def test_models_that_cannot_be_sent_leave_no_image(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    async def store_models(*_: Any, **__: Any) -> None:
        raise Unavailable("the registry is full", place="r", remedy="free space")

    monkeypatch.setattr(services, "store_models", store_models)
    with pytest.raises(Unavailable, match="full"):
        yard.build(yard.maker())
    assert yard.parts == []


def test_what_was_built_before_is_found(yard: Yard):
    assert yard.build(yard.maker()) == yard.build(yard.maker())
    assert len(yard.builder.orders) == 1


def test_a_shared_registry_may_have_it(yard: Yard):
    yard.build(yard.maker())
    fresh = InMemoryRegistry("fresh")
    maker = yard.maker(ImageSettings(base=BASE, shared=("memory",)), offer_registries=[fresh, yard.registry])
    asyncio.run(maker.build(yard.revision(), HERE, fresh, yard.lines.append))
    assert len(yard.builder.orders) == 1


def test_a_shared_registry_that_no_plugin_offers_is_named(yard: Yard):
    with pytest.raises(Unavailable, match="no active plugin offers the registry 'gone'"):
        yard.build(yard.maker(ImageSettings(base=BASE, shared=("gone",))))


def test_a_plugin_may_name_the_image_itself(yard: Yard):
    labels = describe(Inputs(AMD64, "sha256:1", EnvironmentSpec()), [PIP], "k")
    made = asyncio.run(put_image(yard.registry, [layer({"b": b"b"})], labels=labels, repository="ready"))
    ref = ImageRef("memory", "ready", made.digest)
    built = yard.build(yard.maker(resolve_image=lambda: ref))
    assert built.image == SERVICE
    assert built.key == made.digest.removeprefix("sha256:")
    assert yard.builder.orders == []


def test_an_image_that_a_plugin_names_must_hold_an_environment(yard: Yard):
    made = asyncio.run(put_image(yard.registry, [layer({"b": b"b"})], repository="ready"))
    ref = ImageRef("memory", "ready", made.digest)
    with pytest.raises(ImageUnbuildable, match="does not say which environments"):
        yard.build(yard.maker(resolve_image=lambda: ref))


def test_a_plugin_may_refuse_an_image(yard: Yard):
    refusal = Refusal(plugin="all", code="not_scanned", message="nobody looked at it")
    with pytest.raises(Refused, match="nobody looked at it"):
        yard.build(yard.maker(resolve_image=lambda: refusal))


def test_docker_steps_are_done_to_the_base_first(yard: Yard):
    built = yard.build(yard.maker(), docker_steps=("RUN true",))
    steps, environment = yard.builder.orders
    assert (steps.repository, steps.docker_steps, steps.pips) == ("images/bases", ("RUN true",), ())
    assert environment.base.repository == "images/bases"
    assert environment.docker_steps == ()
    assert environment.tag == built.key != yard.build(yard.maker()).key


def test_a_dockerfile_makes_the_base(yard: Yard):
    text = "FROM debian\nRUN true\n"
    built = yard.build(yard.maker(), dockerfile=text)
    below, environment = yard.builder.orders
    assert (below.dockerfile, below.context) == (text, None)
    assert environment.base.repository == "images/bases"
    yard.build(yard.maker(), dockerfile=text)
    assert len(yard.builder.orders) == 2
    assert yard.build(yard.maker(), dockerfile=f"{text}RUN false\n").key != built.key


def test_steps_that_copy_are_done_again_when_the_code_changes(yard: Yard):
    maker, steps = yard.maker(), ("COPY a /a",)
    first = yard.build(maker, docker_steps=steps)
    assert yard.builder.orders[0].context == yard.home.state
    revision = attrs.evolve(yard.revision(docker_steps=steps), code_digest="sha256:other")
    second = asyncio.run(maker.build(revision, HERE, yard.registry, yard.lines.append))
    assert first.key != second.key


@pytest.fixture
def conda(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A conda file, whose lock is always the same."""

    async def solve_conda(spec: CondaSpec, platform: CondaPlatform, **_: Any) -> CondaLock:
        assert (spec.channels, spec.pip) == (("company",), ("scipy",))
        assert platform.glibc == "2.36"
        return CondaLock("k", "linux-64", "2.36", ())

    monkeypatch.setattr(bases, "solve_conda", solve_conda)
    yard.builder.conda = CondaFacts(attrs.evolve(PYTHON, version="3.11.9"), (Preinstalled("mathy", "1"),))
    return {"channels": ["company"], "dependencies": ["python=3.11", {"pip": ["scipy"]}]}


def test_conda_packages_are_laid_on_the_base_and_what_pip_installs_on_them(yard: Yard, conda: dict[str, Any]):
    built = yard.build(yard.maker(), conda=conda, docker_steps=("RUN true",))
    steps, below, environment = yard.builder.orders
    assert [one.repository for one in (steps, below, environment)] == [
        "images/bases",
        "images/bases",
        "images/environments",
    ]
    assert below.base.repository == "images/bases"
    assert environment.base.repository == "images/bases"
    assert below.conda is not None
    assert below.conda.file == conda
    assert yard.grounds[0].conda == yard.builder.conda
    assert built.key != yard.build(yard.maker(), conda=conda).key


def test_a_plan_builds_nothing_and_says_what_it_waits_for(yard: Yard, conda: dict[str, Any]):
    seen = asyncio.run(yard.maker().look(yard.spec(conda=conda), HERE, yard.registry))
    assert (seen.key, seen.cached) == ("", False)
    assert "conda packages was not built yet" in seen.why
    assert yard.builder.orders == []
    yard.build(yard.maker(), conda=conda)
    assert asyncio.run(yard.maker().look(yard.spec(conda=conda), HERE, yard.registry)).cached


def test_a_plan_refuses_conda_packages_on_a_base_where_the_server_could_not_run(
    yard: Yard, conda: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    async def facts_of(*_: object) -> BaseFacts:
        return BaseFacts("x86_64", "glibc-2.36", (attrs.evolve(PYTHON, version="3.9.18"),))

    monkeypatch.setattr(bases, "facts_of", facts_of)
    for work in (
        yard.maker().look(yard.spec(conda=conda), HERE, yard.registry),
        yard.maker().build(yard.revision(conda=conda), HERE, yard.registry, print),
    ):
        with pytest.raises(EnvironmentUnsolvable, match=r"the server needs Python 3\.11") as caught:
            asyncio.run(work)
        assert caught.value.place == f"environment.base: {BASE}"
    assert yard.builder.orders == []


def test_an_order_that_no_builder_takes_is_refused_with_every_reason(yard: Yard):
    yard.builder.refusal = Refusal(plugin="all", code="busy", message="not on Fridays")
    with pytest.raises(Refused, match="not on Fridays"):
        yard.build(yard.maker())
    with pytest.raises(Refused, match="no active plugin builds images"):
        yard.build(yard.maker(offer_image_builders=[]))


def test_the_builder_that_the_settings_name_is_asked_first(yard: Yard):
    other = Builder("aaa")
    hooks = {"offer_image_builders": [other, yard.builder]}
    yard.build(yard.maker(ImageSettings(base=BASE, builder="fake"), **hooks))
    assert (len(yard.builder.orders), len(other.orders)) == (1, 0)


def test_a_builder_that_raises_nonsense_is_named_with_its_plugin(yard: Yard):
    yard.builder.failure = ValueError("oops")
    with pytest.raises(PluginFailed, match=r"'all' failed in image_builders:fake\.build: oops"):
        yard.build(yard.maker())


def test_a_failed_build_leaves_nothing_that_is_found(yard: Yard):
    yard.builder.failure = ImageUnbuildable("step 1 failed")
    with pytest.raises(ImageUnbuildable):
        yard.build(yard.maker())
    yard.builder.failure = None
    yard.build(yard.maker())
    assert len(yard.builder.orders) == 2


def test_the_default_base_follows_the_python_asked_for(yard: Yard):
    asyncio.run(put_image(yard.registry, [layer({"c": b"c"})], repository="python", tag="3.9-slim"))
    yard.build(yard.maker(ImageSettings(base="memory/python:{python}-slim")), python="3.9.1")
    (order,) = yard.builder.orders
    assert order.base.repository == "python"


def test_a_plan_says_whether_the_image_is_there(yard: Yard):
    maker = yard.maker()
    before = asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    yard.build(maker)
    after = asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    assert (before.cached, after.cached) == (False, True)
    assert before.key == after.key


def test_a_plan_leaves_open_what_no_registry_tells(yard: Yard):
    @attrs.define
    class Away(InMemoryRegistry):
        async def resolve(self, *_: object) -> Descriptor:
            raise Unavailable("the registry does not answer")

    away: Registry = Away("away")
    maker = yard.maker(ImageSettings(base="away/b:1"), offer_registries=[yard.registry, yard.shared, away])
    seen = asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    assert (seen.key, seen.cached) == ("", False)
    assert "does not answer" in seen.why


def test_a_base_that_must_be_signed_and_is_not_is_refused_before_anything_is_built(
    yard: Yard, tmp_path: Path
):
    pair(tmp_path, "bases")
    settings = ImageSettings(base=BASE, verify_bases="required", base_keys=(tmp_path / "bases.pub",))
    maker = yard.maker(settings)
    with pytest.raises(ImageUntrusted, match="the base is not trusted"):
        yard.build(maker, docker_steps=("RUN true",))
    with pytest.raises(ImageUntrusted):
        asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    assert yard.builder.orders == []


def test_a_plan_says_who_signed_the_base(yard: Yard, tmp_path: Path):
    key, _ = pair(tmp_path, "bases")
    signed = ImageSettings(base=BASE, verify_bases="required", base_keys=(tmp_path / "bases.pub",))

    async def look(settings: ImageSettings | None = None, **environment: Any) -> str:
        return (await yard.maker(settings).look(yard.spec(**environment), HERE, yard.registry)).base

    assert "its signature is not checked" in asyncio.run(look())
    assert "its signature is not checked" in asyncio.run(look(docker_steps=("RUN true",)))
    assert "picked by a Dockerfile" in asyncio.run(look(dockerfile="FROM x"))
    base = asyncio.run(yard.registry.resolve(BASES, "3"))
    asyncio.run(sign_image(base, Repository(yard.registry, BASES), key))
    assert "signed by bases.pub" in asyncio.run(look(signed))


def test_what_docker_could_not_read_is_refused_before_anything_is_built(yard: Yard):
    old = (attrs.evolve(HERE[0], labels={**HERE[0].labels, READABLE_LAYERS: "gzip"}),)
    zstd = yard.maker(ImageSettings(base=BASE, compression="zstd"))
    for work in (
        zstd.look(yard.spec(), old, yard.registry),
        zstd.build(yard.revision(), old, yard.registry, print),
    ):
        with pytest.raises(ImageUnbuildable, match="zstd"):
            asyncio.run(work)
    asyncio.run(put_image(yard.registry, [layer({"a": b"a"})], media_type=ZSTD_TYPE))
    maker = yard.maker()
    with pytest.raises(ImageUnbuildable, match="the base has layers in zstd"):
        asyncio.run(maker.build(yard.revision(docker_steps=("RUN true",)), old, yard.registry, print))
    assert yard.builder.orders == []
    asyncio.run(zstd.build(yard.revision(), HERE, yard.registry, print))


def test_packages_asked_for_at_the_start_are_in_the_image(yard: Yard, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[str, ...]] = []
    arrange: Callable[..., Any] = images.arrange_image

    async def listen(inputs: Inputs, *rest: Any, **more: Any) -> ImageArrangement:
        asked.append(inputs.spec.requirements)
        found: ImageArrangement = await arrange(inputs, *rest, **more)
        return found

    monkeypatch.setattr(images, "arrange_image", listen)
    yard.home.state.mkdir(exist_ok=True)
    (yard.home.state / "extra.txt").write_text("scipy\n# that is all\n")
    variables = {"AZUREML_EXTRA_REQUIREMENTS_TXT": "extra.txt"}
    yard.build(yard.maker(), requirements=("numpy",), variables=variables)
    assert asked == [("numpy", "scipy", "# that is all")]


@pytest.mark.parametrize("named", ["gone.txt", "../../etc/passwd"])
def test_a_file_of_packages_that_cannot_be_read_is_named(yard: Yard, named: str):
    with pytest.raises(EnvironmentUnsolvable, match="cannot be read"):
        yard.build(yard.maker(), variables={"AZUREML_EXTRA_REQUIREMENTS_TXT": named})


def test_shelves_of_a_workspace_know_their_shared_registries(yard: Yard):
    maker = yard.maker(ImageSettings(base=BASE, shared=("shared",)))
    shelves: Shelves = maker._shelves(yard.registry)
    assert shelves.shared == (yard.shared,)


def test_a_build_leases_what_it_takes_and_keeps_the_locks_under_the_key(yard: Yard):
    built = yard.build(yard.maker(), docker_steps=("RUN true",))

    async def case() -> None:
        (image,) = await yard.registry.list_tags("leases/images/environments")
        assert image.startswith(f"{built.key}.")
        assert len(await yard.registry.list_tags("leases/images/bases")) == 1
        assert await yard.registry.list_tags("environments") == (built.key,)

    asyncio.run(case())


def test_an_image_that_is_found_is_leased_too(yard: Yard):
    yard.build(yard.maker())
    fresh = InMemoryRegistry("fresh")
    maker = yard.maker(ImageSettings(base=BASE, shared=("memory",)), offer_registries=[fresh, yard.registry])
    built = asyncio.run(maker.build(yard.revision(), HERE, fresh, yard.lines.append))
    (image,) = asyncio.run(fresh.list_tags("leases/images/environments"))
    assert image.startswith(f"{built.key}.")


def test_without_a_right_to_write_leases_a_build_goes_on(yard: Yard, caplog: pytest.LogCaptureFixture):
    @attrs.define
    class Strict(InMemoryRegistry):
        async def push(self, repository: str, artifact: Artifact, *, tag: str = "") -> Descriptor:
            if repository.startswith("leases/"):
                raise UserError("you may not write there")
            return await super().push(repository, artifact, tag=tag)

    yard.registry = Strict()
    asyncio.run(put_image(yard.registry, [layer({"a": b"a"})]))
    assert yard.build(yard.maker()).image == SERVICE
    assert "no lease of images/environments" in caplog.text


def test_a_plan_says_which_input_makes_it_a_miss_and_where_a_hit_is(yard: Yard):
    maker = yard.maker()
    before = asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    assert before.miss == "no image was built before"
    yard.build(maker)
    after = asyncio.run(maker.look(yard.spec(), HERE, yard.registry))
    assert (after.miss, after.place) == ("", "memory")
    other = asyncio.run(maker.look(yard.spec(docker_steps=("RUN true",)), HERE, yard.registry))
    assert other.miss == "docker_steps: default -> changed"
