"""Words that the rules for queries go by: where a cut may fall, and what names an idea.

English. Knows nothing about prompts; `query_extraction.py` says what each table decides.
"""

from pe.text.flavors import word_set

ARTICLES = word_set("a an the")
DETERMINERS = word_set("""
    a an the his her its their my your our this that these those two three
    """)
PREPOSITIONS = word_set("""
    in on at by for to from with without into onto over under above below behind between through
    near inside outside around across along against beside besides beneath among amid atop within
    during before after while as like via upon toward towards off past next front until about
    beyond out behind despite via per versus vs than featuring
    """)
OTHER_BREAKS = word_set("""
    and or but who which that where when whose because is are was were be been has have had having
    does do can will would should could looks look sits sit stands stand wears wear holds hold
    plays eats rides runs walks lies flies gets takes makes comes goes ate made surrounded covered
    filled dressed wrapped engulfed being depicted seen made painted drawn shown based inspired
    lit taken so very looking wearing holding sitting standing riding playing eating walking
    drinking running using making facing carrying showing doing taking reading talking fighting
    driving posing having lying laying dancing working watching smoking surrounding overlooking
    jumping cooking hugging kissing crying wielding sleeping swimming climbing emerging leaning
    staring gazing floating hanging waiting pointing pulling pushing throwing catching watching
    chasing attacking exploring trying giving smiling laughing screaming getting going coming
    turning feeding preparing performing resting kneeling crawling sipping sat stood
    """)
NOT_VERBS = word_set("""
    king ring wing wings building painting evening morning string spring ceiling clothing wedding
    lightning viking being thing something nothing everything anything sling swing starling
    duckling darling lighting drawing earring pudding dumpling sibling wellbeing sterling warning
    meeting blessing clearing landing crossing housing feeling peking beijing boeing
    """)
# A head that says nothing without the "of ..." after it.
EMPTY_HEADS = word_set("""
    group couple pair bunch lot lots kind piece part parts variety crowd view image series set
    number scene close up side back front top bottom inside interior exterior style type form
    version cup glass bowl plate bottle sort rest end beginning middle edge center mix mixture
    combination hybrid collection sea field depiction kind picture photo photograph painting
    portrait shot still illustration drawing rendering sketch closeup representation depiction
    style lots full made couple pile map cover
    """)
ADJECTIVES = word_set("""
    a an the very big small large huge giant tiny little old young new beautiful pretty cute ugly
    red blue green yellow orange purple pink black white brown grey gray golden silver dark bright
    light long short tall fat thin skinny round wide narrow deep high low hot cold warm cool wet
    dry happy sad angry scary creepy strange weird mysterious ancient medieval modern futuristic
    magical epic majestic elegant gorgeous stunning amazing extremely highly ultra realistic
    photorealistic detailed intricate ornate colorful vibrant dramatic cinematic gothic cyberpunk
    steampunk anthropomorphic humanoid glowing clear starry sunny cloudy foggy muscular handsome
    sexy attractive powerful massive enormous gigantic mystical ethereal fantasy cosmic evil holy
    sacred royal wild fluffy furry hairy bald naked rusty abandoned ruined broken empty full
    female male human single one two three four five several many some few various multiple most
    more less such own other another same different first last next american japanese chinese
    russian german french italian british english indian african european asian egyptian victorian
    roman greek rainy snowy windy stormy misty gloomy dusty dirty shiny
    """)
ADVERBS = word_set("""
    really slowly gently softly happily directly perfectly fully partially barely
    """)
NOUN_ADJECTIVES = word_set("""
    furry human humanoid female male orange single wild gold silver
    """)
BAD_ENDS = (
    PREPOSITIONS
    | DETERMINERS
    | word_set("""
    of and or but who which that where when is are was were be has have very not no it he she they
    them me you we i up down out so too just also more most all any each every both either s t
    what how why wearing looking made be been being am do does did can will get gets him really
    super extremely highly almost half large huge giant tiny upper lower & + some another other
    his inside one says reads said saying says reading true same only next that this upside
    """)
)
BAD_STARTS = word_set("and or of is are wearing with")
AFTER_VERB = DETERMINERS | PREPOSITIONS | word_set("out up down off away back together alone")
ADJECTIVE_ENDS = ("ous", "ful", "less", "ish", "like", "istic", "ical", "esque", "able", "punk")

