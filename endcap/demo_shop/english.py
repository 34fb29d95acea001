"""The English shop's words. Brand and series names are invented."""

from __future__ import annotations

from endcap.demo_shop.words import Labels, Language, read_leaves, read_measures, read_terms

_CATEGORIES = {
    "furniture": "Furniture",
    "living": "Living Room",
    "bedroom": "Bedroom",
    "study": "Home Office",
    "kitchen": "Kitchen & Dining",
    "cooking": "Cookware",
    "appliances": "Small Appliances",
    "tableware": "Tableware",
    "clothing": "Clothing & Shoes",
    "men": "Men",
    "women": "Women",
    "shoes": "Shoes",
    "accessories": "Accessories",
    "electronics": "Electronics",
    "audio": "Audio",
    "computing": "Computing",
    "mobile": "Mobile",
    "outdoors": "Sports & Outdoors",
    "camping": "Camping",
    "fitness": "Fitness",
    "cycling": "Cycling",
    "beauty": "Beauty & Fragrance",
    "skin": "Skin Care",
    "hair": "Hair Care",
    "fragrance": "Scents",
    "toys": "Toys & Games",
    "play": "Play",
    "games": "Games",
    "garden": "Tools, Garden & Light",
    "tools": "Tools",
    "yard": "Yard",
    "lighting": "Lighting",
    "pets": "Pets",
    "dogs": "Dogs",
    "cats": "Cats",
}

