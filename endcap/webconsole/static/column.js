// One list with its settings.

import { Failure } from "./api.js";
import { Card } from "./card.js";
import { calm, copy, element } from "./dom.js";
import { understood } from "./query.js";
import { fill, language, number, text } from "./text.js";

const MOVE = { duration: 260, easing: "cubic-bezier(.2,.7,.3,1)" };
const FIELDS = { "options.caps.brand": "cap_brand", "options.caps.category": "cap_category" };

export class Column {
  constructor(index, { setup, changed, clicked, retried }) {
    this.index = index;
    this.name = "AB"[index];
    this.setup = setup;
    this.changed = changed;
    this.clicked = clicked;
    this.root = copy("column");
    this.cards = new Map();
    this.answer = null;
    this.asked = null;
    this.recent = [];
    this.inputs = {};
    for (const input of this.root.querySelectorAll("[data-id]")) {
      const name = input.dataset.id;
      input.id = `${name}-${this.name}`;
      this.inputs[name] = input;
      for (const label of this.root.querySelectorAll(`[data-for="${name}"]`)) label.htmlFor = input.id;
      input.addEventListener(input.type === "checkbox" || input.tagName === "SELECT" ? "change" : "input", () => {
        if (name === "diversity") this.showDiversity();
        if (name === "user") this.recent = [];
        this.showWay();
        this.showSet();
        changed(this, name);
      });
    }
    const { server, k } = this.inputs;
    server.append(...setup.servers.map((url, place) => element("option", { value: place }, url)));
    server.closest(".field").hidden = setup.servers.length < 2;
    k.value = "10";
    this.list = this.root.querySelector(".cards");
    this.trouble = this.root.querySelector(".trouble");
    const title = this.root.querySelector("h2");
    title.id = `column-${this.name}`;
    this.root.setAttribute("aria-labelledby", title.id);
    this.trouble.querySelector("button").addEventListener("click", () => {
      if (this.trouble.dataset.kind === "empty") this.clear();
      retried(this);
    });
    this.translate();
  }

  translate() {
    fill(this.root);
    this.root.querySelector(".named").textContent = text("column", { name: this.name });
    this.showWay();
    this.showDiversity();
    this.showSet();
  }

