"""The command line: `dreambot bot`, `dreambot worker` and `dreambot demo`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

EX_CONFIG = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part; returns its exit code."""
    parser = _parser()
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.part != "demo":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _run(chosen, rest)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("bot.", "gpu_worker.", "storage")):
            raise  # ours, and its part is there: a mistake in the code
        return _fail(f"{error.name} is not installed. Run: pip install 'dreambot[{chosen.part}]'")


def _run(chosen: argparse.Namespace, rest: list[str]) -> int:
    """Import a part only when it runs: the bot's machine has no torch, and a worker's no discord.py."""
    if chosen.part == "demo":
        from bot.playground.__main__ import main as demo

        return demo(rest)
    env_file: Path | None = chosen.env_file
    if env_file is not None and not env_file.is_file():
        return _fail(f"There is no settings file {env_file}.")
    if chosen.part == "bot":
        from bot.__main__ import main as bot

        return bot(env_file)
    from gpu_worker.__main__ import main as worker

    return worker(env_file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dreambot", description="A Discord bot that learns your subject from photos.")
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, what in (("bot", "the Discord side; needs DISCORD_TOKEN"), ("worker", "the GPU side: trains and draws")):
        part = parts.add_parser(name, help=what, description=what)
        part.add_argument("--env-file", type=Path, help="settings file (default: .env, where there is one)")
    parts.add_parser("demo", help="both in the browser, without a token, a GPU or a Redis server", add_help=False)
    return parser


def _fail(line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201 - the last word before the exit
    return EX_CONFIG


if __name__ == "__main__":
    sys.exit(main())
