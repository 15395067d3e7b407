"""What is wrong with what a person typed: a name, a class, a training's options, a template."""

from bot.language import N_, Number, either, number
from bot.markup import plain
from bot.templates import MAX_DEPTH, MAX_OPTIONS, MAX_TEMPLATE_CHARS, TemplateProblem
from bot.train_options import MOST_VIEWS, InvalidOption, OptionProblem
from storage.bases import training_sides, usual_rates
from storage.errors import NameProblem

NAME_PROBLEMS = {
    NameProblem.EMPTY: N_("The name is missing."),
    NameProblem.TOO_SHORT: N_("The name is too short: it needs at least two characters."),
    NameProblem.TOO_LONG: N_("The name is too long."),
    NameProblem.CHARACTERS: N_(
        "The name has characters that I cannot use: letters, digits, spaces, `_`, `-` and `'` are fine."
    ),
}
CLASS_PROBLEMS = {
    NameProblem.EMPTY: N_("The class is missing."),
    NameProblem.TOO_SHORT: N_("The class is too short: it needs at least two characters."),
    NameProblem.TOO_LONG: N_("The class is too long."),
    NameProblem.CHARACTERS: N_(
        "The class has characters that I cannot use: letters, digits, spaces, `-` and `'` are fine."
    ),
}
OPTION_PROBLEMS = {
    OptionProblem.RATE_TOO_HIGH: N_(
        "That learning rate is too high for {base}: the model would forget how to draw. "
        "Stay at or below {most}, or leave it to me."
    ),
    OptionProblem.RATE_TOO_LOW: N_(
        "That learning rate is so low for {base} that nothing would be learned. "
        "Take at least {least}, or leave it to me."
    ),
    OptionProblem.RESOLUTION: N_("{base} can be trained at {sides} pixels a side; the largest is what it draws at."),
    OptionProblem.TOO_LONG: N_(
        "So many steps of so many photos would take days: steps times batch size can be {views} at the most."
    ),
    OptionProblem.NO_WEIGHT: N_(
        "With a prior weight of 0 nothing is compared with ordinary examples, so neither their "
        "number nor a class prompt changes anything. Leave those out, or raise the weight."
    ),
    OptionProblem.NO_IMAGES: N_(
        "Without class images neither a prior weight nor a class prompt changes anything. "
        "Leave those out, or ask for some class images."
    ),
    OptionProblem.CLASS_PROMPT: N_(
        "The class prompt needs words: say what other members of the class are called, such as `a photo of a corgi`."
    ),
    OptionProblem.CHILD: N_("A class prompt may not speak of children. Pets, things, styles and adults are fine."),
}
TEMPLATE_PROBLEMS = {
    TemplateProblem.UNCLOSED: N_(
        "That prompt opens a choice and never closes it: `{beach|moon}` needs both its braces."
    ),
    TemplateProblem.TOO_DEEP: N_(
        "Those choices are nested too deeply: {most} levels fit into one another.", most=MAX_DEPTH
    ),
    TemplateProblem.TOO_MANY_OPTIONS: N_("That prompt has too many choices: {most} fit into one.", most=MAX_OPTIONS),
    TemplateProblem.TOO_LONG: N_("That template is too long: {most} characters fit.", most=Number(MAX_TEMPLATE_CHARS)),
    TemplateProblem.BOUNDS: N_(
        "That asks for more choices than there are: `{2-3$$hat|scarf|boots}` takes two or three of the three."
    ),
    TemplateProblem.NO_WEIGHT: N_("In that choice everything has the weight 0, so nothing can be chosen."),
}


def invalid_option(error: InvalidOption) -> str:
    least, most = usual_rates(error.base)
    sides = either([str(side) for side in training_sides(error.base)])
    facts = {"base": plain(error.base), "least": f"{least:g}", "most": f"{most:g}", "sides": sides}
    return OPTION_PROBLEMS[error.problem].format(**facts, views=number(MOST_VIEWS))