_LEAVES = """
sofa | Sofas | sofa | couch, settee | sectional, sleeper, tufted, mid-century, modular
coffee_table | Coffee Tables | coffee table | cocktail table, center table | round, lift-top, nesting, two-tier
tv_stand | TV Stands | TV stand, TV console | television cabinet, media unit | floating, corner, farmhouse
armchair | Armchairs | armchair, accent chair | lounge seat, easy chair | swivel, reclining, wingback, tufted
bed_frame | Bed Frames | bed frame, platform bed | bedstead | upholstered, storage, canopy, low-profile
mattress | Mattresses | mattress | sleeping pad for bed | memory foam, hybrid, firm, cooling, soft
nightstand | Nightstands | nightstand | bedside table, night table | floating, wireless charging, mid-century
dresser | Dressers | dresser | chest of drawers, bureau | tall, double, rustic, soft-close
desk | Desks | desk, writing desk | work table, computer table | standing, L-shaped, folding, corner
office_chair | Office Chairs | office chair, desk chair | swivel seat, task seat | ergonomic, high-back, adjustable, armless
bookcase | Bookcases | bookcase, bookshelf | book rack, shelving unit | ladder, open, corner, industrial
frying_pan | Frying Pans | frying pan | skillet, fry pan | nonstick, induction, deep, oven-safe
saucepan | Saucepans | saucepan | sauce pot, small pot | nonstick, induction, lidded
dutch_oven | Dutch Ovens | dutch oven | casserole pot, braising pot | enameled, oval, lidded
knife_set | Knife Sets | knife set, knife block set | kitchen blades, chef cutlery | forged, Japanese, self-sharpening
blender | Blenders | blender | smoothie maker, liquidizer | personal, cordless, quiet, high-speed
coffee_maker | Coffee Makers | coffee maker, coffee machine | espresso brewer, coffee brewer | programmable, single-serve, drip, thermal
kettle | Kettles | electric kettle, kettle | water boiler, tea heater | gooseneck, cordless, temperature control
toaster | Toasters | toaster | bread browner | wide-slot, retro, bagel
mug | Mugs | coffee mug, mug | tea cup, drinking cup | insulated, handmade, oversized, stackable
plates | Dinner Plates | dinner plate set, plate set | dishes, dinnerware | microwave-safe, matte, scalloped
water_bottle | Water Bottles | water bottle | drink flask, hydration flask | insulated, leakproof, collapsible, straw-lid
mens_tshirt | Men's T-Shirts | men's t-shirt, men's tee | guys top, male undershirt | crew-neck, v-neck, slim-fit, graphic
mens_jeans | Men's Jeans | men's jeans | guys denim trousers, male denims | slim-fit, relaxed, stretch, straight
mens_jacket | Men's Jackets | men's jacket | guys coat, male outerwear | waterproof, hooded, quilted, lightweight
dress | Dresses | dress, women's dress | gown, frock | midi, maxi, wrap, floral, sleeveless
womens_sweater | Women's Sweaters | women's sweater | ladies pullover, ladies jumper | cable-knit, turtleneck, oversized, cropped
leggings | Leggings | leggings, women's leggings | yoga tights, stretch pants | high-waisted, seamless, fleece-lined
running_shoes | Running Shoes | running shoes | jogging sneakers, trainers | cushioned, trail, wide, lightweight
boots | Boots | boots, ankle boots | booties | waterproof, chelsea, insulated, lace-up
sandals | Sandals | sandals | flip flops, slides | strappy, platform, orthopedic
backpack | Backpacks | backpack | rucksack, knapsack | waterproof, anti-theft, roll-top, laptop
sunglasses | Sunglasses | sunglasses | shades, sun eyewear | polarized, aviator, oversized, retro
wallet | Wallets | wallet | billfold, card holder | slim, RFID-blocking, trifold
headphones | Headphones | headphones, over-ear headphones | headset, cans | noise-cancelling, wireless, foldable, studio
earbuds | Earbuds | earbuds, wireless earbuds | in-ear phones, ear pods | noise-cancelling, waterproof, bone-conduction
speaker | Speakers | Bluetooth speaker, speaker | boombox, sound box | portable, waterproof, stereo, smart
keyboard | Keyboards | keyboard | typing board, key board | mechanical, wireless, ergonomic, backlit
mouse | Mice | mouse, computer mouse | pointing device, clicker | wireless, ergonomic, vertical, silent
monitor | Monitors | monitor, computer monitor | desktop display, pc screen | curved, 4K, ultrawide, portable
webcam | Webcams | webcam | video call camera, pc camera | autofocus, wide-angle, ring-light
phone_case | Phone Cases | phone case | cell phone cover, phone cover | shockproof, clear, wallet, magnetic
charger | Chargers | USB-C charger, wall charger | power adapter, charging plug | fast, foldable, dual-port, magnetic
power_bank | Power Banks | power bank, portable battery | battery pack, backup battery | slim, solar, fast, magnetic
tent | Tents | tent, camping tent | canvas shelter, camp shelter | instant, waterproof, ultralight, blackout
sleeping_bag | Sleeping Bags | sleeping bag | bed roll, camp bedding | mummy, double, compressible, down
camp_stove | Camp Stoves | camping stove, camp stove | outdoor burner, gas cooker | folding, windproof, butane
flashlight | Flashlights | flashlight | torch, hand lamp | rechargeable, tactical, waterproof, zoomable
yoga_mat | Yoga Mats | yoga mat | exercise mat, pilates pad | non-slip, extra-thick, foldable
dumbbells | Dumbbells | dumbbells, dumbbell set | hand weights, free weights | adjustable, hex, neoprene
bike_helmet | Bike Helmets | bike helmet | bicycle head protection, cycling hat | lightweight, MIPS-style, visor
bike_light | Bike Lights | bike light set, bike light | bicycle lamp | rechargeable, rear, waterproof
moisturizer | Moisturizers | moisturizer, face cream | skin lotion, hydrating lotion | fragrance-free, anti-aging, oil-free, gel
sunscreen | Sunscreens | sunscreen | sun block, sun lotion | mineral, tinted, water-resistant, sport
shampoo | Shampoos | shampoo | hair wash, hair cleanser | sulfate-free, volumizing, anti-dandruff
hair_dryer | Hair Dryers | hair dryer | blow dryer, blower for hair | ionic, folding, diffuser
perfume | Perfumes | eau de parfum, perfume | cologne, scent spray | floral, woody, citrus, unisex
candle | Candles | scented candle | aroma candle, wax light | soy, vanilla, lavender, three-wick
building_set | Building Sets | building set, building blocks | construction bricks, stacking bricks | magnetic, space, castle, robot
puzzle | Puzzles | jigsaw puzzle | picture puzzle game | landscape, 3D, wooden-box
stuffed_animal | Stuffed Animals | stuffed animal, plush toy | cuddly toy, teddy | weighted, musical, giant
board_game | Board Games | board game | tabletop game, family game | cooperative, strategy, trivia
drill | Drills | cordless drill, power drill | screw gun, boring machine | brushless, hammer, compact
screwdrivers | Screwdriver Sets | screwdriver set | screw turner kit | magnetic, precision, insulated
garden_hose | Garden Hoses | garden hose | yard water pipe, lawn pipe | expandable, kink-free, soaker
planter | Planters | planter, flower pot | plant pot, plant container | hanging, self-watering, outdoor
desk_lamp | Desk Lamps | desk lamp | table light, reading light | dimmable, clamp, wireless charging
floor_lamp | Floor Lamps | floor lamp | standing light, standing lamp | arc, tripod, dimmable, tree
string_lights | String Lights | string lights | fairy lights, party lights | solar, outdoor, battery
dog_bed | Dog Beds | dog bed | puppy sleeper, pet cushion | orthopedic, washable, heated, raised
dog_leash | Dog Leashes | dog leash | puppy lead, dog lead | retractable, reflective, hands-free
cat_tree | Cat Trees | cat tree, cat tower | kitten climber, cat condo | tall, hammock, scratching
"""  # noqa: E501 (a table reads best with one row a line)