# Ideas, feelings and themes a person might ask for without naming a thing.
ABSTRACT = word_set("""
    loneliness chaos hope dystopia utopia nostalgia war peace apocalypse despair grief sorrow
    sadness happiness joy bliss melancholy anxiety depression fear terror dread horror madness
    insanity sanity rage anger fury hatred hate jealousy envy greed lust pride sloth gluttony
    wrath shame guilt regret revenge vengeance betrayal loyalty friendship love romance desire
    passion longing yearning solitude isolation alienation emptiness void oblivion eternity
    infinity immortality mortality death rebirth resurrection creation destruction decay entropy
    harmony balance serenity tranquility calm calmness stillness silence freedom liberty slavery
    oppression justice injustice equality corruption power glory victory defeat triumph courage
    bravery heroism sacrifice redemption salvation damnation sin innocence purity beauty truth
    wisdom knowledge ignorance consciousness subconscious unconsciousness enlightenment
    transcendence ascension spirituality faith religion divinity mysticism magic mystery wonder
    awe imagination creativity inspiration dream dreams nightmare nightmares hallucination
    hallucinations delusion illusion memory memories childhood youth aging time past future
    history destiny fate luck fortune karma life existence existentialism nihilism absurdity
    reality hyperreality surreality simulation singularity technology progress evolution
    revolution rebellion anarchy revolt tyranny capitalism communism socialism fascism democracy
    consumerism poverty wealth luxury famine pandemic extinction survival civilization society
    humanity nature wilderness summer winter autumn spring holidays celebration festivity
    adventure exploration discovery journey wanderlust escape exile homesickness homecoming
    belonging identity diversity unity love heartbreak loss trauma pain suffering agony torment
    misery ecstasy euphoria pleasure comfort coziness warmth kindness compassion empathy gratitude
    generosity forgiveness tenderness intimacy motherhood fatherhood parenthood marriage divorce
    jealousy deception lies secrecy conspiracy paranoia confusion disorder symmetry abundance
    prosperity success failure ambition motivation productivity boredom laziness procrastination
    stress burnout exhaustion insomnia sleep sleeplessness addiction temptation seduction
    obsession vanity narcissism arrogance humility honor valor chivalry patriotism nationalism
    freedom politics economics science mathematics philosophy psychology music jazz poetry
    literature astronomy astrology alchemy witchcraft voodoo occultism necromancy paradise heaven
    hell purgatory afterlife underworld cyberspace metaverse multiverse darkness decadence
    opulence elegance grandeur majesty fragility vulnerability resilience strength weakness energy
    vitality speed gravity relativity duality metamorphosis transformation transition change
    growth renewal fertility harvest apathy indifference hysteria panic suspense tension danger
    disaster catastrophe armageddon doom doomsday ruin downfall collapse genocide violence
    brutality cruelty evil goodness morality mischief playfulness whimsy fun curiosity nostalgia
    sentimentality bittersweetness ennui angst ego id superego psyche soul spirit
    """)
# Too often a thing, a verb or a title: only with an adjective before them.
WEAK_ABSTRACT = word_set("""
    time past future history life nature summer winter autumn spring music science technology
    energy speed strength power beauty magic evil love death sleep escape change fun hell heaven
    society past war peace spirit soul void dream dreams horror adventure journey darkness pride
    lies science fortune paradise wonder elegance symmetry luxury jazz wilderness nightmare ruin
    balance glory calm underworld memory fantasy mystery fate fury rage civilization inspiration
    creation reality hope luck mysticism gravity desire destruction growth nightmares harmony
    strength imagination id ego majesty
    """)
NOT_ALONE = word_set(
    "music technology summer winter autumn spring nature symmetry speed id lies power future past"
)
THEME_ALONE = word_set("""
    dystopian utopian apocalyptic post-apocalyptic postapocalyptic existential nostalgic
    melancholic melancholy dreamlike otherworldly foreboding haunting hopeful lonely chaotic
    sinister serene peaceful tranquil transcendental spiritual lovecraftian bittersweet festive
    depressing horrifying terrifying unsettling eerie ominous mysterious euphoric heroic tragic
    """)
THEME_HEADS = word_set("""
    world society atmosphere mood feeling vibe vibes energy aura emotion emotions
    """)
THEME_ADJECTIVES = word_set("""
    dystopian utopian apocalyptic postapocalyptic cosmic existential eerie ominous melancholic
    nostalgic dreamy dreamlike ethereal mystical magical surreal haunting gloomy somber peaceful
    serene tranquil romantic mysterious sinister chaotic hopeful lonely joyful festive cheerful
    cozy playful whimsical tense spiritual psychedelic divine infinite eternal lost forbidden
    forgotten true pure undying unrequited eldritch lovecraftian primal inner outer collective
    endless absolute total utter deep human dark digital artificial modern urban tragic bitter
    sweet broken hidden ancient sacred wild raw post nuclear civil political social mental
    emotional lucid bad childhood summer medieval futuristic mythical celestial supernatural
    enchanted gothic foreboding moody unsettling creepy spooky intense relaxing calm happy sad
    """)
