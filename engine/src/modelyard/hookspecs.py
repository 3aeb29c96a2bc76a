"""Every hook of Modelyard, grouped by kind. A hook appears with the first feature that calls it.

*offer* hooks are asked once, at start, and give lists of records picked by name later.
*decide* hooks are asked during one request and answer with a value, a `Refusal`, or None.
*observe* hooks are told what happened; what they return or raise changes nothing.

None runs per scoring request. Implementations carry `@hookimpl`, take no default arguments and
are not async: async lives on the Protocols that records implement. Each call has a time limit
(`plugins.hook_timeout_seconds`, 5 s); past it the plugin is BROKEN and not called again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from modelyard.api import (
        Authenticator,
        Candidate,
        Check,
        Deleted,
        Deployed,
        DeviceBackend,
        EnvironmentSpec,
        ImageBuilder,
        ImageBuilt,
        ImageRef,
        Planned,
        Platform,
        PluginBroken,
        Refusal,
        Registry,
        ReplicaFailed,
        Scaled,
        Scaler,
        ServiceSpec,
        Target,
    )

GROUP = "modelyard"
"""The entry-point group that plugins register in, and the marker's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


# --- offer ---------------------------------------------------------------------------------


@hookspec
def offer_registries() -> list[Registry]:
    """Offer stores of artifacts (models, environment records).

    When: once, while the controller starts. By whom: the host. Who wins: nobody; all records are
    kept and configuration picks by `name` (`registry: oci-layout`). A name offered twice makes the
    later plugin, in order of entry-point names, BROKEN; the reason names both.
    None: not allowed; give an empty list. Failure: the plugin is BROKEN, the host goes on unless
    the plugin is required. Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_image_builders() -> list[ImageBuilder]:
    """Offer ways to build images.

    When: once, while the controller starts. By whom: the host. Who wins: the builder that
    `images.builder` names, if it can build the order, else the first by name that can.
    None: not allowed; give an empty list. Failure: the plugin is BROKEN; what only its builders
    could build is refused. Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_devices() -> list[DeviceBackend]:
    """Offer device backends, one for each kind of accelerator.

    When: once, while the controller starts; also by `engine devices` and `engine doctor`.
    By whom: the host. Who wins: records are picked by the `kind` a spec asks for; one backend a name.
    None: not allowed; give an empty list. A machine without the device still offers its backend,
    which then discovers nothing. Failure: the plugin is BROKEN. Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_authenticators() -> list[Authenticator]:
    """Offer ways to authenticate callers, one for each `auth:` value.

    When: once, while the controller starts. By whom: the host. Who wins: the spec picks by name;
    `none` is the engine's own and cannot be offered. None: not allowed; give an empty list.
    Failure: the plugin is BROKEN and specs that ask for its names are refused: auth fails closed.
    Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_scalers() -> list[Scaler]:
    """Offer scalers.

    When: once, while the controller starts. By whom: the host. Who wins: `scaling.scaler` of a spec
    picks by name; `busy` is the default. None: not allowed; give an empty list.
    Failure: the plugin is BROKEN; a service whose scaler is gone keeps its replicas.
    Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_targets() -> list[Target]:
    """Offer places where replicas can run.

    When: once, while the controller starts. By whom: the host. Who wins: `target:` of a spec picks
    by name. None: not allowed; give an empty list. Failure: the plugin is BROKEN; replicas of that
    target keep running, unobserved, and their services say so. Maturity: alpha. Since: 0.1.
    """


@hookspec
def offer_checks() -> list[Check]:
    """Offer checks of the machine.

    When: when `engine doctor` or a plan runs. By whom: the host. Who wins: nobody; all checks run.
    None: not allowed; give an empty list. Failure: the plugin is BROKEN; a check that raises becomes
    an ERROR finding which names its plugin. Maturity: alpha. Since: 0.1.
    """


# --- decide --------------------------------------------------------------------------------


@hookspec(firstresult=True)
def resolve_image(spec: EnvironmentSpec, platform: Platform) -> ImageRef | Refusal | None:
    """Name the image that holds an environment, in place of the engine's own search and building.

    The image must be one that a Modelyard built for an environment (`engine images show` says so);
    runtime, models and code are laid upon it. The registry it names must be one of the host's.
    When: before an image is looked up or built, by plans and deploys for targets that take images.
    By whom: the controller. Who wins: the first plugin by name that answers; the others are not
    asked. None: pass; a `Refusal` refuses the plan. Failure: the request fails and names the
    plugin. Maturity: alpha. Since: 0.1.
    """


@hookspec
def veto_placement(spec: ServiceSpec, candidate: Candidate) -> Refusal | None:
    """Refuse a place for a service's replica.

    When: for every candidate of a plan, a deploy and a scale-up. By whom: the controller. Who wins:
    every plugin is asked; one refusal suffices and all are shown. None: no objection.
    Failure: the request fails and names the plugin. Maturity: alpha. Since: 0.1.
    """


@hookspec
def score_placement(spec: ServiceSpec, candidate: Candidate) -> float | None:
    """Say how good a place is, from 0 (worst) to 1 (best).

    When: for candidates nobody vetoed. By whom: the controller. Who wins: the mean of all answers;
    ties fall to the first node by name. None: no opinion. A value outside 0..1 is a failure.
    Failure: the request fails and names the plugin. Maturity: alpha. Since: 0.1.
    """


# --- observe -------------------------------------------------------------------------------


@hookspec
def on_planned(event: Planned) -> None:
    """Hear of a plan, refused or not, after it was made.

    By whom: the controller. Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_image_built(event: ImageBuilt) -> None:
    """Hear that an image was built, since no registry had it.

    By whom: the controller, once per image pushed.
    Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_deployed(event: Deployed) -> None:
    """Hear that a revision took over all traffic.

    By whom: the controller, once per successful deploy or rollback.
    Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_scaled(event: Scaled) -> None:
    """Hear that the wanted number of replicas changed.

    By whom: the controller, after the change was stored.
    Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_replica_failed(event: ReplicaFailed) -> None:
    """Hear that a replica died or could not start.

    By whom: the controller, once per death seen.
    Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_deleted(event: Deleted) -> None:
    """Hear that a service is gone with everything it made.

    By whom: the controller. Failure: logged and counted, never changes an outcome. Since: 0.1.
    """


@hookspec
def on_plugin_broken(event: PluginBroken) -> None:
    """Hear that a plugin was taken out of service; the broken plugin itself is not told.

    By whom: the host. Failure: logged and counted; it does not break the listener, lest one broken
    plugin take others down. Since: 0.1.
    """
