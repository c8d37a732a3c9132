"""Tables of flavors: what changes a picture's style and not what it shows.

Our own choice of words, by category, with no artist's name in any of them (`split.py` knows artists
by the shape of "by ..." alone). Every entry is lower case, without hyphens ("hyper realistic") and
with numbers closed up ("8k"): the form that `phrase.normalize_phrase` gives. Knows nothing about
prompts.
"""

import re


def _phrases(text: str) -> tuple[str, ...]:
    """Read a table: phrases with commas between them.

    "oil painting, ink"  ->  ("oil painting", "ink")
    """
    return tuple(dict.fromkeys(" ".join(part.split()) for part in text.split(",") if part.strip()))


def word_set(text: str) -> frozenset[str]:
    """Read a table of single words: "ink oil"  ->  {"ink", "oil"}."""
    return frozenset(text.split())


# What the picture is made with.
MEDIUM = _phrases("""
    3d, 2d, cgi, digital art, digital painting, digital illustration, concept art, matte painting,
    oil painting, oil on canvas, acrylic painting, acrylic on canvas, watercolor, watercolour,
    watercolor painting, watercolour painting, gouache, gouache painting, ink drawing, ink wash, ink
    on paper, ink sketch, pen and ink, pencil drawing, pencil sketch, graphite drawing, colored
    pencil, coloured pencil, charcoal drawing, charcoal sketch, chalk drawing, crayon drawing,
    pastel drawing, oil pastel, airbrush, airbrush art, spray paint, linocut, woodcut, woodblock
    print, lithograph, etching, screenprint, risograph, mixed media, mixed media collage, collage
    art, papercut, paper cut art, low poly, voxel art, pixel art, ascii art, vector art, vector
    graphics, line art, lineart, line drawing, clip art, clipart, fan art, fanart, official art,
    splash art, cover art, poster art, key art, key visual, character art, fantasy art, game art, 2d
    game art, concept design, character design, character concept art, environment concept art, fine
    art, conceptual art, graphics, graphic design, street art, book illustration, children's book
    illustration, photo, photograph, photography, stock photo, polaroid, polaroid photo,
    daguerreotype, tintype, autochrome, cyanotype, analog photo, analog photography, analogue
    photography, film photography, product photography, portrait photography, fashion photography,
    wildlife photography, nature photography, landscape photography, street photography, food
    photography, macro photography, raw photo, editorial photography, editorial photo, studio
    photography, studio photo, product photo, product shot, documentary photography,
    photojournalism, astrophotography, infrared photography, black and white photo, black and white
    photography, movie still, film still, cinematic still, anime screenshot, game screenshot,
    screenshot, illustration, illustrated, painting, drawing, sketch, render, 3d render, 3d
    rendering, 3d model, 3d art, isometric render, claymation, stop motion, cartoon, comic book art,
    comic art, comic style, manga, manga panel, manga style, anime, anime style, anime art, anime
    key visual, graphic novel art, storyboard, caricature, fresco, engraving, hand drawn, hand
    painted, cel animation, photorealistic render, artwork, digital artwork, digital concept art,
    vfx, photo montage, photobash, impasto, speedpaint, professional photo, professional photograph,
    professional photography, stippling, crosshatching
""")

