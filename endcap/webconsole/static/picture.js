// A product's picture, or a drawing by its category and colour where it has none.

import { element, svg } from "./dom.js";

const COLORS = [
  [/navy|藏青/, "#2c3e66"], [/burgundy|wine|酒红/, "#7d2a3f"], [/olive|军绿/, "#6f7240"], [/teal|turquoise|青色/, "#21807f"],
  [/black|黑/, "#3b3f46"], [/white|ivory|白/, "#f4f2ec"], [/silver|chrome|steel|银/, "#b6bec8"], [/gr[ae]y|灰/, "#8c929b"],
  [/beige|cream|tan|米/, "#d8c6a5"], [/brown|oak|walnut|棕|褐/, "#8a5f3d"], [/red|红/, "#c8433f"], [/pink|rose|粉/, "#e08fa6"],
  [/orange|橙|橘/, "#e0853a"], [/yellow|gold|黄|金/, "#e2b93b"], [/green|绿/, "#4c8f5a"], [/purple|violet|紫/, "#7c5ba6"],
  [/blue|蓝/, "#3f74b8"],
];
const PLAIN = ["#6d8fb5", "#8fa872", "#c08a5d", "#a5809f", "#6fa39c", "#b5885f"];

// Each shape on a square of 64, pieces of SVG paths: "f" is filled with the colour, "d" with a darker one, "l" is a
// line; "c" is a circle (x, y, radius, f or d).
const SHAPES = [
  [/sleeping bag|mattress|bed frame|\bbeds?\b|睡袋|床(?!头)|dog bed|狗窝/, "d10 24h6v28h-6z f10 36h44v12h-44z f16 29h14v7h-14z d50 44h4v8h-4z d10 44h4v8h-4z"],
  [/sofa|couch|armchair|沙发|单人椅/, "f14 22q0 -6 6 -6h24q6 0 6 6v14h-36z d8 32q0 -4 4 -4t4 4v8h32v-8q0 -4 4 -4t4 4v16h-48z l14 48v5 l50 48v5"],
  [/chair|stool|椅|凳/, "f20 10h24q3 0 3 4l-2 20h-26l-2 -20q0 -4 3 -4z d17 36h30v6h-30z l32 42v8 l20 54q12 -8 24 0"],
  [/lamp|lantern|chandelier|灯饰|台灯|落地灯/, "f22 10h20l8 20h-36z l32 30v22 d22 52h20v3h-20z"],
  [/flashlight|bike light|string light|\blights?\b|手电|车灯|彩灯/, "f8 24h30v16h-30z d38 20l8 -4v32l-8 -4z l51 24l6 -3 l51 32h7 l51 40l6 3"],
  [/bookcase|shel|dresser|nightstand|cabinet|tv stand|书架|柜|斗柜/, "f14 10h36v42h-36z l14 24h36 l14 38h36 l30 17h4 l30 31h4 l30 45h4 l18 52v4 l46 52v4"],
  [/desk|table|桌|茶几/, "f8 22h48v7h-48z l14 29v24 l50 29v24 d34 29h14v9h-14z"],
  [/mug|cup|coffee maker|杯|咖啡/, "f14 18h28v26q0 8 -8 8h-12q-8 0 -8 -8z l42 24h6q4 0 4 6t-4 6h-6 l22 6q-3 3 0 7 l32 6q-3 3 0 7"],
  [/bottle|shampoo|moisturi|sunscreen|perfume|水壶|洗发|面霜|防晒|香水/, "f22 22q0 -4 4 -5v-7h12v7q4 1 4 5v28q0 4 -4 4h-12q-4 0 -4 -4z d25 5h14v6h-14z d22 30h20v12h-20z"],
  [/candle|蜡烛/, "f20 28h24v24h-24z l32 28v-6 d32 8q6 7 0 14q-6 -7 0 -14z"],
  [/kettle|blender|toaster|appliance|小家电|料理机|面包机/, "f18 22h28l4 30h-36z l20 22q12 -16 24 0 d28 14h8v-4h-8z l50 26q10 6 2 18 d14 52h36v3h-36z"],
  [/pot|pan|saucepan|cookware|oven|锅/, "f10 26h36v18q0 6 -6 6h-24q-6 0 -6 -6z d8 22h40v5h-40z l48 30h12 d24 17h8v5h-8z"],
  [/plate|tableware|餐/, "c32 32 23 f c32 32 14 d"],
  [/knife|knives|cleaver|刀/, "f12 12q26 6 34 28l-8 4z d38 44l8 -4l8 10q2 5 -4 6z"],
  [/boot|靴/, "f20 8h16v24q4 5 14 8q6 2 6 10v2h-36z d18 50h38v5h-38z"],
  [/sandal|shoe|sneaker|鞋/, "f8 28q10 4 16 -6q6 8 16 12t18 8q4 2 4 6h-54z d8 46h54v5h-54z l26 26l5 -4 l32 31l5 -4"],
  [/dress|gown|裙/, "f24 8l3 6q5 4 10 0l3 -6l4 2l-3 16l11 26h-40l11 -26l-3 -16z d23 26h18v4h-18z"],
  [/jean|legging|trouser|pants|裤/, "f18 8h28l4 46h-13l-5 -32l-5 32h-13z d18 8h28v6h-28z"],
  [/jacket|sweater|shirt|polo|clothing|coat|夹克|毛衣|T恤|衬衫|服饰/, "f22 10q10 8 20 0l14 8l-6 12l-6 -3v27h-24v-27l-6 3l-6 -12z l26 12q6 6 12 0"],
  [/backpack|bag|pouch|包/, "f16 24q0 -12 16 -12t16 12v28q0 3 -3 3h-26q-3 0 -3 -3z d20 34h24v14h-24z l26 12q0 -6 6 -6t6 6"],
  [/wallet|钱/, "f10 18h44v30h-44z d36 28h18v10h-18z l10 24h44"],
  [/glass(?!.*bowl)|眼镜|太阳镜/, "c20 34 11 f c44 34 11 f l29 32q3 -3 6 0 l9 30l-3 -8 l55 30l3 -8"],
  [/headphone|earbud|耳机/, "l14 38v-6q0 -18 18 -18t18 18v6 f9 34h10v16h-10z f45 34h10v16h-10z"],
  [/speaker|音箱/, "f18 8h28v48h-28z c32 22 6 d c32 41 10 d"],
  [/monitor|screen|webcam|tv|显示器|摄像头/, "f8 12h48v32h-48z d12 16h40v24h-40z l32 44v8 l22 53h20"],
  [/keyboard|键盘/, "f6 22h52v22h-52z l12 28h6 l22 28h6 l32 28h6 l42 28h10 l12 34h6 l22 34h6 l32 34h6 l46 34h6 l20 39h24"],
  [/mouse|mice|鼠标/, "f18 26q0 -16 14 -16t14 16v14q0 16 -14 16t-14 -16z l32 10v16 l18 28h28"],
  [/charger|power bank|phone|battery|充电|手机/, "f20 8h24q3 0 3 3v42q0 3 -3 3h-24q-3 0 -3 -3v-42q0 -3 3 -3z d34 18l-9 15h6l-2 13l10 -16h-7z"],
  [/dryer|吹风/, "f10 14h30q10 4 10 10t-10 10h-30z d26 34h9l3 20h-9z l50 20h6 l50 28h6"],
  [/drill|driver|hammer|tool|钻|螺丝|五金/, "f10 16h30v14h-30z d40 19h6v8h-6z l46 23h10 d14 30h10l4 22h-11z"],
  [/plant|garden|hose|yard|花|园艺/, "f18 36h28l-4 18h-20z l32 36v-18 d32 22q-12 0 -14 -12q14 0 14 12z d32 18q0 -10 12 -12q0 12 -12 12z"],
  [/tent|shelter|帐篷/, "f32 10l26 42h-52z d32 26l12 26h-24z"],
  [/stove|炉/, "f12 34h40v16h-40z l18 34v-5h28v5 d32 8q9 10 0 20q-9 -10 0 -20z"],
  [/dumbbell|哑铃/, "f8 22h8v20h-8z f48 22h8v20h-8z d16 26h5v12h-5z d43 26h5v12h-5z l21 32h22"],
  [/yoga|mat|瑜伽/, "f8 40h40v10h-40z c50 40 10 f c50 40 5 d"],
  [/helmet|头盔/, "f8 40q0 -26 26 -26q20 0 22 26z d8 40h48v5h-48z l26 16q-4 10 -2 24 l40 16q4 10 2 24"],
  [/puzzle|building|拼图|积木/, "f12 30h18v22h-18z d34 30h18v22h-18z f23 12h18v16h-18z l27 12v-4 l37 12v-4"],
  [/game|board|桌游|桌面/, "f12 12h40v40h-40z d12 12h20v20h-20z d32 32h20v20h-20z"],
  [/stuffed|toy|毛绒|玩具/, "c20 18 7 f c44 18 7 f c32 28 16 f c32 48 12 f c27 26 2 d c37 26 2 d c32 33 4 d"],
  [/cat |cats|dog|pet|leash|宠物|猫|狗|牵引/, "c16 28 6 f c27 18 6 f c39 18 6 f c50 28 6 f f32 30q14 10 12 20q-4 6 -12 2q-8 4 -12 -2q-2 -10 12 -20z"],
];
const BOX = "f12 22l20 -10l20 10v22l-20 10l-20 -10z d32 32l20 -10v22l-20 10z l12 22l20 10";

