"""Look whether anything is known against the packages of the environments on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.api import Finding, Severity, SpecError
from modelyard.processes import Home

if TYPE_CHECKING:
    from modelyard.environments import Pin
    from modelyard.environments.advisories import Report, Vulnerability

NAME = "vulnerabilities"
MOST_FLAWS = 50
_KEY_LENGTH = 12


def known(home: Home, environ: Mapping[str, str]) -> tuple[Finding, ...]:
    """Look every environment's packages up in the offline database; what nobody knows is never good news."""
    from modelyard.environments import list_installed
    from modelyard.environments.advisories import Database, find_folder, known_vulnerabilities
    from modelyard.spec import read_settings

    installed = {folder.name: list_installed(folder) for folder in _environments(home)}
    if not installed:
        return (Finding(NAME, str(home.environments), Severity.OK, "no environment is on this machine"),)
    try:
        settings = read_settings(home.settings_file).images
    except SpecError as error:
        wrong = f"settings cannot be read: {error.message}"
        return (Finding(NAME, str(home.settings_file), Severity.ERROR, wrong, error.remedy),)
    folder = find_folder(environ, settings.osv_database)
    database = Database(folder, home.cache, settings.osv_max_age_days)
    report = known_vulnerabilities({pin for pins in installed.values() for pin in pins}, database)
    return tuple(_findings(report, folder, installed))


def _environments(home: Home) -> Iterator[Path]:
    # what begins with a dot is being built, or was found broken
    yield from sorted(
        one for one in home.environments.glob("*") if one.is_dir() and not one.name.startswith(".")
    )


def _findings(report: Report, folder: Path, installed: Mapping[str, tuple[Pin, ...]]) -> Iterator[Finding]:
    if report.unknown:
        severity = Severity.INFO if report.is_missing else Severity.WARNING
        yield Finding(
            NAME, str(folder), severity, f"vulnerabilities are unknown: {report.unknown}", report.remedy
        )
    for flaw in report.found[:MOST_FLAWS]:
        yield _flaw(flaw, installed)
    if more := report.found[MOST_FLAWS:]:
        message = f"{len(more)} more vulnerabilities are known"
        yield Finding(NAME, str(folder), Severity.WARNING, message, "mend those above, and look again")
    for doubt in report.undecided:
        fix = "read these advisories: the version cannot be compared with theirs"
        yield Finding(NAME, str(folder), Severity.WARNING, f"it is unknown whether they affect {doubt}", fix)
    if report.is_clean:
        message = f"nothing is known against the {report.checked} packages of {len(installed)} environments"
        yield Finding(NAME, str(folder), Severity.OK, message)


def _flaw(flaw: Vulnerability, installed: Mapping[str, tuple[Pin, ...]]) -> Finding:
    where = [
        key[:_KEY_LENGTH]
        for key, pins in installed.items()
        if any((pin.name, pin.version) == (flaw.name, flaw.version) for pin in pins)
    ]
    rated = ", ".join(filter(None, (flaw.rating.lower(), *flaw.severities)))
    message = f"{', '.join(flaw.ids)}: {flaw.summary or 'no summary'}"
    message += f" ({rated})" if rated else ""
    fix = f"ask for {flaw.name}>={flaw.fixed[0]}" if flaw.fixed else "no release mends it: do without it"
    fix += f", then deploy the services of {', '.join(where)} again"
    return Finding(NAME, f"{flaw.name}=={flaw.version}", Severity.WARNING, message, fix)
