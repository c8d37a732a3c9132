"""Addresses, telephone numbers and handles are found; sizes, years and settings are none."""

import pytest

from pe.text.personal import find_personal, mask_personal


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("art by @some_one.x, mail a.b+c@site.co.uk now", "art by [handle], mail [email] now"),
        ("a poster that says call (212) 555-0187", "a poster that says call [phone]"),
        ("sign: +44 20 7946 0958!", "sign: [phone]!"),
        ("Instagram @a1, @b2", "Instagram [handle], [handle]"),
    ],
)
def test_what_names_a_person_is_masked(text, masked):
    assert mask_personal(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "a red fox, 1920x1080, 8k, f/1.8, 35mm, 1980s",
        "photo taken in 1 9 8 4, 2 6 mm polaroid, 1 6 k",
        "icon @2x, @ night, a @ b, 3840 x 2160, iso 100 1/250 85mm f1.4 2022",
        "seed 1234567890123 at 60fps, 4096x4096",
        "highly detailed::2 intricate::1.5 --ar 16:9 --seed 123456 --stylize 1000",
    ],
)
def test_figures_of_pictures_are_none(text):
    assert find_personal(text) == []


def test_kinds_and_places_are_told():
    text = "art by @someone, mail me at a.b@site.org"
    found = [(p.kind, text[p.begin : p.end]) for p in find_personal(text)]
    assert found == [("handle", "@someone"), ("email", "a.b@site.org")]
    assert mask_personal(text, "") == "art by , mail me at "