# Schools, periods and internet genres.
MOVEMENT = _phrases("""
    realism, realist, surrealism, surrealist, surreal, hyperrealism, hyper realism, photorealism,
    photo realism, magic realism, magical realism, impressionism, impressionist, post impressionism,
    expressionism, expressionist, abstract expressionism, abstract, abstract art, cubism, cubist,
    futurism, retrofuturism, retro futurism, retrofuturistic, constructivism, suprematism, dadaism,
    fauvism, pointillism, symbolism, romanticism, romanticist, neoclassicism, classicism, baroque,
    rococo, renaissance, renaissance painting, mannerism, academic art, pop art, op art, pop
    surrealism, lowbrow, art nouveau, art deco, bauhaus, de stijl, minimalism, minimalist,
    minimalistic, maximalism, maximalist, hypermaximalist, absurdism, absurdist, brutalism,
    brutalist, ukiyo e, ukiyoe, gothic art, orientalism, naturalism, naive art, outsider art, folk
    art, photo secession, vaporwave, synthwave, outrun, cyberpunk, steampunk, dieselpunk, biopunk,
    solarpunk, cottagecore, dark academia, lowpoly, glitch art, glitchcore, psychedelic, psychedelic
    art, visionary art, fantasy, dark fantasy, high fantasy, epic fantasy, sci fi, scifi, science
    fiction, noir, film noir, neo noir, gothic, grunge, retro, vintage, chibi, kawaii, memphis
    design, flat design, postmodernism, modernist, dnd, d & d, d&d, rpg, precisionism, tonalism,
    luminism, afrofuturism, futurist
""")

# Light, and how it falls.
LIGHT = _phrases("""
    cinematic lighting, dramatic lighting, volumetric lighting, volumetric light, volumetric lights,
    volumetric fog, volumetric, god rays, godrays, crepuscular rays, global illumination, ambient
    occlusion, ambient light, golden hour, golden hour light, golden hour lighting, blue hour, magic
    hour, rim light, rim lighting, rim lit, backlit, backlight, backlighting, back lighting, back
    lit, sidelit, side lighting, studio light, studio lighting, softbox lighting, chiaroscuro, low
    key lighting, high key lighting, low key, high key, hard light, soft light, dappled light,
    dramatic light, dramatic shadows, soft shadows, deep shadows, hard shadows, subtle shadows,
    contrasting shadows, dynamic shadows, lens flare, lens flares, bloom, light bloom, contour
    light, radiant light, beautifully lit, well lit, softly lit, dimly lit, neon lighting, neon
    light, overhead lighting, candlelit, moody light, subsurface scattering, lighting, illumination,
    light rays, sun rays, sunrays, cinematic lightning, glow, golden light, caustics, lumen
    reflections, screen space reflections, ray traced reflections, three point lighting, split
    lighting
""")

# Lens, film and body.
CAMERA = _phrases("""
    bokeh, depth of field, shallow depth of field, deep depth of field, dof, film grain, grainy,
    grain, motion blur, long exposure, double exposure, multiple exposure, tilt shift, tiltshift,
    fisheye, fish eye, fisheye lens, fish eye lens, wide angle, wide angle lens, ultra wide angle,
    ultrawide, telephoto, telephoto lens, macro, macro lens, macro shot, macro photo, anamorphic,
    anamorphic lens, dslr, slr, dslr photo, sharp focus, soft focus, shallow focus, deep focus, in
    focus, out of focus, filmic, hyperfocal, chromatic aberration, vignette, vignetting, lomography,
    kodachrome, kodak portra, kodak gold, kodak ektar, kodak film, fujifilm, fuji film, fuji velvia,
    ilford film, ektachrome, cinestill, leica, hasselblad, nikon, canon, canon eos, sony alpha,
    expired film, 35mm film, 16mm film, super 8, vhs, vhs footage, found footage, cctv footage,
    technicolor, cinemascope, imax, gopro, prime lens, zoomed out, zoomed in, high shutter speed,
    color grading, colour grading, color graded, color grade, color corrected, post processing,
    camera pov
""")

# Color as a treatment. A color of a thing ("red dress") is content.
PALETTE = _phrases("""
    black and white, monochrome, monochromatic, sepia, sepia tone, grayscale, greyscale, duotone,
    tritone, colorful, colourful, vibrant, vivid, saturated, desaturated, oversaturated, muted
    colors, muted colours, muted tones, earth tones, earthy tones, pastel, pastel colors, pastel
    colours, pastel palette, pastel tones, warm colors, warm colours, warm tones, warm hues, cool
    colors, cold colors, cool tones, cold tones, complementary colors, complementary colours, full
    color, full colour, limited palette, high contrast, low contrast, color splash, selective color,
    teal and orange, neon colors, bold colors, dark colors, bright colors, rich colors, deep colors,
    deep color, vivid colors, vibrant colors, muted color palette, vibrant color palette, iridescent
""")

