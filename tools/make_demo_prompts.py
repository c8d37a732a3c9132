"""Write `data_builders/demo_prompts.txt`: 3,000 prompts made by a small grammar, no person's words.

`make demo` trains on them, so that a newcomer needs no download. A *world* holds what goes
together: subjects with what they do (`|` between choices), places, hours, weathers, moods, ways to
draw and to frame it. Light follows hour and weather, palette follows mood, finish follows medium.
Knows nothing of captions, flavors or queries: those are for the builder to find.

Command: python tools/make_demo_prompts.py    (same seed, same bytes)
"""

import argparse
import dataclasses
import random
import re
from pathlib import Path

SEED = 20240
NUM_PROMPTS = 3_000
THEME_RATE = 0.085
DEFAULT_OUT = Path(__file__).resolve().parents[1] / "data_builders" / "demo_prompts.txt"

# hour -> (when, light under a clear sky, light in dull weather); "@" hours are indoors or special
HOURS = {
    "dawn": (
        "at dawn|early in the morning|at first light",
        "pale morning light|soft early sun|a pink sunrise sky|low sun and long shadows",
        "cool grey morning light|soft diffused light",
    ),
    "day": (
        "on a bright afternoon|at noon|on a clear day",
        "bright sunlight|crisp clear light|warm sunshine|broken cloud and patches of sun",
        "soft overcast light|flat grey light|muted daylight|silvery light",
    ),
    "golden": (
        "at golden hour|late in the afternoon|at sunset",
        "golden hour|warm low sun|glowing backlight|long amber shadows|golden rim light",
        "a band of gold under dark clouds|warm hazy light",
    ),
    "dusk": (
        "at dusk|at twilight|just after sunset",
        "blue hour|fading lilac light|afterglow on the horizon|soft twilight",
        "dim blue light|last grey light of the day",
    ),
    "night": (
        "at night|under a full moon|beneath the stars",
        "moonlight|starlight|silver moonlight and deep shadows",
        "faint cloud-veiled moonlight|deep blue darkness",
    ),
    "@window": (
        "on a quiet morning|in the afternoon|on a slow Sunday",
        "soft window light|light slanting in from one side|gentle north light|dust in a sunbeam",
        "",
    ),
    "@lamp": (
        "late at night|in the evening|after dark",
        "warm lamplight|candlelight|firelight|a single bare bulb and deep shadows",
        "",
    ),
    "@studio": (
        "",
        "soft studio light|dramatic side lighting|chiaroscuro lighting|rim lighting",
        "",
    ),
    "@street": (
        "at night|after midnight|on a late evening",
        "neon glow|light spilling from shop windows|street lamps|city lights",
        "neon reflections on wet ground|hazy street lamps|blurred city lights",
    ),
    "@deep": (
        "",
        "shafts of light from the surface|deep blue gloom|faint bioluminescent glow|"
        "rippling caustics",
        "",
    ),
    "@space": (
        "",
        "hard unfiltered sunlight|light of a distant nebula|cold starlight|glow of a giant moon",
        "",
    ),
}

MOODS = {  # words, palettes
    "calm": (
        "peaceful mood|quiet and still|serene atmosphere|tranquil",
        "muted blues and greys|soft pastel colors|sage green and cream|pale airy colors",
    ),
    "warm": (
        "nostalgic mood|cozy atmosphere|gentle mood|homely",
        "warm earth tones|honey and ochre tones|amber and rust|faded vintage colors",
    ),
    "dramatic": (
        "dramatic mood|brooding atmosphere|solemn|intense",
        "deep blues and blacks|high contrast|charcoal and crimson|slate grey with a touch of gold",
    ),
    "joyful": (
        "playful mood|cheerful|full of life|lighthearted",
        "bright primary colors|vivid saturated colors|candy colors|sunny yellow and turquoise",
    ),
    "dreamy": (
        "dreamlike atmosphere|mysterious|otherworldly|magical mood",
        "violet and teal|pearly colors|indigo and silver|pink and lavender",
    ),
    "sad": (
        "melancholy mood|wistful|hushed and lonely|bittersweet",
        "desaturated colors|ash grey and faded blue|washed-out colors|sepia and dusty rose",
    ),
}
HOUR_MOODS = {  # where an hour does not suit every mood
    "night": "calm dramatic dreamy sad",
    "dusk": "calm dreamy sad warm dramatic",
    "@street": "calm dramatic dreamy sad warm",
    "@lamp": "warm calm dreamy dramatic sad",
    "@deep": "calm dramatic dreamy",
    "@space": "dramatic dreamy calm sad",
}

