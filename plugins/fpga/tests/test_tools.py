"""Tools are run with argv and a time limit; what they print is parsed, what they cannot do is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_fpga import tools
from modelyard_fpga.tools import ToolReport, ask_tools, normal_address, parse_opae, parse_xrt

XRT = json.dumps(
    {
        "schema_version": {"schema": "JSON"},
        "system": {"host": {"devices": [{"bdf": "0000:3b:00.1", "vbnv": "xilinx_u250", "is_ready": True}]}},
    }
)
OPAE = """\
Intel Acceleration Development Platform
//****** FME ******//
Interface                        : DFL
Object Id                        : 0xEF00000
PCIe s:b:d.f                     : 0000:B1:00.0
Vendor Id                        : 0x8086
Ports Num                        : 01
Pr Interface Id                  : 69528db6-eb31-577a-8c36-68f9faa081f6
//****** FME ******//
PCIe s:b:d.f                     : 0000:B2:00.0
Ports Num                        : 02
"""


def put(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def asked(folder: Path) -> ToolReport:
    (report,) = ask_tools(path=str(folder))
    return report


def test_without_tools_there_are_no_reports(tmp_path: Path):
    assert ask_tools(path=str(tmp_path)) == ()


@pytest.mark.parametrize("name", ["xrt-smi", "xbutil"])
def test_xrts_report_is_read_from_the_file_it_writes(tmp_path: Path, name: str):
    put(tmp_path, name, f'[ "$1 $2 $3 $4" = "examine -f json -o" ] && [ ! -e "$5" ] && echo \'{XRT}\' > "$5"')
    report = asked(tmp_path)
    assert (report.tool, report.problem) == (name, "")
    assert report.facts == {"0000:3b:00.1": {"vbnv": "xilinx_u250", "ready": "true"}}


def test_xrts_new_name_is_preferred(tmp_path: Path):
    for name in ("xbutil", "xrt-smi"):
        put(tmp_path, name, f"echo '{XRT}' > \"$5\"")
    assert asked(tmp_path).tool == "xrt-smi"


def test_opaes_blocks_are_read_by_address(tmp_path: Path):
    put(tmp_path, "fpgainfo", f"[ $1 = fme ] && cat <<'EOF'\n{OPAE}EOF")
    facts = asked(tmp_path).facts
    assert facts["0000:b1:00.0"]["pr_interface_id"] == "69528db6-eb31-577a-8c36-68f9faa081f6"
    assert facts["0000:b2:00.0"] == {"ports_num": "02"}


def test_both_tools_are_asked(tmp_path: Path):
    put(tmp_path, "xbutil", f"echo '{XRT}' > \"$5\"")
    put(tmp_path, "fpgainfo", "true")
    assert [report.tool for report in ask_tools(path=str(tmp_path))] == ["xbutil", "fpgainfo"]


def test_a_tool_that_fails_tells_its_status_and_last_line(tmp_path: Path):
    put(tmp_path, "fpgainfo", "echo cannot open /dev/dfl-fme.0 >&2; exit 3")
    assert asked(tmp_path) == ToolReport(
        "fpgainfo", problem="it ended with status 3: cannot open /dev/dfl-fme.0"
    )


def test_a_tool_that_hangs_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tools, "TOOL_SECONDS", 0.2)
    put(tmp_path, "xbutil", f"exec {os.confstr('CS_PATH').split(':')[0]}/sleep 30")
    assert asked(tmp_path).problem == "no answer within 0.2 s"


def test_a_tool_that_cannot_be_run_says_why(tmp_path: Path):
    file = tmp_path / "fpgainfo"
    file.write_text("#!/no/such/interpreter\n")
    file.chmod(0o755)
    assert "cannot be run" in asked(tmp_path).problem


def test_a_tool_that_writes_no_report_says_so(tmp_path: Path):
    put(tmp_path, "xbutil", "exit 0")
    assert asked(tmp_path).problem == "it wrote no report"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000:B1:00.0", "0000:b1:00.0"),
        ("b1:00.0", "0000:b1:00.0"),
        ("0000:b1:00:0", "0000:b1:00.0"),
        ("", ""),
        ("no address", ""),
        ("0000:b1:00.9", ""),
    ],
)
def test_addresses_are_written_as_sysfs_does(text: str, address: str):
    assert normal_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"system": 3}', '{"system": {"host": {"devices": [1, {}]}}}']
)
def test_a_report_of_another_shape_gives_no_facts(text: str):
    assert parse_xrt(text) == {}


@given(st.text())
def test_no_output_of_a_tool_can_stop_the_reading(text: str):
    assert all(normal_address(one) == one for one in (*parse_xrt(text), *parse_opae(text)))