_COLORS = """
gray | gray | grey
beige | beige | cream colored, tan
white | white | snow white
black | black | jet black
navy | navy | dark blue, midnight blue
green | green | forest green
brown | brown | chocolate brown
teal | teal | blue green
silver | silver | chrome
red | red | bright red
olive | olive | army green
burgundy | burgundy | wine red, maroon
blue | blue | sky blue
pink | pink | blush
orange | orange | tangerine
yellow | yellow | mustard
purple | purple | violet
"""

_MATERIALS = """
linen | linen | flax
leather | leather | cowhide
velvet | velvet | velour
oak | oak | oak wood
walnut | walnut | walnut wood
pine | pine | pinewood
bamboo | bamboo |
steel | steel | metal
stainless | stainless steel | inox
cast iron | cast iron |
aluminum | aluminum | aluminium
ceramic | ceramic | stoneware
glass | glass |
porcelain | porcelain | china
cotton | cotton |
wool | wool | woolen
polyester | polyester | synthetic
cashmere | cashmere |
suede | suede |
mesh | mesh | breathable knit
canvas | canvas |
nylon | nylon |
silicone | silicone |
plastic | plastic |
rubber | rubber |
cork | cork |
wood toy | wooden | wood
plush | plush | fluffy
"""

_OCCASIONS = """
small_home | small apartment | tiny apartment, studio flat
housewarming | housewarming | new home gift
reading | reading nook | reading corner
nursery | nursery | baby room
kids_room | kids room | children bedroom
guest_room | guest room | spare room
home_office | home office | working from home
camping | camping | camp trip
wedding | wedding | wedding guest
party | party | get together
gym | gym | workout
office | office | work
dorm | dorm room | college dorm
christmas | christmas | xmas
school | school | back to school
hiking | hiking | trekking
summer | summer | hot weather
winter | winter | cold weather
travel | travel | long flights
beach | beach | seaside
gaming | gaming | gamers
emergency | emergency | power outage
home_gym | home gym | garage gym
commuting | commuting | daily commute
kids | kids | children
birthday | birthday | birthday gift
balcony | balcony | small patio
"""

