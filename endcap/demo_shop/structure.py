"""What is the same in every language: the leaves of the category tree and how their products vary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeafShape:
    """A leaf category without words.

    Attributes:
        key: name of the leaf in the word tables.
        department: key of the first level.
        aisle: key of the second level.
        price: median price in US dollars at a mid-priced brand.
        palette: name in ``PALETTES``; empty where colour means nothing.
        materials: name in ``MATERIALS``; empty where material means nothing.
        measure: which size-like attribute products have (a key of a language's ``measures``).
        occasions: keys of the occasions its products may be made for.
    """

    key: str
    department: str
    aisle: str
    price: float
    palette: str
    materials: str
    measure: str
    occasions: tuple[str, ...]


PALETTES: dict[str, tuple[str, ...]] = {
    "": (),
    "home": ("gray", "beige", "white", "black", "navy", "green", "brown", "teal"),
    "kitchen": ("black", "silver", "white", "red", "teal", "gray", "beige"),
    "wear": ("black", "navy", "white", "gray", "olive", "burgundy", "beige", "blue", "red", "pink", "brown"),
    "tech": ("black", "white", "silver", "gray", "blue", "pink"),
    "outdoor": ("green", "olive", "orange", "black", "blue", "gray", "yellow"),
    "bright": ("red", "blue", "yellow", "green", "pink", "purple", "orange"),
}

MATERIALS: dict[str, tuple[str, ...]] = {
    "": (),
    "upholstery": ("linen", "leather", "velvet"),
    "wood": ("oak", "walnut", "pine", "bamboo", "steel"),
    "cookware": ("stainless", "cast iron", "aluminum", "ceramic"),
    "tableware": ("ceramic", "glass", "porcelain", "stainless"),
    "textile": ("cotton", "wool", "linen", "polyester", "cashmere"),
    "footwear": ("leather", "suede", "mesh", "canvas"),
    "bag": ("canvas", "leather", "nylon"),
    "case": ("silicone", "leather", "plastic"),
    "outdoor": ("nylon", "polyester", "canvas"),
    "garden": ("plastic", "ceramic", "bamboo", "steel"),
    "mat": ("rubber", "cork"),
    "toy": ("wood toy", "plastic", "plush"),
    "shade": ("steel", "glass", "bamboo", "linen"),
}

COLOR_FAMILIES: dict[str, str] = {
    "navy": "blue",
    "blue": "blue",
    "burgundy": "red",
    "red": "red",
    "olive": "green",
    "green": "green",
    "teal": "green",
    "gray": "gray",
    "silver": "gray",
    "beige": "light",
    "white": "light",
}
"""Colours of one family are a near miss of each other; others are a miss."""

MATERIAL_PRICE: dict[str, float] = {
    "leather": 1.45,
    "cashmere": 1.9,
    "walnut": 1.35,
    "oak": 1.2,
    "velvet": 1.15,
    "cast iron": 1.2,
    "wool": 1.25,
    "suede": 1.2,
    "pine": 0.85,
    "plastic": 0.7,
    "polyester": 0.8,
}
"""Price factor of a material where it is not 1."""

_TABLE = """
sofa           furniture  living      620  home    upholstery  seats      small_home,housewarming
coffee_table   furniture  living      160  home    wood        width      small_home,housewarming
tv_stand       furniture  living      190  home    wood        width      small_home
armchair       furniture  living      260  home    upholstery  none       reading,nursery
bed_frame      furniture  bedroom     340  home    wood        bed        kids_room,small_home
mattress       furniture  bedroom     420          -           bed        guest_room
nightstand     furniture  bedroom     85   home    wood        drawers    kids_room,small_home
dresser        furniture  bedroom     240  home    wood        drawers    nursery,kids_room
desk           furniture  study       230  home    wood        width      home_office,small_home
office_chair   furniture  study       190  home    upholstery  none       home_office
bookcase       furniture  study       130  home    wood        shelves    kids_room,home_office
frying_pan     kitchen    cooking     38   kitchen cookware    pan        camping,housewarming
saucepan       kitchen    cooking     34   kitchen cookware    quarts     housewarming
dutch_oven     kitchen    cooking     85   kitchen cookware    quarts     camping,wedding
knife_set      kitchen    cooking     70           cookware    pieces_s   wedding,housewarming
blender        kitchen    appliances  68   kitchen -           watts      gym
coffee_maker   kitchen    appliances  95   kitchen -           cups       office,housewarming
kettle         kitchen    appliances  42   kitchen -           liters     office,dorm
toaster        kitchen    appliances  40   kitchen -           slices     dorm,wedding
mug            kitchen    tableware   14   kitchen tableware   ounces     office,christmas
plates         kitchen    tableware   45   kitchen tableware   pieces_s   wedding,party
water_bottle   kitchen    tableware   22   outdoor tableware   ounces     gym,school,hiking
mens_tshirt    clothing   men         19   wear    textile     size       gym,summer
mens_jeans     clothing   men         48   wear    -           waist      office,travel
mens_jacket    clothing   men         89   wear    textile     size       hiking,winter
dress          clothing   women       56   wear    textile     size       wedding,party,summer
womens_sweater clothing   women       52   wear    textile     size       winter,office
leggings       clothing   women       28   wear    textile     size       gym,travel
running_shoes  clothing   shoes       78   wear    footwear    shoe       gym,travel
boots          clothing   shoes       98   wear    footwear    shoe       hiking,winter
sandals        clothing   shoes       36   wear    footwear    shoe       summer,beach
backpack       clothing   accessories 54   wear    bag         liters_b   school,hiking,travel
sunglasses     clothing   accessories 32   wear    -           none       beach,summer
wallet         clothing   accessories 29   wear    bag         none       travel,christmas
headphones     electronics audio      96   tech    -           hours      travel,office
earbuds        electronics audio      58   tech    -           hours      gym,travel
speaker        electronics audio      64   tech    -           watts      party,beach
keyboard       electronics computing  62   tech    -           keys       home_office,gaming
mouse          electronics computing  31   tech    -           dpi        home_office,gaming
monitor        electronics computing  230  tech    -           screen     home_office,gaming
webcam         electronics computing  55   tech    -           video      home_office,school
phone_case     electronics mobile     18   tech    case        phone      travel,beach
charger        electronics mobile     26   tech    -           watts_c    travel,office
power_bank     electronics mobile     35   tech    -           mah        travel,camping
tent           outdoors   camping     150  outdoor outdoor     people     camping,beach
sleeping_bag   outdoors   camping     72   outdoor outdoor     degrees    camping,hiking
camp_stove     outdoors   camping     48           -           burners    camping,hiking
flashlight     outdoors   camping     24   outdoor -           lumens     camping,emergency
yoga_mat       outdoors   fitness     32   bright  mat         thickness  gym,travel
dumbbells      outdoors   fitness     58   bright  -           pounds     gym,home_gym
bike_helmet    outdoors   cycling     52   outdoor -           size       commuting,kids
bike_light     outdoors   cycling     25           -           lumens     commuting
moisturizer    beauty     skin        24           -           ml         winter,travel
sunscreen      beauty     skin        16           -           spf        beach,kids
shampoo        beauty     hair        13           -           ml         travel
hair_dryer     beauty     hair        46   tech    -           watts      travel
perfume        beauty     fragrance   62           -           ml         wedding,christmas
candle         beauty     fragrance   21   bright  -           hours      christmas,party
building_set   toys       play        38   bright  toy         pieces     birthday,christmas
puzzle         toys       play        18           -           pieces     christmas,travel
stuffed_animal toys       play        20   bright  -           tall       birthday,nursery
board_game     toys       games       29           -           players    party,christmas
drill          garden     tools       92   bright  -           volts      housewarming
screwdrivers   garden     tools       24           -           pieces_s   emergency
garden_hose    garden     yard        36   outdoor -           feet       summer
planter        garden     yard        28   home    garden      width_s    balcony,housewarming
desk_lamp      garden     lighting    34   home    shade       lumens     home_office,dorm
floor_lamp     garden     lighting    78   home    shade       lumens     reading,small_home
string_lights  garden     lighting    19   bright  -           feet       christmas,party
dog_bed        pets       dogs        44   home    -           pet        winter,travel
dog_leash      pets       dogs        17   bright  bag         feet       hiking
cat_tree       pets       cats        84   home    -           levels     small_home
"""


def _shape(line: str) -> LeafShape:
    fields = line.split()
    # "cast iron" and the like never stand in this table, so a missing palette is the only gap.
    if fields[4] not in PALETTES:
        fields.insert(4, "")
    key, department, aisle, price, palette, materials, measure, occasions = fields
    return LeafShape(
        key=key,
        department=department,
        aisle=aisle,
        price=float(price),
        palette=palette,
        materials="" if materials == "-" else materials,
        measure="" if measure == "none" else measure,
        occasions=tuple(occasions.split(",")),
    )


LEAVES: tuple[LeafShape, ...] = tuple(_shape(line) for line in _TABLE.strip().splitlines())
DEPARTMENTS: tuple[str, ...] = tuple(dict.fromkeys(leaf.department for leaf in LEAVES))
