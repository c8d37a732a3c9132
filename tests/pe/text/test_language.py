"""Tags of languages: other languages are told from English, and short English stays English."""

import pytest

from pe.text.language import tag_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a red fox of the snow", "en"),
        ("futuristic bike", "en"),
        ("cyberpunk monkey, 8k, octane render", "en"),
        ("kobold fanart, dnd, sketch", "en"),
        ("un perro saltando en la playa con un sombrero", "es"),
        ("statues sur une plage de galets dans l'espace", "fr"),
        ("ein alter Leuchtturm am Meer bei Sonnenuntergang", "de"),
        ("старый маяк на берегу моря, который освещает путь кораблям", "ru"),
        ("雪の中の赤い狐", "ja"),
        ("雪地里的红狐狸", "zh"),
        ("1 9 6 9", "und"),
        ("", "und"),
    ],
)
def test_languages_are_told(text, language):
    assert tag_language(text) == language
