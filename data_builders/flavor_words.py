"""Words that tell a flavor's category, beside the tables of `pe.text.flavors`.

What `flavor_category.py` looks up: heads, what may stand before them, and what is too little to go
by. No artist's name is among them. Knows no rules.
"""

from pe.text.flavors import word_set

# What a phrase is by its last word, where the whole of it is in no table.
HEADS: dict[str, frozenset[str]] = {
    "medium": word_set("""
        photo photos photograph photographs photography painting paintings illustration
        illustrations drawing sketch artwork art render renders rendering renderings rendered
        graphics cartoon collage print screenshot animation manga comic comics watercolor
        watercolour watercolors poster screencap screengrab snapshot cinematography cover
        """),
    "light": word_set("""
        lighting light shadow shadows illumination glow rays backlighting backlight lit
        reflections
        """),
    "camera": word_set("focus lens bokeh exposure grain grainy film footage dof"),
    "palette": word_set("""
        colors color colours colour tones hues palette contrast saturation grading shades
        """),
    "mood": word_set("atmosphere mood ambience ambiance vibe vibes feeling"),
    "composition": word_set("""
        composition portrait portraits shot view angle perspective closeup background headshot
        framing symmetry pose wallpaper
        """),
    "texture": word_set("""
        linework brushwork brushstrokes strokes texture textures lines outlines outline shading
        edges patterns
        """),
    "quality": word_set("""
        quality resolution definition detail details detailing detailed image picture post
        intricacy realism
        """),
    "movement": word_set("style styled styles aesthetic aesthetics era fantasy"),
}
# Words beside those of the tables that may stand in any flavor, and how far they go.
DEGREE = word_set("""
    and of in on & realistically beautifully stunningly perfectly softly wonderfully masterfully
    amazingly elegantly vividly elaborately gorgeously super insanely absurdly crazy finest
    incredible awesome superb excellent outstanding exceptional exquisite immaculate flawless
    ultrafine extreme maximum max increased enhanced heavy strong thick thin loose tight narrow
    moderate slight double triple multi even top best superior flat matte clear crisp sharpened
    minimal simplistic professionally masterful studio production ornate ornamental decorative
    elaborate lavish stylistic semi anatomically correct anatomical micro macro polished harsh
    directional theatrical gentle mellow subdued moody stunning dramatic sensual neutral cinematic
    photographic painterly fantastical futuristic retro vintage nostalgic abstract cg cgi 2d
    """)
# What a picture or a style may be of, or like: only before a medium, a portrait or "style".
_GENRE = word_set("""
    real life front frontal half whole entire antique medieval victorian ancient japanese chinese
    indian korean persian egyptian greek roman italian french dutch russian soviet american african
    mexican celtic nordic scandinavian byzantine islamic tribal western eastern oriental european
    renaissance baroque rococo deco nouveau goth gothic horror romance thriller adventure noir
    disposable polaroid instant large format camcorder security smartphone phone mobile candid
    paparazzi flash aerial drone satellite panoramic 360 degree fisheye geometric organic
    watercolor minimalistic gradient holographic dreamlike surreal psychedelic fairytale storybook
    picture children kids book graphic newspaper album television series show video trading playing
    tarot card page emoji icon vector tattoo graffiti stencil mural fresco mosaic embroidery paper
    clay miniature voxel pixel bit 8bit 16bit 32bit lowpoly poly wireframe technical architectural
    botanical scientific medical map conceptual storyboard industrial interior commercial
    advertising advertisement glamour boudoir beauty wedding sports wildlife animal pet food street
    travel documentary news press historical propaganda religious mythological occult alchemical
    science sci fi scifi fiction space cosmic apocalyptic dystopian utopian webtoon cartoony toon
    pulp superhero glitch fractal generative risograph riso linocut woodcut woodblock hand drawn
    painted sketched engraved carved printed digital digitally crayon marker ballpoint brush
    tempera encaustic etching pencil century mid late early night underwater selfie stereoscopic
    isometric key visual promotional award museum gallery exhibition pre raphaelite propaganda
    character creature environment landscape portrait studio matte mixed media hipster corporate
    tabletop rpg dnd mythology wood fantasy analog neo pop art inkwash claymation
    plasticine lego felt
    """)
_COLORS = word_set("""
    purple blue red green yellow orange pink teal cyan golden gold silver gray grey brown white
    black rainbow multicolored triadic analogous contrasting monochrome monochromatic earthy earth
    jewel primary candy rich creamy faded bleached tinted pastel neon autumn sepia turquoise
    magenta violet beige crimson amber luminous psychedelic iridescent
    """)
_LIGHT_SOURCES = word_set("""
    morning evening sunset sunrise night day daylight noon sun moon moonlight window sky fire
    candle foggy misty hazy stormy cloudy underwater softbox ring spot street stage back rim top
    side dual low key point three bioluminescent fluorescent ultraviolet uv direct indirect
    reflected radiant sunny ethereal mystical magical eerie ominous horror gothic noir cyberpunk
    synthwave lens
    """)
_FRAMING = word_set("""
    front frontal half whole entire mid side back rear top bottom eye level bird birds worm worms
    ground angled tilted fisheye ultrawide wide aerial drone satellite overhead panoramic isometric
    360 degree symmetric symmetrical asymmetrical centered central off geometric minimalistic
    balanced blurred blurry plain blank solid transparent heroic head shoulders full length mobile
    phone desktop waist up body single point one two three action close group studio
    """)