# How it feels. Flavors only as a phrase of their own, never at the end of a longer one.
MOOD = _phrases("""
    atmospheric, moody, ominous, eerie, ethereal, dreamy, dreamlike, whimsical, mysterious,
    mystical, mystic, melancholic, somber, gloomy, gritty, grim, epic, dramatic, dark, romantic,
    nostalgic, serene, elegant, majestic, beautiful, gorgeous, stunning, breathtaking, spectacular,
    amazing, magical, fantastical, otherworldly, haunting, creepy, spooky, scary, sinister,
    unsettling, intense, powerful, dynamic, bold, delicate, refined, exquisite, sublime, cozy,
    playful, cheerful, lively, tranquil, peaceful, evocative, emotional, expressive, stylish,
    sophisticated, luxurious, mesmerizing, captivating, enchanting, hypnotic, mindblowing,
    incredible, fantastic, wonderful, awesome, lovely, aesthetic, very aesthetic, artistic,
    creative, imaginative, complex, expansive, ornate, soft, sharp, crisp, clean, bright, stylized,
    stylised, horror, cosmic horror, body horror, folk horror, cute, adorable, pretty, attractive,
    surrealistic, glamorous, rustic, terrifying, thought provoking
""")

# Framing and arrangement.
COMPOSITION = _phrases("""
    portrait, full body, full body portrait, full body shot, full length, full length portrait, half
    body, upper body, upper body portrait, bust portrait, head shot, headshot, head and shoulders,
    close up, closeup, close up portrait, close up shot, close up photo, extreme close up, medium
    shot, medium close up, long shot, wide shot, establishing shot, full shot, cowboy shot, action
    shot, aerial view, aerial shot, bird's eye view, birds eye view, top down view, top down, top
    view, worm's eye view, low angle, low angle shot, low angle view, high angle, high angle shot,
    high angle view, dutch angle, dutch tilt, eye level, over the shoulder shot, point of view, pov,
    first person view, first person pov, side view, front view, back view, isometric, isometric
    view, full length view, full body visible, vanishing point, symmetrical, symmetric, symmetry,
    asymmetrical, asymmetric, centered, centred, rule of thirds, golden ratio, negative space,
    panorama, panoramic, panoramic view, centered composition, composition, perfect composition,
    dynamic composition, epic composition, dynamic pose, dynamic angle, simple background, plain
    background, blurred background, blurry background, detailed background, out of frame, wallpaper,
    desktop wallpaper, phone wallpaper, profile picture, widescreen, tarot card style, textless, no
    text, dynamic perspective, forced perspective, leading lines, drone shot, drone photo, drone
    view, establishing view, in frame, cinematic framing, portrait shot
""")

# Surface and line.
TEXTURE = _phrases("""
    smooth, matte, glossy, textured, painterly, brushstrokes, brush strokes, visible brushstrokes,
    thick brushstrokes, loose brushwork, rough sketch, clean lines, bold lines, thick lines, thin
    lines, thick outlines, bold outlines, crisp lines, hard edges, soft edges, shading, flat
    shading, flat colors, cel shading, cel shaded, cell shading, cell shaded, soft shading,
    gradient, smooth gradients, halftone, dithering, fine lines, fine texture, detailed texture,
    detailed textures, realistic textures, intricate patterns, sharp edges, sharp lines, clean line
    art, smooth render
""")