# name -> (before the subject, as a flavor, finish); a name ending in "*" has no colors
MEDIA = {
    "watercolor": (
        "a watercolor painting of|a loose watercolor of",
        "watercolor|watercolor on rough paper",
        "wet-on-wet washes|soft bleeding edges|white paper showing through",
    ),
    "oil": (
        "an oil painting of",
        "oil painting|oil on canvas",
        "thick impasto brushwork|visible brushstrokes|rich glazes",
    ),
    "gouache": ("a gouache painting of", "gouache illustration", "flat opaque shapes|matte finish"),
    "acrylic": ("an acrylic painting of", "acrylic on canvas", "bold brushwork|layered texture"),
    "impressionist": (
        "an impressionist painting of",
        "impressionist style",
        "dabs of broken color|loose brushwork",
    ),
    "pastel": ("a soft pastel drawing of", "chalk pastel", "smudged edges|velvety texture"),
    "colored pencil": ("a colored pencil drawing of", "colored pencil", "fine layered strokes"),
    "charcoal*": ("a charcoal drawing of", "charcoal on paper", "smudged shadows|expressive marks"),
    "pencil*": ("a pencil sketch of", "graphite drawing", "delicate shading|loose sketch lines"),
    "ink*": ("an ink drawing of", "pen and ink", "fine cross-hatching|confident line work"),
    "ink wash*": (
        "an ink wash painting of",
        "ink wash",
        "sparse brushstrokes|generous empty space",
    ),
    "etching*": ("an etching of", "antique etching", "dense hatched lines|aged paper"),
    "linocut": ("a linocut of", "linocut print", "bold carved lines|limited palette"),
    "woodblock": (
        "a woodblock print of",
        "japanese woodblock print",
        "flat areas of color|strong outlines",
    ),
    "screen print": ("a screen print of", "screen print", "halftone texture|three ink colors"),
    "poster": (
        "a vintage travel poster of",
        "vintage travel poster",
        "simplified shapes|bold flat color",
    ),
    "pixel art": (
        "pixel art of",
        "pixel art|16-bit pixel art",
        "crisp pixels|limited color palette",
    ),
    "low poly": ("a low poly render of", "low poly", "faceted shapes|clean geometry"),
    "3d": ("a 3d render of", "3d render", "soft global illumination|physically based materials"),
    "isometric": ("an isometric illustration of", "isometric view", "clean edges|miniature scale"),
    "paper": (
        "a layered paper cut-out of",
        "paper cut art",
        "crisp layered shadows|textured cardstock",
    ),
    "glass": ("a stained glass window of", "stained glass", "bold lead lines|jewel-like colors"),
    "mosaic": ("a mosaic of", "mosaic tiles", "small irregular tiles|gold tesserae"),
    "felt": ("a felted wool model of", "needle felting", "fuzzy texture|handmade feel"),
    "clay": ("a clay model of", "claymation", "visible fingerprints|handmade feel"),
    "storybook": (
        "a storybook illustration of",
        "children's book illustration",
        "gentle outlines|whimsical details",
    ),
    "comic": ("a comic book panel of", "comic book art", "bold ink outlines|halftone shading"),
    "anime": ("an anime scene of", "anime style", "clean line art|detailed background"),
    "concept": ("concept art of", "concept art", "intricate details|painterly detail"),
    "digital": (
        "a digital painting of",
        "digital painting",
        "highly detailed|soft blended strokes",
    ),
    "vector": ("a flat vector illustration of", "flat vector art", "simple shapes|clean edges"),
    "art nouveau": ("an art nouveau panel of", "art nouveau", "ornate border|flowing lines"),
    "photo": (
        "a photograph of|a photo of",
        "photograph|photorealistic",
        "sharp focus|shallow depth of field|natural textures|35mm lens",
    ),
    "film": ("a 35mm film photo of", "35mm film", "fine grain|slight light leaks|muted highlights"),
    "mono photo*": (
        "a black and white photograph of",
        "black and white photography",
        "rich tonal range|film grain|strong contrast",
    ),
    "instant": ("an instant photo of", "instant film", "soft focus|faded edges"),
    "still": (
        "a cinematic still of",
        "cinematic film still",
        "anamorphic lens|shallow focus|film grain",
    ),
    "wildlife": (
        "a wildlife photograph of",
        "wildlife photography",
        "telephoto lens|tack-sharp eyes",
    ),
    "macro": ("a macro photograph of", "macro photography", "extreme detail|creamy bokeh"),
    "portrait": ("a portrait photograph of", "portrait photography", "85mm lens|soft bokeh"),
    "street": ("a street photograph of", "street photography", "candid moment|35mm lens"),
    "landscape": (
        "a landscape photograph of",
        "landscape photography",
        "wide-angle lens|deep focus",
    ),
    "product": ("a still life photograph of", "still life photography", "sharp focus|fine texture"),
    "food": ("a food photograph of", "food photography", "shallow depth of field|fresh textures"),
}
PAINT = "watercolor oil gouache acrylic impressionist pastel colored_pencil"
DRAW = "charcoal* pencil* ink* ink_wash* etching* linocut woodblock"
PHOTO = "photo photo film mono_photo* still"
CUTE = "storybook storybook felt clay gouache watercolor pixel_art paper colored_pencil vector 3d"

