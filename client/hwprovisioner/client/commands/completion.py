"""`hwp completion`: the script that completes commands in a shell."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and names in a shell.

    \b
    bash:  echo 'eval "$(hwp completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(hwp completion zsh)"' >> ~/.zshrc
    fish:  hwp completion fish > ~/.config/fish/completions/hwp.fish
    """  # noqa: D301  # click wants the character
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    click.echo(found(root, {}, "hwp", "_HWP_COMPLETE").source())