# Beside a background, which else is a place: "street background".
BACKGROUND = word_set("""
    white black gray grey plain blank solid simple blurred blurry dark bright light transparent
    gradient clean neutral minimal minimalist detailed highly studio bokeh abstract colorful soft
    """)
ALLOWED: dict[str, frozenset[str]] = {
    "medium": _GENRE | _COLORS,
    "movement": _GENRE | _COLORS,
    "palette": _COLORS | {"cyberpunk", "vaporwave", "synthwave", "triadic"},
    "light": _LIGHT_SOURCES | _COLORS,
    "composition": _FRAMING | {"and"},
    "mood": frozenset({"calm", "fairytale", "dreamlike", "otherworldly", "foggy", "misty"}),
    "camera": frozenset({"prime", "tele", "zoom", "anamorphic", "heavy", "fine", "creamy"}),
    "texture": frozenset({"paint", "brush", "paper", "canvas", "watercolor", "ink", "line"}),
    "quality": frozenset({"studio", "photographic", "museum", "print"}),
}
STYLE_HEADS = frozenset({"style", "styled", "styles", "aesthetic", "aesthetics", "era"})

# Flavors by themselves, and content beside other words.
NOT_BESIDE = word_set("""
    by no body environment character piece magazine stock based tumblr reddit instagram canon nikon
    maya unity lumen trending featured fantasy style styled photography winning
    artstation deviantart behance pixiv flickr pinterest
    """)

# Too little to go by, alone: "details", "a picture".
VAGUE = word_set("""
    image picture view still shot angle detail details color colors colour colours design effect
    effects style styled character lighting light shadow shadows shading lines art artwork print
    depiction rendition soft dark bright clean sharp bold raw cool warm hot cold light background
    focus perspective composition texture graphics film movie cover poster pose film lens camera
    original professional retina featured trending amazing lovely awesome
    fantastic wonderful incredible pretty attractive complex quality powerful creative imaginative
    artistic depth patterns reflections lit world saturation contrast rendered
    render renderer rendering edges photos depths saturated palette mood atmosphere feeling vibe
    engine lights glow rays real raster rough shots wallpaper intense unreal
    aesthetic dynamic lace velvet chrome porcelain pottery denim leather knitted crochet
    emoji outline outlines textures grain prints lines
    """)

BRANDS = word_set("""
    canon nikon sony leica fujifilm fuji kodak hasselblad arri arriflex alexa zeiss panasonic
    olympus pentax mamiya eos mark ii iii iv v alpha portra ektar velvia ektachrome tri x gold
    iphone gopro imax polaroid panavision red dslr slr film camera lens photo photograph phone
    instax lumix rolleiflex sigma gfx mm pro max plus super cinestill ilford hp5 t max minolta
    yashica contax lomo lomography holga cinema disposable macro telephoto prime wide angle f
    """)

MAKERS = word_set("""
    canon nikon sony leica fujifilm fuji kodak hasselblad arri arriflex zeiss panasonic olympus
    pentax mamiya iphone gopro polaroid panavision rolleiflex cinestill ilford minolta dslr instax
    """)

VAGUE_PHRASES = frozenset(
    {
        *("art style", "color palette", "colour palette", "full details", "full detailed"),
        *("full image", "still image", "detailed details", "full of details", "light color"),
        *(
            "light colors",
            "low details",
            "2d image",
            "8k image",
            "centered image",
            "full color",
            "profile picture",
        ),
    }
)

# What is in no table or in another category there.
EXACT = {
    "futuristic": "movement",
    "retro futuristic": "movement",
    "psychedelic": "movement",
    "minimal": "movement",
    "dystopian": "mood",
    "neon lights": "light",
    "neon light": "light",
    "mid shot": "composition",
    "whole body": "composition",
    "no background": "composition",
    "anime": "movement",
    "anime style": "movement",
    "manga style": "movement",
    "comic style": "movement",
    "cartoon style": "movement",
    "d&d": "movement",
    "tone mapping": "camera",
    "post processing": "camera",
    "color grading": "palette",
    "colour grading": "palette",
    "color graded": "palette",
    "color grade": "palette",
    "color corrected": "palette",
    "volumetric lights": "light",
    "studio lights": "light",
    "cinematic lights": "light",
    "soft lights": "light",
    "rim lights": "light",
    "reflections": "light",
    "sharp": "quality",
    "crisp": "quality",
    "clean": "quality",
    "complex": "quality",
    "stylised": "quality",
    "expansive": "composition",
    "fantasy": "movement",
    "surrealistic": "movement",
    "crisp quality": "quality",
    "tack sharp": "camera",
    "cinematography": "camera",
    "photographic": "medium",
    "mindblowing": "quality",
    "spectacular": "quality",
}

# Replaced in a word before spellings are compared.
SPELLINGS = (
    ("colour", "color"),
    ("grey", "gray"),
    ("centre", "center"),
    ("analogue", "analog"),
    ("stylise", "stylize"),
    ("ambiance", "ambience"),
    ("ambiant", "ambient"),
    ("lightning", "lighting"),
    ("d&d", "dnd"),
    ("&", "n"),
)
