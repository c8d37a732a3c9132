import re

from tools.make_demo_prompts import (
    BANNED,
    BANNED_BRANDS,
    DEFAULT_OUT,
    HOURS,
    MEDIA,
    NUM_PROMPTS,
    SEED,
    THEMES,
    WORLDS,
    _repeats_a_word,
    main,
    make_prompts,
)


def read_prompts() -> list[str]:
    return DEFAULT_OUT.read_text(encoding="ascii").split("\n")[:-1]


def test_make_prompts_gives_the_rows_of_its_docstring():
    assert make_prompts(185, 3) == [
        "a mouse with a lantern writing a letter under a toadstool, gentle north light, claymation",
        "a stone farmhouse with green shutters, landscape photography, flat grey light",
        "A potter at a spinning wheel, chalk pastel",
    ]


def test_the_file_in_the_repository_is_what_the_tool_writes(tmp_path, monkeypatch):
    out = tmp_path / "demo_prompts.txt"
    monkeypatch.setattr("sys.argv", ["make_demo_prompts.py", "--out", str(out)])
    main()
    assert out.read_bytes() == DEFAULT_OUT.read_bytes()


def test_another_seed_gives_other_prompts_and_a_shorter_run_the_same_first_ones():
    assert make_prompts(SEED, 20) == read_prompts()[:20]
    assert not set(make_prompts(SEED + 1, 20)) & set(read_prompts()[:20])


def test_the_file_is_small_plain_ascii_with_distinct_lines():
    data = DEFAULT_OUT.read_bytes()
    assert data.isascii()
    assert b"\r" not in data
    assert data.endswith(b"\n")
    assert len(data) < 500_000
    prompts = read_prompts()
    assert len(prompts) == len({prompt.casefold() for prompt in prompts}) == NUM_PROMPTS == 3_000


def test_no_prompt_names_an_artist_a_brand_or_a_site():
    for prompt in read_prompts():
        folded = f" {prompt.casefold()} "
        assert not [word for word in (*BANNED, *BANNED_BRANDS) if word in folded], prompt
        assert not re.search(r"(\b\w+) \1\b", folded), prompt  # "in in"
        # A name would have a capital letter inside the prompt.
        assert not re.search(r"(?<!^)\b[A-Z]", prompt.replace("Sunday", "").replace("Earth", ""))


def test_lengths_and_openings_vary():
    prompts = read_prompts()
    num_words = sorted(len(prompt.split()) for prompt in prompts)
    assert num_words[0] <= 6
    assert 12 <= num_words[len(prompts) // 2] <= 22
    assert num_words[-1] >= 30
    leads = tuple(lead for lead_text, _, _ in MEDIA.values() for lead in lead_text.split("|"))
    num_led = sum(prompt.casefold().startswith(leads) for prompt in prompts)
    assert 0.3 < num_led / len(prompts) < 0.6
    assert not any(_repeats_a_word(prompt) for prompt in prompts)
    assert not any(", ," in p or "  " in p or p != p.strip(" ,") for p in prompts)


def test_a_share_of_the_prompts_names_a_theme():
    scenes = [scene for _, text in THEMES.values() for scene in text.split("|")]
    num_themes = sum(any(s in prompt.casefold() for s in scenes) for prompt in read_prompts())
    assert 0.06 < num_themes / NUM_PROMPTS < 0.11


def test_the_grammar_is_as_rich_as_it_says():
    places = {place for world in WORLDS.values() for place in world.places.split("|")}
    lights = {light for _, clear, dull in HOURS.values() for light in f"{clear}|{dull}".split("|")}
    frames = {frame for world in WORLDS.values() for frame in world.frames.split("|")}
    assert sum(len(world.subjects) for world in WORLDS.values()) >= 60
    assert len(places) >= 40
    assert len(lights) >= 20
    assert len(MEDIA) >= 25
    assert len(frames) >= 15
    for world in WORLDS.values():
        assert {name.replace("_", " ") for name in world.media.split()} <= set(MEDIA)
        assert set(world.hours.split()) <= set(HOURS)
