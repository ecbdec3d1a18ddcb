"""What the running agents of a window report about their interfaces: conflicts, missing addresses and routes."""

from __future__ import annotations

from vnetcard.agent.control import ask_all
from vnetcard.agent.status import port_problems
from vnetcard.codes.error import ErrorCode
from vnetcard.doctor.verdict import Finding, Verdict
from vnetcard.errors import ConfigError
from vnetcard.window import WindowUrl


def inspect(url: WindowUrl | None) -> list[Finding]:
    """A finding per problem; none where no agent of the window runs here."""
    if url is None:
        return []
    try:
        views = ask_all(str(url), "status").said
    except ConfigError:
        return []
    found = []
    for problem in port_problems(views):
        code = next(one for one in ErrorCode if one.value == problem["code"])
        found.append(Finding("window", "interface", Verdict.FAIL, problem["message"], code.remedy, code))
    return found