WIDE = "wide shot|panoramic view|aerial view|low horizon|small figure in a vast landscape"
SCENIC = "wide shot|panoramic view|aerial view|low horizon|layered depth|centered composition"
CLOSE = "close-up|extreme close-up|seen from the side|centered composition|eye-level view"
BEAST = "close-up|eye-level view|low angle|framed by foliage|in profile|centered composition"
PERSON = "medium shot|over-the-shoulder view|full-length view|candid framing|seen from behind"
FACE = "close-up|head and shoulders|three-quarter view|in profile|tight crop"
TABLE = "seen from above|flat lay|close-up|centered composition|negative space|three-quarter view"
STREET = "wide shot|low angle|seen through a window|strong leading lines|eye-level view"
MONUMENT = "low angle|wide shot|symmetrical composition|seen from afar|silhouette against the sky"
HERO = "low angle|wide shot|dynamic angle|silhouette against the sky"

MILD = "in thin mist|after the rain|in light rain|"
COLD = "in thin mist|in falling snow|after fresh snowfall|in light rain|"


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    subjects: dict[str, str]  # who -> what they do; "who @ place" overrides the places
    places: str = ""
    hours: str = "dawn day golden dusk night"
    weather: str = ""  # an empty choice is a clear sky, which is as likely as all the others
    moods: str = "calm warm dramatic joyful dreamy sad"
    media: str = f"{PAINT} {DRAW} {PHOTO}"
    frames: str
    weight: int = 2


