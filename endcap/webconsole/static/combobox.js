// The search box: suggestions as the ARIA authoring practices want a list with manual selection.

import { suggest } from "./api.js";
import { element } from "./dom.js";
import { text } from "./text.js";

const WAIT = 90;

export class Combobox {
  constructor(input, list, { chosen, said }) {
    this.input = input;
    this.list = list;
    this.chosen = chosen;
    this.said = said;
    this.active = -1;
    this.waiting = null;
    this.asking = null;
    input.addEventListener("input", () => this.soon());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    // The box must keep the focus while a suggestion is clicked.
    list.addEventListener("mousedown", (event) => event.preventDefault());
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(option);
    });
  }

  soon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.open(), WAIT);
  }

  async open() {
    this.asking?.abort();
    this.asking = new AbortController();
    let found;
    try {
      found = await suggest(this.input.value, this.asking.signal);
    } catch {
      // Without suggestions the box still searches; a dead console is told by the search itself.
      return;
    }
    if (document.activeElement !== this.input) return;
    this.active = -1;
    this.input.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(
      ...found.map((query, place) =>
        element("li", { role: "option", id: `suggestion-${place}`, "aria-selected": "false" }, ...this.marked(query)),
      ),
    );
    this.show(found.length > 0);
    if (found.length) this.said(text("suggestions.count", { n: found.length }));
  }

  // What is typed already stands back: what a suggestion adds is what one looks for.
  marked(query) {
    const typed = this.input.value.trim();
    if (!typed || !query.toLowerCase().startsWith(typed.toLowerCase())) return [query];
    return [query.slice(0, typed.length), element("b", {}, query.slice(typed.length))];
  }

  key(event) {
    const options = [...this.list.children];
    if (event.key === "Escape") {
      if (this.list.hidden) return;
      event.preventDefault();
      this.close();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (this.list.hidden) {
        this.open();
        return;
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      const count = options.length + 1;
      this.mark((this.active + 1 + step + count) % count - 1);
    } else if (event.key === "Enter") {
      if (!this.list.hidden && options[this.active]) {
        event.preventDefault();
        this.choose(options[this.active]);
      } else {
        this.close();
      }
    }
  }

  mark(place) {
    this.active = place;
    [...this.list.children].forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === place));
      if (at === place) option.scrollIntoView({ block: "nearest" });
    });
    if (place < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `suggestion-${place}`);
  }

  choose(option) {
    this.input.value = option.textContent;
    this.close();
    this.chosen();
  }

  close() {
    clearTimeout(this.waiting);
    this.asking?.abort();
    this.show(false);
  }

  show(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
  }
}
