"""The command line. Commands are imported when they are called: help and mistakes answer at once."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from argosy_core import __version__
from argosy_core.errors import ArgosyError
from argosy_host.collector import ease

_COMMANDS = {
    "ask": "argosy_host.cli.decide:ask",
    "approve": "argosy_host.cli.approve:approve",
    "call": "argosy_host.cli.call:call",
    "chat": "argosy_host.cli.chat:chat",
    "connect": "argosy_host.cli.connect:connect",
    "decide": "argosy_host.cli.decide:decide",
    "doctor": "argosy_host.cli.doctor:doctor",
    "export": "argosy_host.cli.transfer:export",
    "import": "argosy_host.cli.importing:import_",
    "init": "argosy_host.cli.init:init",
    "judge": "argosy_host.cli.judge:judge",
    "costs": "argosy_host.cli.runs:costs",
    "queue": "argosy_host.cli.work:queue",
    "run": "argosy_host.cli.run:run",
    "runs": "argosy_host.cli.runs:runs",
    "schedules": "argosy_host.cli.work:schedules",
    "search": "argosy_host.cli.search:search",
    "secret": "argosy_host.cli.secret:secret",
    "serve": "argosy_host.cli.serve:serve",
    "down": "argosy_host.cli.up:down",
    "status": "argosy_host.cli.up:status",
    "tools": "argosy_host.cli.tools:tools",
    "token": "argosy_host.cli.token:token",
    "up": "argosy_host.cli.up:up",
    "verify": "argosy_host.cli.transfer:verify",
    "trace": "argosy_host.cli.trace:trace",
}
EXIT_CODES = {"invalid_argument": 2, "blocked": 3, "budget_exhausted": 3, "deferred": 4}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mcp-host")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Argosy: MCP servers over a folder of Markdown, and agents that run on them."""
    ctx.obj = {"debug": debug}


def main() -> None:
    """Entry point of ``mcp-host`` and ``argosy``; ends the process with the exit code of the contract."""
    ease()
    sys.exit(run_cli(sys.argv[1:]))


def run_cli(arguments: list[str]) -> int:
    """Run one command line; returns its exit code.

    0 done · 1 failed · 2 wrong usage · 3 blocked or budget · 4 waiting for a person.
    """
    debug = "--debug" in arguments
    try:
        # --debug may stand anywhere: people add it at the end of the line that failed.
        code = cli.main(["--debug"] * debug + [a for a in arguments if a != "--debug"], standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", None, 1)
    except ArgosyError as exc:
        if debug:
            raise
        return _complain(f"{exc.code}: {exc.message}", exc.hint, EXIT_CODES.get(exc.code, 1))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; a flush at exit would complain
        return 1
    except Exception as exc:
        if debug:
            raise
        return _complain(f"unforeseen: {type(exc).__name__}: {exc}", "--debug shows the traceback", 1)
    return int(code or 0)


def _complain(message: str, hint: str | None, code: int) -> int:
    click.echo(f"mcp-host: {message}", err=True)
    if hint:
        click.echo(f"  → {hint}", err=True)
    return code