  // What tells this list from the other one: "diversity", "shoppers" or "servers".
  follow(way) {
    this.way = way;
    this.showWay();
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) this.inputs[name].value = String(value);
    if ("user" in values) this.recent = [];
    this.showWay();
    this.showDiversity();
  }

  get user() {
    return this.inputs.user.value.trim();
  }

  // What is asked, or null where a field cannot be read: it is marked then.
  question(query) {
    const { inputs } = this;
    let right = true;
    const read = (name, key, fits) => {
      const typed = inputs[name].value.trim();
      const value = Number(typed);
      const wrong = typed !== "" && !fits(value);
      this.mark(name, wrong ? text(key) : "");
      right &&= !wrong;
      return typed === "" || wrong ? null : value;
    };
    const price = (value) => Number.isFinite(value) && value >= 0;
    const count = (value) => Number.isInteger(value) && value >= 1 && value < 2 ** 31;
    const low = read("price_min", "field.number", price);
    const high = read("price_max", "field.number", price);
    const brandCap = read("cap_brand", "field.count", count);
    const categoryCap = read("cap_category", "field.count", count);
    const k = read("k", "field.k", (value) => count(value) && value <= 200) ?? 10;
    if (low !== null && high !== null && low > high) {
      this.mark("price_min", text("field.order"));
      right = false;
    }
    if (!right) {
      this.root.querySelector(".limits").open = true;
      return null;
    }
    const brands = inputs.brand.value.split(/[,，、]/).map((name) => name.trim()).filter(Boolean);
    const filters = given({
      price_min: low, price_max: high, brand: brands.length ? brands : null, in_stock: inputs.in_stock.checked || null,
    });
    return {
      server: Number(inputs.server.value), query, user: this.user || null, k,
      diversity: Number(inputs.diversity.value), language, filters,
      caps: given({ brand: brandCap, category: categoryCap }), recent: this.recent,
    };
  }

  mark(name, message) {
    const input = this.inputs[name];
    const id = `${input.id}-wrong`;
    let shown = document.getElementById(id);
    if (!message) {
      shown?.remove();
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
      return;
    }
    if (!shown) {
      shown = element("span", { id, class: "wrong" });
      input.after(shown);
    }
    shown.textContent = message;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
  }

  // An answer or a Failure, for the query asked.
  take(found, query) {
    const failed = found instanceof Failure;
    this.failure = failed ? found : null;
    if (failed) {
      const field = FIELDS[found.field] ?? (found.field ?? "").replace("options.filters.", "");
      if (field in this.inputs) this.mark(field, found.message);
      this.answer = null;
    } else {
      this.before = this.answer && this.asked === query ? this.answer.items.map((item) => item.id) : null;
      this.answer = found;
      this.asked = query;
    }
  }

  render({ scale, other, pictures, sentence, lead }) {
    this.root.removeAttribute("aria-busy");
    if (this.failure) this.renderFailure();
    else if (this.answer && !this.answer.items.length) this.renderEmpty();
    else this.trouble.hidden = true;
    const took = this.root.querySelector(".took");
    took.replaceChildren();
    const notes = this.root.querySelector("ul.notes");
    notes.hidden = true;
    const own = this.root.querySelector(".understood");
    own.hidden = true;
    if (!this.answer) {
      this.list.replaceChildren();
      this.cards.clear();
      return;
    }
    const { answer } = this;
    const facts = [this.asked ? null : text("recommendations"), text(answer.personalized ? "personalized" : "not_personalized")];
    const n = number(answer.milliseconds, answer.milliseconds < 100 ? 1 : 0);
    took.append(
      element("span", {}, facts.filter(Boolean).join(" · ")),
      element("span", { class: "milliseconds", title: text("took.long", { n }) }, text("took", { n })),
    );
    const said = answer.notes.filter((note) => !answer.corrections.some(({ word }) => note.startsWith(`"${word}"`)));
    notes.replaceChildren(...said.map((note) => element("li", {}, note)));
    notes.hidden = !said.length || !answer.items.length;
    if (this.asked && lead && JSON.stringify(lead.tags) !== JSON.stringify(answer.tags)) {
      own.replaceChildren(...understood(this.asked, answer));
      own.hidden = false;
    }
    this.renderCards({ scale, other, pictures, sentence });
  }

  renderCards(how) {
    const focused = [...this.cards].find(([, card]) => card.root.contains(document.activeElement))?.[0];
    const tops = new Map([...this.cards].map(([id, card]) => [id, card.root.getBoundingClientRect().top]));
    const next = new Map();
    this.answer.items.forEach((item, place) => {
      const card = this.cards.get(item.id) ?? new Card((one) => this.clicked(this, one));
      const before = this.before?.indexOf(item.id);
      const last = before === -1 ? null : before;
      card.show(item, { ...how, place, before: last, other: how.other(item), sentence: how.sentence(item.text) });
      next.set(item.id, card);
    });
    this.list.replaceChildren(...[...next.values()].map((card) => card.root));
    this.cards = next;
    if (focused !== undefined) (next.get(focused)?.button ?? this.list.querySelector("button"))?.focus({ preventScroll: true });
    if (calm.matches || !this.before) return;
    for (const [id, card] of next) {
      const from = tops.get(id);
      if (from === undefined) {
        card.root.animate([{ opacity: 0 }, { opacity: 1 }], MOVE);
        continue;
      }
      const by = from - card.root.getBoundingClientRect().top;
      if (by) card.root.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], MOVE);
    }
  }

  renderFailure() {
    const { code, message } = this.failure;
    this.say("failed", text(`error.${code}`), text(`advice.${code}`), message, text("retry"));
  }

  renderEmpty() {
    const filters = Object.entries(this.answer.filters).map(([name, value]) =>
      text(`filter.${name}`, { value: Array.isArray(value) ? value.join(", ") : value }),
    );
    const advice = filters.length
      ? text("empty.filters", { filters: filters.join(language === "zh" ? "、" : ", ") })
      : text("empty.query");
    this.say("empty", text("empty.title"), advice, "", this.limits().length ? text("clear") : "");
  }

  say(kind, title, advice, detail, action) {
    const { trouble } = this;
    trouble.dataset.kind = kind;
    trouble.hidden = false;
    trouble.querySelector("h3").textContent = title;
    trouble.querySelector(".advice").textContent = advice;
    trouble.querySelector(".detail").textContent = detail;
    trouble.querySelector("button").textContent = action;
    trouble.querySelector("button").hidden = !action;
  }

  limits() {
    const { price_min, price_max, brand, cap_brand, cap_category, in_stock } = this.inputs;
    const typed = [price_min, price_max, brand, cap_brand, cap_category].filter((input) => input.value.trim());
    return in_stock.checked ? [...typed, in_stock] : typed;
  }

  clear() {
    for (const input of this.limits()) {
      input.value = input.type === "checkbox" ? "on" : "";
      input.checked = false;
    }
    this.showSet();
  }

  showWay() {
    const { diversity, server } = this.inputs;
    const said = {
      shoppers: this.user || text("shopper.placeholder"),
      servers: this.setup.servers[Number(server.value)],
    };
    const plain = text(Number(diversity.value) > 0 ? "way.diverse" : "way.relevance");
    this.root.querySelector(".way").textContent = said[this.way] ?? plain;
  }

  showSet() {
    const n = this.limits().length;
    this.root.querySelector(".set").textContent = n ? text("limits.set", { n }) : "";
  }

  showDiversity() {
    const { diversity } = this.inputs;
    this.root.querySelector("output").textContent = number(Number(diversity.value), 2);
  }
}

function given(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
