// One product of a list.

import { copy, element } from "./dom.js";
import { picture } from "./picture.js";
import { bar, rows } from "./terms.js";
import { fill, money, number, text } from "./text.js";

export class Card {
  constructor(onClick) {
    this.root = copy("card");
    this.button = this.root.querySelector("h3 button");
    this.button.addEventListener("click", () => onClick(this));
    this.clicked = false;
  }

  // `place` from 0; `before` is the place in the last answer to the same query, null for a new
  // product and undefined where there is nothing to compare with; `other` says where the other list has it.
  show(item, { place, before, other, scale, pictures, sentence }) {
    const { product } = item;
    const changed = this.item?.id !== item.id;
    this.item = item;
    this.place = place;
    fill(this.root);
    const find = (selector) => this.root.querySelector(selector);
    if (changed) find(".picture").replaceChildren(picture(product, pictures));
    this.button.textContent = product.title ?? item.id;
    find(".number").textContent = place + 1;
    find(".number").setAttribute("aria-label", text("rank", { n: place + 1 }));
    move(find(".move"), place, before);
    find(".brand").textContent = product.brand ?? "";
    find(".price").textContent = product.price === undefined ? "" : money(product.price, product.currency);
    const stars = find(".stars");
    stars.replaceChildren();
    if (product.rating !== undefined) {
      stars.append(
        element("span", { "aria-hidden": "true" }, `★ ${number(product.rating, 1)}`),
        element("span", { class: "unseen" }, text("rating", { n: number(product.rating, 1) })),
      );
    }
    find(".stock").textContent = product.in_stock === false ? text("out_of_stock") : "";
    find(".other").textContent = other ?? "";
    find(".clicked").textContent = this.clicked ? `✓ ${text("clicked")}` : "";
    find(".bar").replaceChildren(...bar(item, scale));
    find(".sentence").textContent = sentence;
    find(".terms").replaceChildren(...rows(item));
  }
}

function move(shown, place, before) {
  shown.className = "move";
  shown.replaceChildren();
  if (before === undefined || before === place) return;
  const [name, sign, n] =
    before === null ? ["new", "●", ""] : before > place ? ["up", "▲", before - place] : ["down", "▼", place - before];
  shown.classList.add(name);
  shown.append(
    element("span", { "aria-hidden": "true" }, `${sign}${n}`),
    element("span", { class: "unseen" }, text(name, { n })),
  );
}
