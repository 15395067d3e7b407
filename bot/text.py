"""What the bot says that is longer than a label: every error in a person's words."""

from storage.errors import UserError


def our_fault(reference: str) -> str:
    return f"Something broke on our side, and nothing was lost. If it happens again, tell us this reference: `{reference}`."


def explain(error: UserError) -> str:
    """Say what is wrong and what to do about it."""
    return str(error)
