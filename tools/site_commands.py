"""The reference of a command, written from its argparse parser."""

from __future__ import annotations

import argparse
import importlib

from site_markdown import definition, escaped, literal

__all__ = ["render_command", "render_parser"]

_USAGE_WIDTH = 88


def render_command(import_name: str) -> str:
    """Write the reference of a package's command as Markdown.

    Parameters
    ----------
    import_name : str
        A package whose ``__main__`` has ``build_parser()``.

    Returns
    -------
    str
        Headings start at the second level.
    """
    module = importlib.import_module(f"{import_name}.__main__")
    parser: argparse.ArgumentParser = module.build_parser()
    return render_parser(parser)


def render_parser(parser: argparse.ArgumentParser) -> str:
    """Write the reference of a parser with verbs; one section for each verb."""
    parts = [escaped(parser.description or ""), ""]
    for verb, inner in verbs_of(parser).items():
        parts += [f"## {literal(verb)}", "", escaped(inner.description or ""), ""]
        parts += ["```text", _usage(inner), "```", ""]
        for title, actions in _groups(inner):
            parts += [f"**{escaped(title)}**", ""]
            parts += [_option(inner, action) for action in actions]
    return "\n".join(parts)


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb by its name, in the order of ``--help``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _groups(parser: argparse.ArgumentParser) -> list[tuple[str, list[argparse.Action]]]:
    found = []
    for group in parser._action_groups:
        actions = [
            action
            for action in group._group_actions
            if not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS
        ]
        if actions:
            title = group.title or "options"
            found.append((title[:1].upper() + title[1:], actions))
    return found


def _formatter(parser: argparse.ArgumentParser) -> argparse.HelpFormatter:
    # Not as wide as the terminal in which the site happens to be built.
    return argparse.HelpFormatter(parser.prog, width=_USAGE_WIDTH)


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter = _formatter(parser)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    return formatter.format_help().strip()


def _option(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = _formatter(parser)
    if action.option_strings:
        names = ", ".join(literal(name) for name in action.option_strings)
        value = "" if action.nargs == 0 else formatter._format_args(action, _metavar(action))
        term = f"{names} {literal(value)}" if value else names
    else:
        term = literal(formatter._format_args(action, _metavar(action)))
    text = escaped(formatter._expand_help(action)) if action.help else ""
    notes = []
    if action.required and action.option_strings:
        notes.append("Required.")
    if action.choices is not None and action.metavar is not None:
        choices = ", ".join(literal(str(choice)) for choice in action.choices)
        notes.append(f"One of {choices}.")
    return definition(term, text, " ".join(notes))


def _metavar(action: argparse.Action) -> str:
    return action.dest.upper() if action.option_strings else action.dest
