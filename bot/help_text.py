"""What is said to who begins: the welcome, the next step, every command, and what I may do in a channel."""

from bot.language import N_
from bot.standing import State

WELCOME = N_(
    "### Hello! I learn what something looks like from a few photos, and then draw it anywhere\n"
    "- {train} teaches me a pet, a thing, a style, or an adult who agrees. I learn from nothing else: I read no "
    "messages here.\n- {imagine} draws it, or anything else.\n- {help} says how to begin.\n"
    "A model is its owner's alone until they share it. Every picture can be deleted by who asked for it and by your "
    "moderators, and anybody can report it."
)
GOOD_PHOTOS = N_(
    "**Three to ten photos of one subject make a model.** Good ones are sharp and bright, show it whole or close up, "
    "from several sides and in several places, and nothing else of its kind. The picture shows what helps and what "
    "does not."
)
HELP_TRAIN = N_(
    "{train} `name:rex class:dog` with the photos attached; without any it opens a form. I show you what I see in them "
    "and what it will cost before anything begins."
)
HELP_NEXT = {
    State.NOTHING: N_("### Let's teach me something of yours\n{good}\n{train}"),
    State.LEARNING: N_(
        "### I am learning {name}\nThe card in the channel shows how far I am, and {jobs} too. Meanwhile "
        "{imagine} draws anything that needs no model: `a boat at sea`."
    ),
    State.FAILED: N_("### Learning {name} did not work out\n{good}\n{train}"),
    State.GUEST: N_(
        "### You can draw {name}\n{imagine} `prompt:{name} on the moon` draws it; others share it with you. "
        "To teach me something of your own:\n{train}"
    ),
    State.OWNER: N_(
        "### Draw {name} anywhere\n{imagine} `prompt:{name} on the moon` draws it. Braces such as "
        "`{{beach|moon|forest}}` take something else for each picture, and {styles} shows looks to put it into. "
        "{models} shares it, renames it, and lets you download it."
    ),
}
COMMANDS = {
    "train": N_("learn a subject from photos"),
    "imagine": N_("draw a picture, with or without a model"),
    "storybook": N_("a story in pictures of one subject, scene by scene"),
    "dataset": N_("many pictures of one subject, to train something else with"),
    "styles": N_("looks for your pictures"),
    "models": N_("your models, and those shared with you"),
    "jobs": N_("what you asked for, and what came of it"),
    "usage": N_("what you have used, and what is left today"),
    "cancel": N_("stop something that is under way"),
    "settings": N_("what /imagine takes by itself, and direct messages"),
    "privacy": N_("what I keep of you, a copy of it, or its deletion"),
}
PERMISSIONS_FINE = N_("I may do here all that I need.")
PERMISSIONS_MISSING = N_(
    "In this channel I miss: {permissions}. Without that I cannot show what I made. Give it to my role, or to me in "
    "this channel, then press Check again."
)
PERMISSIONS = {
    "view_channel": N_("View Channel"),
    "send_messages": N_("Send Messages"),
    "attach_files": N_("Attach Files"),
    "embed_links": N_("Embed Links"),
    "read_message_history": N_("Read Message History"),
    "send_messages_in_threads": N_("Send Messages in Threads"),
}
