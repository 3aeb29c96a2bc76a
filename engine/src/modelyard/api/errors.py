"""The error tree: everything Modelyard raises on purpose.

ModelyardError
├── UserError            the caller can mend it (exit code 1)
│   ├── SpecError        a spec file is wrong; carries every finding
│   ├── SnapshotError    the project folder cannot be packed as it is
│   ├── EnvironmentUnsolvable  packages that do not resolve, or do not fit the runtime
│   ├── ImageUnbuildable  a base or a content that no image can be made of
│   ├── ImageUntrusted   an image that none of the trusted keys signed
│   ├── Refused          a plan was refused; carries the refusals
│   ├── NotFound         no such service, revision, replica, plugin
│   └── Conflict         another operation holds the service
└── SystemError_         the machine or a dependency failed (exit code 2)
    ├── Unavailable      something that should answer does not (yet)
    ├── DeployFailed     a roll-out failed; the old revision still serves
    ├── StoreDamaged     the state store cannot be read
    └── PluginFailed     a plugin raised, hung or answered nonsense

Every error says three things: what happened (`message`), where (`place`) and what to do (`remedy`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.api.refusals import Refusal


class ModelyardError(Exception):
    """Base of every error raised on purpose; `code` is stable and machine-readable."""

    code = "error"
    retryable = False

    def __init__(self, message: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        """Cause, place and remedy on one line."""
        place = f" ({self.place})" if self.place else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.message}{place}{remedy}"

    def details(self) -> list[dict[str, Any]]:
        """Give the findings below this error as plain mappings; empty when there is only one cause."""
        return []


class UserError(ModelyardError):
    """The caller can mend it."""

    code = "user_error"


class SystemError_(ModelyardError):  # noqa: N801  SystemError is a builtin
    """The machine or a dependency failed."""

    code = "system_error"


class SpecError(UserError):
    """A spec file is wrong; `findings` has every mistake with its place, not only the first."""

    code = "invalid_spec"

    def __init__(self, findings: list[dict[str, Any]], *, place: str = "") -> None:
        count = len(findings)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the service specification",
            place=place,
            remedy="mend every finding listed and run the command again",
        )
        self.findings = findings

    def details(self) -> list[dict[str, Any]]:
        """Give each finding: file, line, key, value, message, allowed, suggestion."""
        return self.findings


class SnapshotError(UserError):
    """The project folder cannot be packed as it is."""

    code = "invalid_snapshot"


class EnvironmentUnsolvable(UserError):
    """Packages that do not resolve, exist only as sources, or do not fit the runtime."""

    code = "environment_unsolvable"


class ImageUnbuildable(UserError):
    """A base that cannot be built upon, or content that may not lie in an image."""

    code = "image_unbuildable"


class ImageUntrusted(UserError):
    """An image that nobody signed who is trusted: no replica starts from it where signatures are required."""

    code = "image_untrusted"


class Refused(UserError):
    """A plan was refused: nothing was changed; `refusals` says who refused and why."""

    code = "refused"

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        lines = "; ".join(str(refusal) for refusal in refusals)
        super().__init__(f"the plan was refused: {lines}")
        self.refusals = refusals

    def details(self) -> list[dict[str, Any]]:
        """Give each refusal as a mapping."""
        return [
            {
                "plugin": r.plugin,
                "code": r.code,
                "message": r.message,
                "numbers": dict(r.numbers),
                "remedy": r.remedy,
            }
            for r in self.refusals
        ]


class NotFound(UserError):
    """No such service, revision, replica or plugin."""

    code = "not_found"


class Conflict(UserError):
    """Another operation holds the service; the message names it."""

    code = "conflict"
    retryable = True


class Unavailable(SystemError_):
    """Something that should answer does not (yet): trying again may help."""

    code = "unavailable"
    retryable = True


class DeployFailed(SystemError_):
    """A roll-out failed and was rolled back; what served before still serves."""

    code = "deploy_failed"


class StoreDamaged(SystemError_):
    """The state store cannot be read; nothing that runs was touched."""

    code = "store_damaged"


class PluginFailed(SystemError_):
    """A plugin raised, hung or answered nonsense; `plugin` and `moment` say which and where."""

    code = "plugin_failed"

    def __init__(self, plugin: str, moment: str, reason: str) -> None:
        super().__init__(
            f"plugin {plugin!r} failed in {moment}: {reason}",
            remedy=f"mend or disable the plugin (plugins.disabled: [{plugin}])",
        )
        self.plugin = plugin
        self.moment = moment
        self.reason = reason