# These tables read better unformatted: a world on few lines.
# fmt: off
WORLDS = {
    "forest": World(
        subjects={
            "a red fox": "curled up asleep|pausing mid-step|looking back over its shoulder",
            "a young deer": "lifting its head to listen|standing very still|with its mother",
            "a brown bear": "ambling along|sniffing the air|with two cubs",
            "a barn owl": "perched on a low branch|gliding on silent wings",
            "a brown hare": "sitting upright with ears raised|frozen in place",
            "a grey wolf": "trotting alone|with its head lowered|watching from the shadows",
        },
        places="in a birch forest|in a clearing of tall ferns|beside a mossy stream|"
        "at the edge of a pine wood|among autumn beech trees|beneath an ancient oak",
        weather=COLD, moods="calm dramatic dreamy sad", frames=BEAST, weight=4,
        media=f"{PAINT} {DRAW} photo wildlife wildlife wildlife digital storybook pixel_art glass",
    ),
    "savanna": World(
        subjects={
            "an elephant": "walking with her calf|throwing dust over its back|raising its trunk",
            "a giraffe": "bending its long neck|standing tall and alert",
            "a lioness": "resting with half-closed eyes|watching the horizon|carrying a cub",
            "a herd of zebras": "drinking in a row|moving in a long line",
        },
        places="on the open savanna|beside a shrinking waterhole|in tall dry grass|"
            "near a lone acacia",
        hours="dawn day golden dusk", moods="calm warm dramatic", frames=f"{BEAST}|{WIDE}",
        media=f"{PAINT} {DRAW} photo wildlife wildlife wildlife screen_print poster low_poly",
    ),
    "sea": World(
        subjects={
            "a sea turtle": "gliding slowly|rising for air",
            "a humpback whale @ in clear open water|beneath a small boat":
                "drifting with her calf|rolling onto its side",
            "a shoal of silver fish": "turning as one",
            "a jellyfish": "trailing long tentacles|pulsing softly",
            "an octopus": "unfurling its arms|changing color",
            "a diver": "floating weightless|holding a small lamp",
        },
        places="over a coral reef|above a sunken ship|in a kelp forest|in clear open water",
        hours="@deep", moods="calm dreamy dramatic", frames="seen from below|wide shot|close-up|"
            "in profile",
        media=f"{PAINT} photo photo still digital concept pixel_art glass paper 3d linocut",
        weight=3,
    ),
    "house pets": World(
        subjects={
            "a tabby cat": "stretching lazily|curled up asleep|washing one paw",
            "a ginger kitten": "batting at a ball of yarn|peering out from under a blanket|yawning",
            "an old terrier": "dozing with one ear up|waiting patiently|chewing a slipper",
            "a black cat": "watching a moth|sitting on a pile of letters",
        },
        places="in a cluttered study|on a tiled kitchen floor|beside a wood stove|"
        "on a faded armchair|among potted plants|on a patchwork quilt",
        hours="@window @lamp", moods="calm warm joyful", frames=CLOSE, weight=3,
        media=f"{PAINT} photo film photo pencil* storybook anime felt pixel_art linocut vector",
    ),
    "crafts": World(
        subjects={
            "a potter @ in a dusty studio|at a spinning wheel":
                "shaping a tall vase|with clay-covered hands",
            "a watchmaker @ at a crowded workbench|in a tiny shop":
                "bent over a brass gear|peering through a loupe",
            "a baker @ in a small village bakery|beside a brick oven":
                "dusting loaves with flour|kneading dough",
            "a violin maker @ in a workshop full of wood shavings":
                "carving a scroll|testing a string",
            "a blacksmith @ in a dark forge|at the anvil": "hammering a glowing blade|"
                "wiping his brow",
            "a seamstress @ in an attic workroom": "pinning a blue dress|threading a needle",
            "a glassblower @ before a roaring furnace": "turning molten glass|"
                "shaping a bright bubble of glass",
            "a librarian @ in a vast old library": "reaching for the highest shelf|"
                "reading on a ladder",
        },
        hours="@window @lamp", moods="calm warm dramatic", frames=PERSON, weight=3,
        media=f"{PAINT} {DRAW} {PHOTO} storybook digital",
    ),
    "city people": World(
        subjects={
            "a street musician": "playing the accordion|tuning a battered guitar",
            "a woman in a yellow raincoat": "waiting for a tram|walking a small dog",
            "a bicycle courier": "checking a crumpled map|speeding past",
            "an elderly couple": "sharing an umbrella|walking arm in arm",
            "a flower seller": "arranging tulips|counting coins",
            "a boy with a paper boat": "crouching by a puddle|looking up at the sky",
        },
        places="on a cobbled street|at a crowded crossing|under an old stone bridge|"
        "outside a corner cafe|in a narrow alley",
        hours="dawn day dusk @street @street", weather="in heavy rain|in light rain|in dense fog|"
            "in falling snow|",
        moods="calm warm joyful sad dramatic", frames=f"{PERSON}|{STREET}", weight=4,
        media=f"{PAINT} {DRAW} {PHOTO} street street anime comic digital screen_print",
    ),
    "wanderers": World(
        subjects={
            "a lone hiker": "looking out over the valley|leaning into the wind",
            "a shepherd": "leading his flock|resting on a crook",
            "a girl with a red kite": "running barefoot|laughing",
            "an old man and his dog": "walking slowly|sitting side by side",
            "two children": "racing each other|sharing a secret",
            "a woman on horseback": "riding at a walk|stopping to look back",
        },
        places="on a grassy ridge|across a wide empty meadow|along a winding hill path|"
            "on a windswept moor",
        hours="dawn day golden dusk", weather="in thin mist|before a storm|under drifting clouds|",
        moods="calm warm joyful dreamy sad", frames=f"{PERSON}|{WIDE}", weight=3,
        media=f"{PAINT} {DRAW} {PHOTO} storybook anime woodblock",
    ),
    "boats": World(
        subjects={
            "a small wooden fishing boat": "tied to a post|rocking gently|with peeling blue paint",
            "a tall sailing ship": "with furled sails|riding at anchor",
            "an empty rowing boat": "with a broken oar|half hidden by reeds",
            "an old fisherman @ in a quiet harbor|beside a weathered jetty|on an upturned boat":
                "mending a net|coiling a rope|lighting his pipe",
        },
        places="in a quiet harbor|on a glassy lake|in a narrow fjord|"
            "beside a weathered jetty",
        weather="in thin mist|in light rain|in dense fog|", moods="calm warm dreamy sad",
        frames="wide shot|low horizon|mirrored reflections|seen from the jetty|negative space",
        weight=3,
        media=f"{PAINT} {PAINT} {DRAW} {PHOTO} landscape poster woodblock mosaic",
    ),
    "buildings": World(
        subjects={
            "a white lighthouse @ on a rocky headland|on a small island|above crashing waves":
                "with a red door|",
            "a ruined abbey": "overgrown with ivy|open to the sky",
            "a wooden cabin": "with one lit window|with smoke rising from its chimney",
            "an old windmill": "with tattered sails|with a crooked door",
            "a stone farmhouse": "with a sagging roof|with green shutters",
            "a small white chapel": "with a leaning cross|with its doors wide open",
        },
        places="above a wide valley|at the edge of a still lake|among rolling hills|"
        "at the foot of steep mountains|in a field of tall grass",
        weather=COLD + "|under gathering storm clouds|", moods="calm warm dramatic dreamy sad",
        frames=MONUMENT, weight=4,
        media=f"{PAINT} {DRAW} {PHOTO} landscape landscape poster pixel_art isometric low_poly "
            "paper glass",
    ),
    "cities": World(
        subjects={
            "a canal city": "of leaning brick houses|seen from a bridge",
            "a hillside town": "of whitewashed houses|of red-tiled roofs",
            "a busy market square": "full of striped awnings|with a dry fountain",
            "an old railway station": "with a great glass roof|with an empty platform",
            "a rooftop garden": "above the traffic|strung with laundry",
            "a narrow staircase street": "lined with lanterns|hung with drying sheets",
        },
        hours="dawn day golden dusk @street", weather="in light rain|in thin mist|in falling snow|",
        frames=STREET, weight=3, moods="calm warm joyful dramatic dreamy",
        media=f"{PAINT} {DRAW} {PHOTO} street poster isometric pixel_art anime vector digital",
    ),
    "landscapes": World(
        subjects={
            "a snow-capped mountain range": "reflected in a lake|above a sea of cloud",
            "a waterfall": "plunging into a green pool|veiled in spray",
            "a desert of tall dunes": "with a thin line of camels|carved by the wind",
            "terraced rice fields": "filled with water|stepping down a valley",
            "a lavender field": "running to the horizon|with a single tree",
            "a meadow of wildflowers": "bending in the wind|beside a wooden fence",
            "a winding river": "in a deep red canyon|crossing a wide plain",
            "a rocky coast": "with towering sea stacks|battered by waves",
        },
        weather="in thin mist|under gathering storm clouds|", moods="calm dramatic dreamy joyful",
        frames=SCENIC, weight=4,
        media=f"{PAINT} {PAINT} ink_wash* etching* woodblock linocut photo landscape landscape "
        "mono_photo* poster low_poly pixel_art concept mosaic glass",
    ),
    "still life": World(
        subjects={
            "a bowl of ripe figs": "with a silver knife|",
            "a vase of white peonies": "shedding petals|",
            "a basket of lemons": "with glossy leaves|",
            "a loaf of crusty bread": "and a wedge of cheese|",
            "an open book": "beside a pair of spectacles|with a pressed flower",
            "a chipped blue teapot": "and two cups|with rising steam",
            "a pair of worn leather boots": "with loose laces|",
            "a brass telescope": "and old star charts|",
        },
        places="on a linen tablecloth|on a rough wooden table|on a marble windowsill|"
            "against a dark background",
        hours="@window @lamp @studio", moods="calm warm dramatic sad", frames=TABLE, weight=3,
        media=f"{PAINT} {PAINT} {DRAW} product product film mosaic vector paper",
    ),
    "food": World(
        subjects={
            "a steaming bowl of ramen": "topped with a soft egg|",
            "a stack of pancakes": "dripping with syrup|",
            "a slice of berry tart": "dusted with sugar|", "a plate of oysters": "on crushed ice|",
        },
        places="on a dark slate board|at a small cafe table|on a wooden counter",
        hours="@window @studio", moods="warm joyful", frames=TABLE, weight=1,
        media="food food food watercolor gouache colored_pencil anime vector oil clay pixel_art",
    ),
    "vehicles": World(
        subjects={
            "a steam locomotive @ on a stone viaduct|in a mountain pass": "trailing white smoke|",
            "a vintage motorcycle @ on a desert road|outside a roadside diner":
                "leaning on its stand|",
            "a rusted pickup truck @ in an overgrown field|beside a gas station":
                "with flat tires|",
            "a hot air balloon @ above a patchwork of fields|over a river valley":
                "drifting|rising slowly",
            "a red tram @ on a steep city street|on a tree-lined avenue":
                "climbing slowly|half empty",
            "a biplane @ over green hills|above the clouds": "banking sharply|flying low",
        },
        hours="dawn day golden dusk", weather="|in thin mist|", moods="warm dramatic joyful calm",
        frames="low angle|wide shot|three-quarter view|dynamic angle|seen from afar", weight=2,
        media=f"{PAINT} {PHOTO} poster screen_print comic pixel_art low_poly vector 3d linocut "
            "etching*",
    ),
    "fantasy": World(
        subjects={
            "a young wizard": "reading a floating book|raising a glowing staff",
            "a dragon": "coiled in sleep|spreading its wings",
            "a knight in dented armor": "kneeling with bowed head|leading a white horse",
            "a forest spirit with antlers": "holding a small light|half turned away",
            "a giant tortoise with a village on its back": "walking slowly|resting",
            "a witch in a patched cloak": "gathering herbs|feeding a raven",
            "a phoenix": "shaking embers from its feathers|taking flight",
        },
        places="in the ruins of a temple|on a cliff above the clouds|in an enchanted forest|"
        "beside a bottomless lake|in a valley of standing stones",
        weather="in swirling mist|under gathering storm clouds|in falling snow|", frames=HERO,
        weight=4,
        moods="dramatic dreamy dreamy calm", hours="dawn golden dusk night",
        media="concept concept digital digital oil watercolor gouache anime comic pixel_art glass "
        "art_nouveau ink* storybook woodblock 3d",
    ),
    "space": World(
        subjects={
            "an astronaut": "planting a small tree|walking alone|looking back at Earth",
            "a small rusty robot": "watching the sky|collecting stones",
            "a lone starship": "half buried in dust|coming in to land",
            "a research station": "with glowing portholes|battered by meteorites",
        },
        places="on a red desert planet|in a crater on the moon|beneath a ringed planet|"
            "on an icy asteroid",
        hours="@space", moods="dramatic dreamy sad calm", frames=f"{HERO}|negative space", weight=3,
        media="concept concept digital 3d still still oil gouache anime comic pixel_art low_poly "
            "poster screen_print",
    ),
    "neon city": World(
        subjects={
            "a detective in a long coat": "lighting a match|watching the crowd",
            "a noodle vendor": "ladling soup|wiping the counter",
            "a courier with a mechanical arm": "leaning on a parked hoverbike|checking a hologram",
            "a service robot": "holding a transparent umbrella|sweeping the pavement",
        },
        places="in a futuristic alley|beneath an elevated train line|in a crowded night market",
        hours="@street", weather="in heavy rain|in dense fog|", moods="dramatic dreamy sad",
        weight=2,
        media="concept digital digital still still photo anime anime comic pixel_art 3d isometric",
        frames=f"{STREET}|medium shot",
    ),
    "whimsy": World(
        subjects={
            "a hedgehog in a tiny waistcoat": "pouring tea|reading the newspaper",
            "a mouse with a lantern": "exploring|writing a letter",
            "a badger in round spectacles": "painting at an easel|stirring a pot of soup",
            "a frog in a bow tie": "playing the cello|bowing politely",
            "a rabbit in a wool scarf": "baking a pie|carrying a stack of parcels",
        },
        places="in a burrow full of books|under a toadstool|in a hollow tree|"
            "in a tiny cottage kitchen",
        hours="@window @lamp", moods="warm joyful dreamy", media=CUTE, weight=3,
        frames="close-up|eye-level view|centered composition|full-length view|cutaway view",
    ),
    "birds": World(
        subjects={
            "a kingfisher": "perched on a reed|diving for a fish",
            "a grey heron": "standing on one leg|wading",
            "a pair of swans": "touching beaks|with folded wings",
            "a flight of cranes @ above flooded fields|over a misty marsh": "crossing|gliding",
        },
        places="beside a slow river|in flooded fields|in a misty marsh|by a lily pond",
        hours="dawn day golden dusk", weather="|in light rain|", moods="calm dreamy dramatic",
        weight=2,
        media=f"{PAINT} {DRAW} woodblock ink_wash* wildlife wildlife wildlife art_nouveau glass "
            "mosaic paper",
        frames="in profile|close-up|negative space|framed by reeds|wide shot",
    ),
    "portraits": World(
        subjects={
            "an elderly woman": "with deep laugh lines|with silver braids|in a knitted shawl",
            "a young man with freckles": "and curly hair|holding a book|half smiling",
            "a jazz singer": "with closed eyes|in a sequined dress",
            "a sea captain": "with a white beard|squinting",
            "a ballet dancer": "catching her breath|with pinned-up hair",
            "a beekeeper": "with a lifted veil|holding a honeycomb",
            "a chess player": "deep in thought|with folded hands",
        },
        places="by a tall window|against a plain grey backdrop|in front of a weathered wall|",
        hours="@window @studio @studio", moods="calm warm dramatic sad", frames=FACE, weight=4,
        media=f"{PAINT} charcoal* pencil* ink* linocut portrait portrait portrait film mono_photo* "
        "digital art_nouveau comic",
    ),
    "small things": World(
        subjects={
            "a dragonfly": "resting|drying its wings", "a honeybee":
                "covered in pollen|cleaning its wings",
            "a spider web @ between two stems|across a garden gate":
                "beaded with dew|torn by the wind", "a garden snail": "climbing slowly|",
            "a cluster of tiny mushrooms @ among fallen leaves|on mossy bark": "|growing",
            "a ladybug": "opening its wings|",
        },
        places="on a blade of grass|among fallen leaves|beside a poppy|on mossy bark",
        hours="dawn day golden", weather="|after the rain|", moods="calm dreamy joyful", weight=2,
        media="macro macro macro photo watercolor colored_pencil etching* ink* glass 3d gouache",
        frames="extreme close-up|seen from below|blurred background|centered composition",
    ),
    "movement": World(
        subjects={
            "a surfer @ inside a curling wave|off a rocky coast":
                "balancing|crouching low",
            "a rock climber @ on a sheer granite wall|above a pine valley":
                "reaching for a hold|hanging by one hand",
            "a dancer in a red dress @ on an empty rooftop|in a deserted square":
                "mid-leap|spinning",
            "a figure skater @ on a frozen lake|on a frozen canal": "leaning into a turn|mid-spin",
            "a team of rowers @ on a misty river": "pulling in rhythm|",
        },
        hours="dawn day golden", moods="dramatic joyful calm", frames=f"{HERO}|motion blur",
        weight=2,
        media=f"{PAINT} charcoal* ink* {PHOTO} comic digital anime screen_print linocut",
    ),
    "gardens": World(
        subjects={
            "a gnarled apple tree": "heavy with fruit|in full blossom",
            "a stone bench": "covered in moss|",
            "a greenhouse": "full of orchids|with cracked panes",
            "a field of sunflowers": "|facing the light",
            "a wisteria arch": "dropping petals|", "an iron gate": "half open|wrapped in roses",
        },
        places="in a walled garden|behind an old manor|beside a gravel path|",
        hours="dawn day golden dusk", weather=MILD, moods="calm warm joyful dreamy", weight=2,
        media=f"{PAINT} {PAINT} {DRAW} photo film landscape art_nouveau glass mosaic isometric "
            "storybook",
        frames="wide shot|framed by foliage|symmetrical composition|low angle|centered composition",
    ),
}

