"""The text of ``--params``: ``NAME=VALUE`` between commas, where a value may be a list, a block or quoted.

Kedro splits at every comma, reads YAML in every text (so that ``/data/my #1`` ends at the blank), takes nothing for
null, and the last of two options for both.
"""

from collections import Counter
from typing import Any

import click
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tandem.errors import UserError

STRUCTURED = ("[", "{", '"', "'")


def parse_params(text: str) -> dict[str, Any]:
    """Parameters by name, nested at the dots.

    Raises:
        UserError: an item without a name, an equals sign or a value; a list or a quotation that does not end.
    """
    given = OmegaConf.create({})
    for item in filter(str.strip, _items(text)):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name or not equals:
            raise UserError(
                f'--params: expected NAME=VALUE, found {item.strip()!r}; a value with a comma is quoted: NAME="a,b", '
                "in quotes of the shell's around all of it"
            )
        if not value:
            raise UserError(f"--params: {name} has no value (an empty variable of the shell?); write null for none")
        try:
            OmegaConf.update(given, name, _value(name, value), force_add=True)
        except OmegaConfBaseException as error:
            raise UserError(f"--params: {name}={value}: {str(error).splitlines()[0]}") from error
    return {str(name): value for name, value in OmegaConf.to_container(given).items()}  # type: ignore[union-attr]


def _items(text: str) -> list[str]:
    """The text cut at its commas, but not inside of a value that begins as a list, a block or a quotation."""
    items, item, depth, quote = [], "", 0, ""
    for char in text:
        before = item.rstrip()[-1:]
        begins = before == "=" and item.count("=") == 1
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and (begins or (depth and before in "[{,:")):
            quote = char
        elif char in "[{" and (begins or depth):
            depth += 1
        elif char in "]}" and depth:
            depth -= 1
        if char == "," and not depth and not quote:
            items.append(item)
            item = ""
        else:
            item += char
    if depth or quote:
        raise UserError(f"--params: {item.strip()} does not end; close the {'quotation' if quote else 'bracket'}")
    return [*items, item]


def _value(name: str, text: str) -> Any:
    """A number, a truth value, null, or the text as it was written; lists, blocks and quotations are YAML."""
    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))["value"]  # type: ignore[index,call-overload]
    except (YAMLError, OmegaConfBaseException) as error:
        if text.startswith(STRUCTURED):
            raise UserError(f"--params: {name}={text} cannot be read: {' '.join(str(error).split())}") from error
        return text
    return value if text.startswith(STRUCTURED) or not isinstance(value, str | dict | list) else text


class WrongUsage(click.ClickException):
    """Told in one line by ``kedro run`` too; Click's own of wrong usage has four."""

    exit_code = 2


def params_given(context: click.Context, parameter: click.Parameter, value: Any) -> dict[str, Any]:
    """Click's callback; a dict comes from the file that ``--config`` names."""
    try:
        return value if isinstance(value, dict) else parse_params(value or "")
    except UserError as error:
        raise WrongUsage(str(error)) from error


class OnceCommand(click.Command):
    """A command that refuses an option which is given twice: Click would take the last one and forget the other."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As Click's own, after a look at what comes how often."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            if times > 1 and isinstance(parameter, click.Option) and not parameter.is_flag:
                raise WrongUsage(f"{parameter.opts[0]} is given {times} times; join them in one, by commas")
        return super().parse_args(ctx, args)
