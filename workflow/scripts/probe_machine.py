"""This machine -> results/{hardware}/machine.json: probe_machine.py HARDWARE OUT LOG"""

import sys
from pathlib import Path

from joulebench.config import handed_over
from joulebench.logs import journal
from joulebench.meters.machine import probe, require
from joulebench.records.files import write_json

IDLE_S = 10.0


def main(hardware: str, out: Path, log: Path) -> None:
    with journal(log, f"machine for {hardware}"):
        wanted = handed_over().hardware[hardware]
        machine = probe(wanted.device, hardware_name=hardware, reports_as=wanted.reports_as, idle_s=IDLE_S)
        require(machine, hardware, wanted.device, wanted.reports_as, wanted.server_processes)
        write_json(machine, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