# Quality boosters.
QUALITY = _phrases("""
    highly detailed, high detail, high details, highly detail, super detailed, ultra detailed,
    ultradetailed, hyper detailed, hyperdetailed, extremely detailed, insanely detailed, very
    detailed, richly detailed, finely detailed, intricately detailed, incredibly detailed, detailed,
    detail, details, many details, fine details, intricate, intricate details, intricate detail,
    intricate design, insane details, sharp details, sharp detail, maximum detail, attention to
    detail, perfect details, photorealistic, photo realistic, hyperrealistic, hyper realistic, ultra
    realistic, ultrarealistic, realistic, lifelike, life like, photoreal, hyperreal, photographic,
    cinematic, cinematography, masterpiece, best quality, high quality, highest quality, top
    quality, premium quality, hq, uhq, hd, full hd, ultra hd, uhd, hdr, hdri, qhd, high definition,
    ultra high definition, high resolution, ultra high resolution, high res, highres, hires,
    absurdres, award winning, prize winning, professional, studio quality, museum quality,
    critically acclaimed, very coherent, coherent, ultra quality, ultra high quality, retina,
    outstanding detail, intricate complexity, raw, accurate anatomy, megapixel, gigapixel, stunning
    photo, pro photo, color, colors, 8k uhd, lifelike details, perfect lighting, perfect shading,
    ultra sharp, tack sharp, super sharp, ultra fine
""")

# Programs and techniques that draw.
ENGINE = _phrases("""
    octane, octane render, octane rendered, octane rendering, unreal engine, unreal, unity engine,
    cryengine, blender render, blender 3d, cinema 4d, c4d, vray, v ray, arnold render, redshift,
    redshift render, corona render, houdini, houdini render, zbrush, daz3d, daz 3d, keyshot, lumion,
    maya, ray tracing, raytracing, ray traced, raytraced, path tracing, pathtracing, rtx, rtx on,
    ssao, lumen, nanite, pbr, physically based rendering, photoshop, procreate, made in blender,
    renderman, marmoset toolbag, substance painter, povray, frostbite engine, ue5, ue4
""")

# Where pictures are shown.
SITE = _phrases("""
    artstation, artstationhq, artstationhd, artstation hq, artstation hd, art station, deviantart,
    deviant art, cgsociety, cg society, behance, behance hd, dribbble, pinterest, pixiv, pixiv
    fanbox, instagram, tumblr, flickr, 500px, unsplash, shutterstock, getty images, imgur, reddit,
    zbrush central, national geographic, trending, featured, editors choice, contest winner,
    wallpaper engine
""")

CATEGORIES: dict[str, tuple[str, ...]] = {
    "medium": MEDIUM,
    "movement": MOVEMENT,
    "light": LIGHT,
    "camera": CAMERA,
    "palette": PALETTE,
    "mood": MOOD,
    "composition": COMPOSITION,
    "texture": TEXTURE,
    "quality": QUALITY,
    "engine": ENGINE,
    "site": SITE,
}

# Words that stand beside a flavor without taking it out of the tables: "very *soft* light".
MODIFIERS = word_set("""
    very extremely highly ultra super hyper insanely incredibly extreme insane intensely richly
    finely intricately absolutely really most high low hard warm cool cold deep rich natural soft
    ambient overhead harsh dim bright diffused diffuse dark dramatic studio film movie digital
    traditional classic classical modern contemporary old professional amateur rough quick simple
    great good best perfect accurate beautiful detailed fine clean oil ink pencil charcoal pen
    acrylic pastel comic fashion editorial official original character environment portrait
    landscape fantasy concept cover poster color colour full body wide medium long extra epic 8 4
    hd 3d award winning sharp dynamic raw muted vivid vibrant bold gloomy surreal subtle radiant
    romantic spooky intricate elegant colored coloured black and white game anime cartoon photo
    based physically fully rendered renderer cinematic product magazine stock portfolio piece
    glorious unique complementary contrasting volumetric atmospheric edgy global shaded sunny
    """)

