"""What kind of subject a class noun names, where the person does not say."""

from storage.contract import SubjectKind

KINDS: dict[SubjectKind, frozenset[str]] = {
    SubjectKind.PET: frozenset(
        "animal bird budgie bunny canary cat chicken chinchilla cockatiel corgi cow dachshund dog donkey duck "
        "ferret fish frog gecko gerbil goat goose guineapig hamster hedgehog hen horse husky iguana kitten "
        "labrador lizard mare mouse parakeet parrot pet pig pony poodle pug puppy rabbit rat retriever "
        "rooster sheep snake spaniel terrier tortoise turtle".split()
    ),
    SubjectKind.PERSON: frozenset(
        "actor actress adult bride bridegroom couple dad father female friend gentleman grandfather "
        "grandmother guy human husband lady male man me mom mother mum myself person selfie singer wife woman".split()
    ),
    SubjectKind.STYLE: frozenset("aesthetic art artstyle drawing illustration painting sketch style".split()),
}
CHILDREN = frozenset("baby boy child girl infant kid minor newborn schoolboy schoolgirl teen teenager toddler".split())


def guess_kind(class_noun: str) -> SubjectKind:
    """Guess by the last word, which in English is the one that names the thing: a "toy dog" is a dog."""
    last = class_noun.split()[-1]
    return next((kind for kind, words in KINDS.items() if last in words), SubjectKind.OBJECT)


def names_a_child(class_noun: str) -> bool:
    return class_noun.split()[-1] in CHILDREN