# theme -> mood; scenes that say it without naming it
THEMES = {
    "loneliness": ("sad", "a single chair facing a rainy window|"
        "one lit window in a dark tower block|"
                   "a swing moving in an empty playground|a small boat on a wide grey sea"),
    "quiet hope": ("calm", "a seedling growing through cracked concrete|"
        "a single green leaf on a burnt branch|"
                   "a paper crane on a hospital windowsill|a lantern at the end of a long tunnel"),
    "the passing of time": ("sad", "a stopped clock in a house full of weeds|"
        "footprints fading in the sand|"
                            "an old photograph beside dried roses|"
                            "an hourglass on a stack of letters"),
    "first love": ("warm", "two bicycles leaning against one tree|a folded note on a school desk|"
                   "two shadows holding hands on a wall|initials carved in the bark of a birch"),
    "grief": ("sad", "an empty coat on a hook by the door|"
        "a table laid for two with one plate untouched|"
              "a bare tree in a flooded field|a violin in an open case, its strings broken"),
    "freedom": ("joyful", "a flock of birds bursting from an open cage|"
        "a wild horse galloping along the shore|"
                "a kite that has broken from its string|bare feet running through tall grass"),
    "childhood memory": ("warm", "a treehouse with a rope ladder|"
        "a jar of fireflies on a porch step|"
                         "a tin robot on a sunlit carpet|chalk drawings on a quiet street"),
    "courage": ("dramatic", "a tiny boat climbing an enormous wave|"
        "a child standing before a sleeping dragon|"
                "a lone candle carried through a storm|a climber on a knife-edge ridge"),
    "inner peace": ("calm", "a smooth stone in a raked sand garden|"
        "a monk sweeping leaves from temple steps|"
                    "a lotus opening on dark water|an empty bench beneath a flowering cherry tree"),
    "nostalgia": ("warm", "a record player in a wood-paneled room|"
        "a closed cinema with a faded sign|"
                  "a box of letters tied with ribbon|a caravan parked by the sea"),
    "curiosity": ("dreamy", "a cat peering into a keyhole full of stars|"
        "a child opening a very small door|"
                  "a telescope aimed through a hole in the roof|"
                  "a staircase that descends into a pond"),
    "the weight of secrets": ("dramatic", "a locked drawer with light leaking from it|"
                              "a woman with a birdcage under her coat|"
                              "a stack of sealed envelopes tied with wire"),
    "forgiveness": ("calm", "two hands mending a broken bowl with gold|"
        "an open gate at the end of a snowy path|"
                    "a white flag of laundry above a garden"),
    "ambition": ("dramatic", "a ladder rising from a rooftop into the clouds|"
        "a paper rocket on a tall tower|"
                 "an endless spiral staircase lit from above"),
    "a dream half remembered": ("dreamy", "a whale drifting between skyscrapers|"
        "a door standing in a wheat field|"
                                "a library flooded with shallow water|"
                                "a train crossing a mirror-still sea"),
    "undying love": ("warm", "two trees grown together on a hilltop|"
        "an old couple dancing in a kitchen|"
                     "a lighthouse keeper's letters in a bottle|"
                     "two rings in the hollow of a stone"),
    "change": ("dreamy", "a chrysalis beginning to split|a snowy field with one strip of green|"
               "a tree with all four seasons in its crown"),
    "silence": ("calm", "a grand piano under falling snow|an empty concert hall|"
        "a frozen lake ringed by pines"),
    "joy": ("joyful", "children jumping in puddles|a dog leaping through a sprinkler|"
            "confetti falling on a village dance|a grandmother laughing on a carousel"),
    "the unknown": ("dramatic", "a lone figure before an immense dark doorway|"
        "a map whose edges are burning away|"
                    "a diver above a bottomless trench"),
}
THEME_FORMS = (
    "{theme}, {scene}", "{scene}, a study of {theme}", "{scene}, evoking {theme}",
    "{theme}: {scene}",
    "{scene}, an image of {theme}", "the feeling of {theme}, {scene}",
    "an allegory of {theme}, {scene}",
)
THEME_MEDIA = f"{PAINT} {DRAW} photo mono_photo* still film digital paper storybook"
THEME_LIGHT = {
    "sad": "soft overcast light|dim blue light|cold window light",
            "calm": "soft morning light|gentle diffused light",
    "warm": "late afternoon sun|warm evening light|golden hour",
            "joyful": "bright sunlight|warm summer light",
    "dramatic": "chiaroscuro lighting|a single shaft of light|stormy light",
            "dreamy": "moonlight|soft twilight|hazy glow",
}
THEME_FRAMES = "negative space|centered composition|wide shot|minimalist composition"
# fmt: on