export function picture(product, allowed) {
  const url = product.image_url;
  if (!url || !allowed.some((origin) => sameOrigin(url, origin))) return drawing(product);
  const image = element("img", { alt: "", loading: "lazy", decoding: "async", referrerpolicy: "no-referrer", src: url });
  image.addEventListener("error", () => image.replaceWith(drawing(product)), { once: true });
  return image;
}

function sameOrigin(url, origin) {
  try {
    return new URL(url).origin === origin;
  } catch {
    return false;
  }
}

function drawing(product) {
  const category = (product.category ?? "").toLowerCase().split(" > ");
  // The last part of the path says most; the title stands in where the path says nothing.
  const described = [category.at(-1), (product.title ?? "").toLowerCase(), category.join(" ")];
  let shape = BOX;
  for (const words of described) {
    const known = SHAPES.find(([pattern]) => pattern.test(words ?? ""));
    if (known) {
      shape = known[1];
      break;
    }
  }
  const drawn = shape.split(/\s+(?=[fdlc]\d)/).map((piece) => {
    const [kind, rest] = [piece[0], piece.slice(1)];
    if (kind === "c") {
      const [cx, cy, r, fill] = rest.split(" ");
      return svg("circle", { cx, cy, r, class: fill === "d" ? "dark" : null });
    }
    return svg("path", { d: `M${rest}`, class: { f: null, d: "dark", l: "line" }[kind] });
  });
  const made = svg("svg", { viewBox: "0 0 64 64", "aria-hidden": "true", class: "drawing" }, ...drawn);
  made.style.setProperty("--tint", colorOf(product));
  return made;
}

function colorOf(product) {
  const attributes = product.attributes ?? {};
  const named = attributes.color ?? attributes.colour ?? attributes["颜色"] ?? "";
  for (const words of [named, product.title ?? ""]) {
    const known = COLORS.find(([pattern]) => pattern.test(words.toLowerCase()));
    if (known) return known[1];
  }
  const sum = [...(product.category ?? product.title ?? "")].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return PLAIN[sum % PLAIN.length];
}