_MEASURES = """
seats | seats | 2-seat, 3-seat, 4-seat
width | width | 32 inch, 40 inch, 48 inch, 55 inch, 63 inch
bed | bed size | twin, full, queen, king
drawers | drawers | 1-drawer, 2-drawer, 3-drawer, 6-drawer
shelves | shelves | 3-shelf, 4-shelf, 5-shelf, 6-shelf
pan | diameter | 8 inch, 10 inch, 12 inch
quarts | capacity | 2 quart, 3 quart, 5 quart, 7 quart
pieces_s | pieces | 4-piece, 6-piece, 12-piece, 16-piece
watts | power | 300W, 600W, 1000W, 1500W
cups | capacity | 4-cup, 8-cup, 10-cup, 12-cup
liters | capacity | 0.8L, 1.0L, 1.5L, 1.7L
slices | slots | 2-slice, 4-slice
ounces | capacity | 12 oz, 16 oz, 20 oz, 32 oz
size | size | XS, S, M, L, XL, XXL
waist | waist | 30x30, 32x32, 34x32, 36x34
shoe | size | size 7, size 8, size 9, size 10, size 11
liters_b | volume | 15L, 20L, 30L, 45L
hours | duration | 20 hour, 30 hour, 40 hour, 60 hour
keys | layout | 60 percent, 75 percent, full size
dpi | resolution | 1600 DPI, 4000 DPI, 8000 DPI
screen | screen size | 24 inch, 27 inch, 32 inch, 34 inch
video | video | 720p, 1080p, 1440p
phone | fits | 6.1 inch, 6.4 inch, 6.7 inch
watts_c | power | 20W, 30W, 45W, 65W, 100W
mah | capacity | 5000mAh, 10000mAh, 20000mAh, 26800mAh
people | capacity | 2-person, 4-person, 6-person, 8-person
degrees | comfort | 40 degree, 20 degree, 0 degree
burners | burners | 1-burner, 2-burner
lumens | brightness | 200 lumen, 500 lumen, 800 lumen, 1200 lumen
thickness | thickness | 4mm, 6mm, 10mm
pounds | weight | 5 lb, 10 lb, 20 lb, 30 lb
ml | volume | 30ml, 50ml, 100ml, 250ml
spf | protection | SPF 30, SPF 50, SPF 70
pieces | pieces | 100-piece, 300-piece, 500-piece, 1000-piece
tall | height | 10 inch, 16 inch, 24 inch
players | players | 2-player, 4-player, 6-player
volts | voltage | 12V, 18V, 20V
feet | length | 6 ft, 15 ft, 33 ft, 50 ft
width_s | diameter | 6 inch, 8 inch, 10 inch, 14 inch
pet | pet size | small, medium, large
levels | levels | 3-level, 5-level, 7-level
"""

_BRANDS = """
Varnholt Quellmoor Tavrix Ostrilla Brenwick Nuvaro Kestryn Hollimere Dovanta Pellworth Zarimo Ulmgard
Corvessa Ferndune Jorlane Mistrand Oakvyn Prellis Quintaro Rosvale Sundrake Trellova Vexley Wyndomar
Ashkelby Bovrane Cindral Delvio Emberlyn Fjolmar Glenvara Hyrro Imbero Juvano Koltren Lurrena
Maplorn Nordvik Orrinda Pavello Quorra Rendyl Solvana Tundrel Umberra Velstad Wexmoor Xandrel
Yarrowin Zephira Altavue Birchal Crestine Dunmarrow Elvanor Frostel Grovanni Harpelle Ivaneth Jasperel
Kindrova Lomaris Merrivo Nimbra Olvetto Pinecroft_Day Quillane Ravencote Silvarro Thornaby Urbello Vantrose
Willowisp_&_Co Xylora Yondera Zelkirk Arbonia Brightmoss Calderyn Dawnfell
"""

_SERIES = """
Aster Beacon Cove Drift Ember Fable Grove Haven Iris Juniper Karst Lumen Meadow Nova Onyx Pebble Quartz
Ridge Sable Tide Umbra Vale Willow Zenith
"""

ENGLISH = Language(
    code="en",
    currency="USD",
    exchange=1.0,
    labels=Labels("brand", "product", "color", "material", "price", "attribute", "occasion"),
    categories=_CATEGORIES,
    leaves=read_leaves(_LEAVES),
    colors=read_terms(_COLORS),
    materials=read_terms(_MATERIALS),
    occasions=read_terms(_OCCASIONS),
    measures=read_measures(_MEASURES),
    brands=tuple(name.replace("_", " ") for name in _BRANDS.split()),
    series=tuple(_SERIES.split()),
    title_patterns=(
        "{brand} {series} {modifier} {material} {noun}, {color}",
        "{brand} {modifier} {noun} - {color}, {measure}",
        "{modifier} {noun} by {brand}, {measure}, {color}",
        "{brand} {measure} {material} {noun} ({color})",
        "{brand} {series} {number} {noun}",
        "{brand} {noun} {series}, {measure}",
        "{material} {noun}, {modifier}, {color} | {brand}",
        "{brand} {series} {noun} {measure} {color}",
    ),
    descriptions=(
        "A {noun} from the {series} line by {brand}. {facts}",
        "{brand} made this {noun} for everyday use. {facts}",
        "{facts} Part of the {series} range.",
    ),
    price_patterns=(
        "max:under ${high}",
        "max:below {high} dollars",
        "max:less than ${high}",
        "range:${low} to ${high}",
    ),
    filler=("best", "new", "good", "buy", "top"),
    occasion_pattern="for {occasion}",
    letters=True,
    attribute_names=("color", "material", "features", "occasion"),
)
