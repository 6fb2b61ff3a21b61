"""Who plays whom in the load: nobody sits in two seats, and nobody taps for a key that lies in a drawer."""

from loadtests.load import casting
from loadtests.load.dataset import BY_TOKEN, SIGNATORIES, staff


def posts_of(persona: str) -> set[str]:
    return {person.slug.rpartition(".")[0] for person in casting._of(staff(4), casting._ROLES[persona])}


def test_those_with_a_token_have_no_telephone():
    assert posts_of("token-signatory") == {BY_TOKEN}
    assert posts_of("phone-signatory") == posts_of("late-phone") == set(SIGNATORIES) - {BY_TOKEN}
    assert len(casting._of(staff(4), casting._ROLES["phone-signatory"])) == 8


def test_the_second_of_a_post_sits_as_the_first_does():
    assert {post.rstrip("0123456789") for post in posts_of("officer")} == set(casting._ROLES["officer"])
    assert len(posts_of("officer")) > len(casting._ROLES["officer"])