COLORED_LIGHT = re.compile(r"pink|gold|lilac|amber|blue|afterglow|neon")  # not for a pencil

BANNED = ("artstation", "trending", "in the style of", "unreal", "disney", "pixar", "ghibli")
BANNED_BRANDS = ("polaroid", "kodak", "nikon", "canon ", " lego ", "greg", "octane", "4k", "8k")


def make_prompts(seed: int, num_prompts: int) -> list[str]:
    """Make distinct prompts; the seed decides all of them and their order.

    Example (seed 185, 3 prompts):
      a mouse with a lantern writing a letter under a toadstool, gentle north light, claymation
      a stone farmhouse with green shutters, landscape photography, flat grey light
      A potter at a spinning wheel, chalk pastel
    """
    rng = random.Random(seed)
    prompts: dict[str, str] = {}  # folded -> as written
    while len(prompts) < num_prompts:
        prompt = _theme_prompt(rng) if rng.random() < THEME_RATE else _world_prompt(rng)
        if not _repeats_a_word(prompt):
            prompts.setdefault(prompt.casefold(), prompt)
    return list(prompts.values())


def _pick(rng: random.Random, choices: str) -> str:
    return rng.choice(choices.split("|"))


def _pick_medium(rng: random.Random, media: str) -> tuple[str, str, str, bool]:
    """Return (before the subject, as a flavor, finish, has_colors)."""
    name = rng.choice(media.split()).replace("_", " ")
    lead, flavor, finish = MEDIA[name]
    return _pick(rng, lead), _pick(rng, flavor), _pick(rng, finish), not name.endswith("*")