# The last word of a made-up flavor: "<modifiers> lighting", "<modifiers> illustration".
HEADS = word_set("""
    lighting light shading shadows illumination quality resolution definition detail details
    detailing render rendering renderings renders colors colours tones hues palette contrast
    composition photo photograph photography photographs painting paintings illustration drawing
    sketch artwork art style styled aesthetic aesthetics atmosphere mood ambience vibe vibes
    graphics focus shot view angle perspective print linework brushwork brushstrokes textures
    texture saturation grading grain exposure bokeh realism still cinematography portrait concept
    design screenshot closeup engine wallpaper masterpiece lens effect effects image picture
    """)

# What may stand before "of": "a <flavors> photo of X". A statue or a logo of X is content.
LEAD_HEADS = word_set("""
    photo photos photograph photography photographs painting drawing illustration sketch render
    rendering artwork art portrait shot still screenshot image picture closeup close-up pic up
    watercolor watercolour print engraving etching view cartoon caricature doodle panorama
    polaroid screencap screengrab depiction linocut woodcut fresco lithograph headshot scan
    rendition
    """)
LEAD_WORDS = word_set("""
    a an the water close up macro aerial side front top profile angle wideangle fisheye colour
    color cinema vintage old retro stylized famous tv dvd vhs watercolor watercolour gouache
    crayon chalk centered national geographic pulitzer prize disposable camera polaroid selfie
    upclose colorized black white and masterful amazing gritty dnd rpg vfx 2d frontal whole clear
    stunning real japanese chinese russian soviet victorian medieval renaissance baroque realistic
    wide big beautiful elegant colorful abstract gothic dark cute fantasy professional award
    winning
    """)

# Alone at the end of a longer phrase these are as often the thing shown: "a man taking a photo".
END_AMBIGUOUS = word_set("""
    photo photograph photography painting drawing sketch illustration artwork screenshot portrait
    fantasy detail details grain light glow bloom symmetry wallpaper cartoon manga leica canon
    nikon panorama fresco engraving collage polaroid gothic abstract professional trending
    featured unreal maya houdini octane retina instagram reddit tumblr pinterest flickr macro
    vintage retro render smooth matte glossy textured gradient vivid pastel noir symbolism baroque
    renaissance realism etching isometric centered masterpiece anime comic caricature lumen
    redshift headshot headshots photoshop cyberpunk steampunk vaporwave psychedelic illustrated
    grainy airbrush procreate imax gopro graphics concept engine image picture view angle shot
    still print fisheye design style
    """)

