"""Who may see and change which triggers."""

from __future__ import annotations

from argosy_core.errors import PermissionDenied
from argosy_core.serving.server import need_agent
from argosy_core.types import Caller, Role
from argosy_scheduler.trigger_file import Target, Trigger
from argosy_scheduler.when import Watch, When


def may_see(caller: Caller, trigger: Trigger) -> bool:
    """A person sees every trigger, an agent those it made and those that start it."""
    if caller.role is Role.OPERATOR:
        return True
    agent = need_agent(caller)
    return trigger.creator == agent or (trigger.target.kind, trigger.target.name) == ("agent", agent)


def check_may_change(caller: Caller, trigger: Trigger) -> None:
    """Raises PermissionDenied unless *caller* is a person or made *trigger* itself."""
    if caller.role is not Role.OPERATOR and trigger.creator != need_agent(caller):
        owner = f"the agent {trigger.creator}" if trigger.creator else "a person"
        raise PermissionDenied(
            f"the trigger {trigger.name} was made by {owner}", hint="choose another name, or ask a person to change it"
        )


def check_may_ask(caller: Caller, when: When, target: Target) -> None:
    """Raises PermissionDenied when an agent wants another one started, or watches what is not its own."""
    if caller.role is Role.OPERATOR:
        return
    agent = need_agent(caller)
    if target.kind == "agent" and target.name != agent:
        raise PermissionDenied(f"{agent} may schedule itself only", hint=f"target {{agent: {agent}}}, or ask a person")
    if isinstance(when, Watch) and when.glob.pattern.split("/")[0] != agent:
        raise PermissionDenied(f"{agent} may watch its own folder only", hint=f"a glob like {agent}/inbox/*.md")