def _world_prompt(rng: random.Random) -> str:
    world = rng.choices(list(WORLDS.values()), [w.weight for w in WORLDS.values()])[0]
    who, does = rng.choice(list(world.subjects.items()))
    who, _, places = who.partition(" @ ")
    hour = rng.choice(world.hours.split())
    when, clear, dull = HOURS[hour]
    weather = _pick(rng, world.weather) if dull and rng.random() < 0.5 else ""
    light = _pick(rng, dull if weather else clear)
    moods = [m for m in world.moods.split() if m in HOUR_MOODS.get(hour, world.moods).split()]
    mood, palette = (_pick(rng, text) for text in MOODS[rng.choice(moods)])
    action, place = _pick(rng, does), _pick(rng, places or world.places)
    size = rng.choices(("short", "plain", "rich", "long"), (12, 38, 36, 14))[0]
    if size == "short":
        weather, action, place = "", *rng.choice(((action, ""), ("", place), (action, place)))
    at = _pick(rng, when) if weather == "" and size != "short" and rng.random() < 0.3 else ""
    scene = " ".join(part for part in (who, action, place, weather or at) if part)
    return _arrange(
        rng,
        scene,
        _pick_medium(rng, world.media),
        size=size,
        light="" if at else light,
        mood=mood,
        palette=palette,
        frame=_pick(rng, world.frames),
    )