# Ordinary words that no artist is called by: they tell "by the lake" and "blue sky" from a name.
COMMON = word_set("""
    able above across air airplane alien aliens all alley alone ancient angel angels angry animal
    animals another apartment apple architecture arm armor armored armour arms army art astronaut
    attack autumn baby back background bald ball balloon balloons bar barbarian base bathroom bath
    bay beach bear beard beast beauty bed bedroom bee bees beer being belt big bike bird birds
    blonde blond blood bloody blue boat bodies body bokeh bone bones book books boot boots boss
    both bottle bottom bow bowl box boy boys brain branches bread breasts brick bricks bride
    bridge brown bubble bubbles building buildings bunny burger bus bush business butterflies
    butterfly cabin cactus cafe cake camera camp candle candlelight candles canyon cape car card
    cars castle cat cats cave ceiling center chain chair chains cheese cherry chicken child
    children chinese christmas church circle circles circuit cities city classroom claws cliff
    cloak clock close closed clothes clothing cloud clouds clown coat coffee cold color colors
    computer cooking copper coral corner cosmic cottage couple cow coast cowboy crab crazy cream
    creature creatures crow crowd crown crystal crystals cup curly curtain cute cyborg dance
    dancing danger dark darkness dawn day dead death deer demon demons desert desk details devil
    diamond dinosaur dirty distance doctor dog dogs doll door dragon dragons dream dreams dress
    drink driving drone dusk dust eagle ear ears earth east eating edge edges egg eggs egyptian
    elephant elf emerald emperor empire empty energy engine evening evil explosion expression eye
    eyebrows eyes face faces factory fairies fairy fall family fantasy farm fashion father fear
    feathers feet female fence fern field fields fiery fighter fight figure film fire fireflies
    fireplace fish flag flame flames flat floating floor flower flowers fluffy flying fog foggy
    food foot forest forests fox freckles friend friends fruit fruits fur furniture furry future
    futuristic galaxy game garden gate gem ghost giant girl girls glass glasses glitter glow
    glowing goat god goddess gods gold golden grass grave gray green grey ground group guitar gun
    guns hair hall hallway hand hands hanging happy hat hats head headphones heart hearts heaven
    heavy helmet hell hero hill hills hipster hole home hoodie horns horror horse horses hospital
    hot hotel hour house houses huge human humans hunter hybrid ice icon indian indoor industrial
    infinity insect insects interior iron island jacket japanese jewel jewelry jewels jungle key
    king kitchen kitten knife knight knights lab lace lady lake lamp lamps land landscape lantern
    lanterns large laser laughing lava leaf leather leaves left leg legs letter library life light
    lighthouse lightning lights lily lion lips liquid little living logo london long lotus lots
    love machine machines mad magic magical male man mane mansion map marble market mars mask
    masks mech mechanical medieval melting men mermaid metal metallic middle military milk mines
    mirror mist misty model modern monk monkey monster monsters moon moonlight morning moss mother
    motorcycle mountain mountains mouse mouth movie mud muscle muscles mushroom mushrooms music
    naked nature near nebula neck necklace neon new night ninja nose number nude ocean oceans
    octopus office oil old one open orange orb orc outdoor outfit outside owl palace pale palm
    panda pants paper parade parrot park part party path pattern patterns people person phone
    piano pig pillar pink pirate pixel pizza place plane planet planets plant plants plastic
    platform plate pond pool pope portal portrait pose post poster pretty priest prince princess
    punk purple queen rabbit radio rain rainbow raining rainy raven real red reef reflection
    reflections restaurant retro rich right ring river road robe robes robot robots rock rocket
    rocks roof room rose roses round royal ruby ruin ruins running rusty sacred sad sailor samurai
    sand scales scarf scene school screen sea season seat second seven shadow shadows shape shapes
    shark sheep shelf ship ships shirt shoes shop shore short shoulder shoulders shrine side sign
    silk silver simple single sitting skeleton skin skirt skull skulls sky skyline skyscraper
    sleep small smile smiling smoke smoking snake sneakers snow snowy soccer soft soldier soldiers
    solo solid space spaceship sparks spider spikes spiral splash spring square staff stage
    stained stairs standing star stars starship station statue steam steel stone stones storm
    store stormy street streets strong student suit summer sun sunflower sunlight sunny sunrise
    sunset super superhero surface swamp sweet swimming sword swords table tail tall tattoo
    tattoos tea tech technology teddy teeth temple tentacles text texture thin thick three throne
    tiger tiny tired top torch tower town toy toys train tree trees tribal truck tunnel turtle
    twilight two umbrella underwater uniform universe upper urban valley vampire vector veil
    victorian vines view viking village void wall walls war warm warrior warriors wars water
    waterfall wave waves weapon weapons wearing wedding weird west wet whale wheel white wild wind
    window windows wine wings winter wire wires witch wizard wolf wolves woman women wood wooden
    woods wool work world worlds yellow young zombie zombies skinny chubby muscular teen adult
    elder elderly harbor seaside stream accident force riverside roadside bedside mistake default
    design itself himself herself themselves myself mechanics ai artificial several multiple
    various anonymous unknown others characters character lines rays highlights depth video
    earphones brush strokes gallery worker traveler theme themes layout spray battle police
    sunglasses theory century collection society company ceremony morocco africa america europe
    japan china india paris
    """)

