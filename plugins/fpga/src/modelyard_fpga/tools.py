"""Ask the vendors' tools what sysfs does not tell: XRT's `xrt-smi` or `xbutil`, OPAE's `fpgainfo`.

Parsing is pure; running takes argv lists and a time limit, and a tool that fails tells its reason.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import attrs

TOOL_SECONDS = 1.5
"""Backends answer within 2 s; a tool that waits for a dead card is cut off before."""

XRT_TOOLS = ("xrt-smi", "xbutil")
"""Newest name first: XRT renamed the tool and drops the old name."""

_BLOCK = re.compile(r"^//\*+\s*(\w+)\s*\*+//$")
_BDF = re.compile(r"^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$", re.IGNORECASE)


@attrs.frozen
class ToolReport:
    """What one tool said: facts by PCI address; `problem` when it could not say."""

    tool: str
    facts: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    problem: str = ""


def ask_tools(path: str | None = None) -> tuple[ToolReport, ...]:
    """Run each tool that is installed; `path` replaces `PATH`."""
    reports = []
    xrt = next((found for name in XRT_TOOLS if (found := shutil.which(name, path=path))), None)
    if xrt:
        reports.append(_ask_xrt(xrt))
    if opae := shutil.which("fpgainfo", path=path):
        reports.append(_ask_opae(opae))
    return tuple(reports)


def parse_xrt(text: str) -> dict[str, dict[str, str]]:
    """Read the JSON of `examine`: address -> facts."""
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    host = _mapping(_mapping(_mapping(document).get("system")).get("host"))
    facts: dict[str, dict[str, str]] = {}
    for device in map(_mapping, _sequence(host.get("devices"))):
        address = normal_address(str(device.get("bdf", "")))
        if address:
            named = {"vbnv": device.get("vbnv"), "ready": device.get("is_ready")}
            facts[address] = {name: _word(value) for name, value in named.items() if value is not None}
    return facts


def parse_opae(text: str) -> dict[str, dict[str, str]]:
    """Read the `Key : value` blocks of `fpgainfo fme`: address -> facts."""
    facts: dict[str, dict[str, str]] = {}
    block: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if _BLOCK.match(line):
            block = {}
            continue
        name, found, value = line.partition(" : ")
        if not found:
            continue
        block[_key(name)] = value.strip()
        address = normal_address(block.get("pcie_s_b_d_f", ""))
        if address:
            facts[address] = block
    return {address: _without_address(known) for address, known in facts.items()}


def normal_address(text: str) -> str:
    """Write an address as sysfs does (`0000:3b:00.0`); empty when it is none."""
    # fpgainfo writes s:b:d.f and, in some releases, s:b:d:f
    tidy = re.sub(r"^([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}):([0-7])$", r"\1.\2", text.strip().lower())
    if not _BDF.match(tidy):
        return ""
    return tidy if tidy.count(":") == 2 else f"0000:{tidy}"  # noqa: PLR2004  a domain is there


def _ask_xrt(tool: str) -> ToolReport:
    name = Path(tool).name
    with tempfile.TemporaryDirectory(prefix="modelyard-xrt-") as folder:
        report = Path(folder) / "report.json"  # a new file: the tool refuses one that exists
        problem = _run([tool, "examine", "-f", "json", "-o", str(report)])[1]
        if problem:
            return ToolReport(tool=name, problem=problem)
        if not report.exists():
            return ToolReport(tool=name, problem="it wrote no report")
        return ToolReport(tool=name, facts=parse_xrt(report.read_text(errors="replace")))


def _ask_opae(tool: str) -> ToolReport:
    output, problem = _run([tool, "fme"])
    return ToolReport(tool="fpgainfo", facts={} if problem else parse_opae(output), problem=problem)


def _run(argv: list[str]) -> tuple[str, str]:
    try:
        ended = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=TOOL_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "", f"no answer within {TOOL_SECONDS:g} s"
    except OSError as error:
        return "", f"it cannot be run: {error.strerror}"
    if ended.returncode:
        last = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        return "", f"it ended with status {ended.returncode}" + (f": {last[0][:200]}" if last else "")
    return ended.stdout, ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _without_address(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if name != "pcie_s_b_d_f"}