def _theme_prompt(rng: random.Random) -> str:
    theme, (mood_name, scenes) = rng.choice(list(THEMES.items()))
    scene = rng.choice(THEME_FORMS).format(theme=theme, scene=_pick(rng, scenes))
    mood, palette = (_pick(rng, text) for text in MOODS[mood_name])
    return _arrange(
        rng,
        scene,
        _pick_medium(rng, THEME_MEDIA),
        size=rng.choice(("short", "plain", "rich")),
        light=_pick(rng, THEME_LIGHT[mood_name]),
        mood=mood,
        palette=palette,
        frame=_pick(rng, THEME_FRAMES),
        can_lead=False,
    )


def _arrange(
    rng: random.Random,
    scene: str,
    medium: tuple[str, str, str, bool],
    *,
    size: str,
    light: str,
    mood: str,
    palette: str,
    frame: str,
    can_lead: bool = True,
) -> str:
    """Put the parts in one of the orders that people use."""
    lead, flavor, finish, has_colors = medium
    if not has_colors:
        palette = ""
        light = "" if COLORED_LIGHT.search(light) else light
    num_extras = {"short": rng.choice((0, 0, 1)), "plain": 1, "rich": 2, "long": 4}[size]
    if size == "short":
        finish = ""  # says little where the medium may go unsaid
    extras = [part for part in (palette, mood, frame, finish) if part]
    keep = set(rng.sample(extras, min(num_extras, len(extras))))
    tail = [part for part in (frame, palette, mood, finish) if part in keep]
    light = light if size != "short" or rng.random() < 0.3 else ""
    order = rng.choices(("lead", "behind", "front"), (45, 42, 13))[0]
    if order == "lead" and can_lead:
        parts = [f"{lead} {scene}", light, *tail]
    elif order == "front" and size != "short":
        parts = [flavor, *tail[:1], scene, light, *tail[1:]]
    else:
        parts = [scene, light, *tail]
        parts.insert(rng.choice((1, 2, len(parts))), "" if size == "short" and tail else flavor)
    prompt = ", ".join(part for part in parts if part)
    return prompt[0].upper() + prompt[1:] if rng.random() < 0.25 else prompt


def _repeats_a_word(prompt: str) -> bool:
    """Find a word of four letters or more that stands there twice, in any ending."""
    words = [w.rstrip("s")[:6] for w in re.findall(r"[a-z]{4,}", prompt.casefold()) if w != "with"]
    return len(words) != len(set(words))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the demo prompts.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    args = parser.parse_args()
    text = "\n".join(make_prompts(SEED, NUM_PROMPTS)) + "\n"
    args.out.write_text(text, encoding="ascii", newline="\n")
    print(f"wrote {NUM_PROMPTS:,} prompts, {len(text):,} bytes, to {args.out}")


if __name__ == "__main__":
    main()
