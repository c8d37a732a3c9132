"""Where things stand: as many as were said, apart from each other, in their relation."""

import pytest

from pe.studio.layout import lay_out
from pe.studio.place import HORIZONS
from pe.studio.scene import fill_scene, read_prompt


def spots_of(prompt: str, seed: int = 0):
    scene = fill_scene(read_prompt(prompt), seed)
    return lay_out(scene, HORIZONS[scene.place])


def groups(prompt: str, seed: int = 0):
    found = {}
    for spot in spots_of(prompt, seed):
        found.setdefault(spot.entity.subject, []).append(spot)
    return found


@pytest.mark.parametrize("count", range(2, 10))
def test_things_of_one_kind_can_be_counted(count: int):
    word = ("two", "three", "four", "five", "six", "seven", "eight", "nine")[count - 2]
    for prompt in (f"{word} cats in the meadow", f"{word} cats beside a house"):
        for seed in range(5):
            cats = groups(prompt, seed)["cat"]
            assert len(cats) == count
            for i, one in enumerate(cats):
                for other in cats[:i]:
                    apart = max(abs(one.x - other.x), abs(one.y - other.y))
                    assert apart > 0.85 * (one.half + other.half), (prompt, seed)


def test_everything_is_in_the_picture():
    for prompt in ("a giant castle", "nine elephants", "a cat on a car", "a dog under a tree"):
        for seed in range(5):
            for spot in spots_of(prompt, seed):
                assert 0 < spot.x < 1
                assert spot.y + spot.half <= 1.0
                assert spot.y - spot.half * 0.95 >= -0.05, prompt


def test_on_puts_the_first_on_top_of_the_second():
    found = groups("a cat on a car in the city")
    (cat,), (car,) = found["cat"], found["car"]
    assert cat.foot == pytest.approx(car.y - car.half, abs=0.2)
    assert cat.y < car.y


def test_under_a_tree_is_at_its_foot_and_under_a_cloud_below_it():
    found = groups("a dog under a tree")
    (dog,), (tree,) = found["dog"], found["tree"]
    assert dog.half < tree.half
    assert abs(dog.foot - tree.foot) < 0.15
    found = groups("a house under a cloud")
    assert found["house"][0].y > found["cloud"][0].y


def test_above_is_higher_and_beside_is_beside():
    found = groups("two birds above a house")
    assert max(bird.foot for bird in found["bird"]) < found["house"][0].y
    found = groups("a sheep beside a barn")
    assert found["sheep"][0].x + 0.2 < found["barn"][0].x


def test_in_front_of_is_drawn_last_and_lower_and_behind_is_the_other_way_round():
    spots = spots_of("a fox in front of a castle")
    assert [spot.entity.subject for spot in spots] == ["castle", "fox"]
    assert spots[1].foot >= spots[0].foot
    assert [s.entity.subject for s in spots_of("a fox behind a castle")] == ["fox", "castle"]


def test_sizes_and_cameras_change_how_large_a_thing_is():
    halves = [
        spots_of(f"a {size} cat in the meadow{camera}")[0].half
        for size, camera in (
            ("tiny", ""), ("small", ""), ("", ""), ("big", ""), ("giant", ""),
        )
    ]  # fmt: skip
    assert halves == sorted(halves)
    assert len(set(halves)) == 5
    plain = halves[2]
    assert spots_of("a close-up of a cat in the meadow")[0].half > 1.5 * plain
    assert spots_of("a cat in the meadow, wide shot")[0].half < 0.7 * plain


def test_of_two_things_neither_is_lost():
    for prompt in ("a mouse beside an elephant", "a bee in front of a castle", "a crab on a whale"):
        halves = [spots[0].half for spots in groups(prompt).values()]
        assert min(halves) > 0.1, prompt
        assert min(halves) > 0.45 * max(halves), prompt
