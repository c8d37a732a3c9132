"""What is taken out of a prompt before it is split, row by row."""

import pytest

from pe.text.markup import clean_prompt


@pytest.mark.parametrize(
    ("text", "prompt", "parameters", "num_weights"),
    [
        ("(red:1.2) fox, --ar 16:9", "red fox", ("--ar 16:9",), 1),
        ("a cat & # 0 3 9 ; s hat", "a cat ' s hat", (), 0),
        ("black &amp; white", "black & white", (), 0),
        ("((big)) fox (at rest)", "big fox (at rest)", (), 1),
        ("(((fox))) (a (b:1.1):1.3)", "fox a b", (), 3),
        ("((a)) [b] {c}", "a b c", (), 3),
        ("tall tower::2 at dusk :: fog", "tall tower at dusk, fog", ("::2",), 2),
        (
            "a fox\nin snow\nNegative prompt: ugly, Steps: 20",
            "a fox, in snow",
            ("Negative prompt: ugly, Steps: 20",),
            0,
        ),
        (
            "<lora:snow:0.8> a fox, <hypernet:x:1>",
            "a fox",
            ("<lora:snow:0.8>", "<hypernet:x:1>"),
            0,
        ),
        ("https://a.example/b.png a fox", "a fox", ("https://a.example/b.png",), 0),
        (
            "a fox --v 5 --no hats, gloves --q 2",
            "a fox",
            ("--v 5", "--no hats, gloves", "--q 2"),
            0,
        ),
        ("a fox - - ar 1 6 : 9", "a fox", ("- - ar 1 6 : 9",), 0),
        ("a -- v neck sweater", "a -- v neck sweater", (), 0),
        ("/imagine prompt: a fox", "a fox", ("/imagine prompt:",), 0),
        ("fox , , ,, hat,,", "fox, hat", (), 0),
        ("1) a fox :)", "1) a fox :)", (), 0),
        ("cafe\u0301 a\u200bb", "café ab", (), 0),
        ("", "", (), 0),
        (" ,;-- ((", "", (), 0),
    ],
)
def test_switches_and_weights_are_removed_and_nothing_else(text, prompt, parameters, num_weights):
    assert clean_prompt(text) == (prompt, parameters, num_weights)
