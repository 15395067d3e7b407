"""What is kept of a person, how they get it, and how it goes."""

from bot.language import N_, Plural

HELD = {
    "models": Plural("{count} model", "{count} models"),
    "photos": Plural("{count} photo that a model learns from", "{count} photos that models learn from"),
    "pictures": Plural("{count} picture", "{count} pictures"),
    "prompts": Plural("{count} prompt", "{count} prompts"),
    "drafts": Plural("{count} training that waits for your word", "{count} trainings that wait for your word"),
    "consents": Plural(
        "{count} note that you agreed to a training's terms", "{count} notes that you agreed to a training's terms"
    ),
}
"""What is kept of a person."""
NOTHING_HELD = N_("Nothing but that you once asked me for something, if you did.")
YOUR_DATA = N_("All that I keep of you: `data.json`, your pictures, and your models as files for other programs.")
YOUR_DATA_LINKED = N_("[All that I keep of you](<{link}>): a link for a day. Whoever has it can open it.")
LEFT_OUT = Plural(
    "{count} of the files was too large to come along. `/models` hands you each model, and pictures stand on their "
    "cards.",
    "{count} of the files were too large to come along. `/models` hands you each model, and pictures stand on their "
    "cards.",
)
EVERYTHING_GOES = N_(
    "### Delete everything?\nYour models go, with their photos and every picture that anybody drew with them; so do "
    "your other pictures, your prompts, your settings and your consent. What is under way stops. Nobody can bring any "
    "of it back. Copies that you downloaded stay yours."
)
EVERYTHING_GONE = N_(
    "Everything is deleted. Cards in channels lose their pictures in the next minutes. What stays are lines without "
    "content, so that the buttons on old messages know that it is gone, and reports that you made."
)
