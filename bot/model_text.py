"""What is said of models: which there are, who may draw with them, and who gets one."""

from bot.language import N_
from storage.gallery import Scope, Sort

SCOPES = {
    Scope.MINE: N_("Your models"),
    Scope.SERVER: N_("Models shared with this server"),
    Scope.GIVEN: N_("Models that others share with you"),
    Scope.PUBLIC: N_("Models for everybody"),
}
SORTS = {Sort.NEWEST: N_("The newest first"), Sort.NAME: N_("By name"), Sort.SCORE: N_("The best likeness first")}
NO_MODELS = {
    Scope.MINE: (
        N_(
            "You have none yet. Type `/train`, give your subject a name and a class such as dog, "
            "and add three to ten photos; then draw it anywhere with `/imagine`."
        )
    ),
    Scope.SERVER: N_("There are none yet. Open one of yours with `/models`, and press Share."),
    Scope.GIVEN: N_(
        "There are none yet. Who has a model opens it with `/models`, and presses Share with people or roles."
    ),
    Scope.PUBLIC: N_("There are none yet. Open one of yours with `/models`, and press Share with everybody."),
}
WHICH_COVER = N_("Which of these shall stand for the model in `/models`?")
COVER_SET = N_("That picture stands for {name} from now on.")
WHO_MAY_DRAW = N_("Who may draw with {name}, in any server and in direct messages? Choose nobody to end it.")
WHOSE_ROLE_MAY = N_("And in this server, whoever has one of these roles:")
SHARED_WITH_ROLES = N_(
    "Whoever has {roles} may draw with {name} here: `/models` shows it to them, under what is shared."
)
SHARED_WITH_NO_ROLE = N_("Nobody here may draw with {name} by a role any more.")
SHARED_WITH_PEOPLE = N_("{people} may draw with {name} from now on: `/models` shows it to them.")
SHARED_WITH_NOBODY = N_("Nobody may draw with {name} by name any more.")
WHO_GETS_IT = N_("Who shall have {name}? They are asked here, and nothing happens before they say yes.")
OFFER = N_(
    "<@{heir}>, <@{owner}> would like to give you the model {name}, a {noun}. If you take it, it is yours alone, "
    "and you answer for what it draws."
)
OFFER_TAKEN = N_("{name} belongs to <@{heir}> now, a gift of <@{owner}>.")
OFFER_DECLINED = N_("<@{heir}> left {name} with <@{owner}>.")
OFFER_TAKEN_BACK = N_("<@{owner}> keeps {name}.")
NOT_TO_A_BOT = N_("A model can only go to a person. Choose somebody else; it cannot be you or a bot.")
TAKEN_DOWN = N_("Those who run this bot took it down, so nobody can draw with it for now. You can delete it. They say:")
WHAT_GOES = N_(
    "The model goes, and with it its photos and every picture of it that I keep. Once it is deleted for good, nobody "
    "can bring it back. Pictures that stand in channels stay there."
)