# Ordinary words that also close a person's name: "lena stone", and not "stone walls".
SURNAME_WORDS = word_set("""
    wood woods stone king young rose moss fox wolf hill hills brown black white gray grey green
    knight waters rivers graves church burns bell reed field fields lake man west day love bird
    moon bull cook
    """)

# Flavors with a free part, matched against the whole of a normalized phrase.
NUMBER = re.compile(r"\d{1,3}k|(?:1[89]|20)?\d0'?s")
PATTERN = re.compile(
    r"(?:\d{1,4}(?:k|mm|mp|px|p)|\d{1,4} ?megapixels?|\d{3,5} ?[x×] ?\d{3,5}"
    r"|(?:19|20)\d0'?s|\d0'?s"
    r"|f ?/? ?\d{1,2}(?:[. ]+\d{1,2})?|iso ?\d{2,5}|1 ?/ ?\d{2,4}s?"
    r"|(?:very |ultra |full )?(?:\d{1,2}k|hd|uhd) .{0,30}(?:resolution|quality|uhd|hd|hdr"
    r"|render|photo"
    r"|detail|details|definition|wallpaper|photography|photograph|rendering|realistic"
    r"|octane render)"
    r"|unreal(?: engine)? \d(?: .{0,20})?|.{0,30}\bunreal engine(?: \d)?(?: render(?:ed|ing)?)?"
    r"|(?:trending|featured|popular|hot|top|posted|shared|seen|as seen)(?: \w+)? (?:on|in|at"
    r"|by) .{2,30}"
    r"|trending \w+|\w+ trending|(?:winner|winning) .{0,20}contest"
    r"|(?:rendered|render|modeled|made|created|done|rendering) (?:in|with|by"
    r"|using) .{0,12}(?:octane|unreal"
    r"|blender|cinema 4d|engine|vray|v ray|houdini|zbrush|maya|arnold|photoshop|procreate|cgi"
    r"|3d).{0,20}"
    r"|(?:shot|taken|captured|photographed|filmed) (?:on|with|in|using|by)(?: a| an"
    r"| the)? .{0,12}(?:canon|nikon"
    r"|sony|leica|fuji|kodak|hasselblad|film|lens|camera|arri|iphone|mm\b|imax|dslr|gopro"
    r"|polaroid|panavision"
    r"|phone|red\b).{0,40}"
    r"|(?:canon|nikon|sony|leica|fujifilm|fuji|kodak|hasselblad|arri|zeiss|panasonic|olympus"
    r"|pentax)"
    r" [a-z0-9 ./+]{1,40}|.{0,24}\d{1,3} ?mm(?: (?:lens|film|photo|photography|photograph"
    r"|f.{1,8}|kodak.{0,12}))?"
    r"|(?:drawn|painted|illustrated|photographed|directed|designed|photo|photography|shot|styled)"
    r" (?:by|like) .{2,80}|inspired by .{2,80}"
    r"|(?:in|with) (?:the |a )?(?:\w+ ){0,3}styles? of .{2,80}|in the manner of .{2,60}"
    r"|(?:art|artwork|painting|illustration)? ?styles? of .{2,80}|art (?:of|from) .{2,40}"
    r"|(?:(?:\w+ ){0,4}art(?:work)?|painting|illustration|drawing|sketch"
    r"|photography) (?:made )?by .{2,80}"
    r"|(?:very |extremely |insanely |highly |super |ultra |hyper )+[a-z]{3,12}(?:ic|ed|al))"
)
# "X style" as a phrase of its own; a hair style is content.
STYLE = re.compile(
    r"(?:in |in a |in the )?((?:\S+ ){1,3})(?:art )?(?:style|styled|aesthetic|aesthetics|vibes?)"
)
NOT_STYLE = word_set("""
    hair house living life dress clothes fighting wearing with of and boy girl in on at
    """)
