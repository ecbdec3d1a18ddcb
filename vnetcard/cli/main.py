"""The ``vnetcard`` command: parses the command line, runs one command, reports its error."""

from __future__ import annotations

import argparse
import sys

from vnetcard.cli import (
    bench,
    capture,
    demo,
    doctor,
    info,
    install_extcap,
    install_units,
    ivshmem_server,
    man,
    metrics,
    ping,
    replay,
    report,
    show,
    stack,
    top,
    trace,
)
from vnetcard.cli import status as status_cmd
from vnetcard.errors import ConfigError, VnetcardError
from vnetcard.ring.sideblock import SOFTWARE
from vnetcard.terminal.arguments import Parser, complain, report_error
from vnetcard.terminal.escape import escaped_output, stdout_error
from vnetcard.terminal.refusal import explained
from vnetcard.terminal.stdio import open_missing_descriptors

COMMANDS = (
    demo,
    ping,
    status_cmd,
    show,
    top,
    trace,
    capture,
    replay,
    install_extcap,
    metrics,
    report,
    info,
    doctor,
    bench,
    install_units,
    ivshmem_server,
    stack,
    man,
)
"""In the order of the help."""

EPILOG = """\
The agents are commands of their own: vnetcard-x86 on the host, vnetcard-fpga on the card.
Each command has examples: vnetcard COMMAND --help.  With --json an error is printed as an object, too:
{"error": {"code": ..., "message": ...}}; the codes are stable.
Exit status: 0 success, 1 a negative result, 2 bad input or the command cannot run here, 130 interrupted.
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; ``args.run`` is the function of the command."""
    parser = Parser(
        prog="vnetcard",
        description="A network card made of shared memory: demo, status, diagnosis, measurement.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=SOFTWARE)
    parser.set_defaults(parser=parser)  # for the commands that describe all commands
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit status: 0 success, 1 negative, 2 bad input, 130 interrupted."""
    open_missing_descriptors()
    with escaped_output():
        return _run(argv)


def _run(argv: list[str] | None) -> int:
    args = argparse.Namespace()
    try:
        args = build_parser().parse_args(argv)
        status: int = args.run(args)
        sys.stdout.flush()
    except VnetcardError as error:
        report_error("vnetcard", error, as_json=getattr(args, "json", False) is True)
        return 2
    except KeyboardInterrupt:
        print("vnetcard: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has closed it; Python's own message would be noise
        return 1
    except (OSError, SystemExit) as error:  # argparse ends the process after --help, whatever became of it
        unwritten = stdout_error()
        if unwritten is None and isinstance(error, OSError):
            return _report_refusal(error, args)
        if unwritten is None:
            raise
        if isinstance(unwritten, BrokenPipeError):
            return 1
        complain("vnetcard", ConfigError(f"cannot write to standard output ({unwritten.strerror})"))
        return 2
    except (ImportError, MemoryError, RuntimeError) as error:
        return _report_refusal(error, args)
    return status


def _report_refusal(error: Exception, args: argparse.Namespace) -> int:
    """One line for what the system does not allow; a defect of this program is raised again."""
    failure = explained(error, "go on")
    if failure is None:
        raise error
    report_error("vnetcard", failure, as_json=getattr(args, "json", False) is True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
