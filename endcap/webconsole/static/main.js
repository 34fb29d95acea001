// The page: what is asked when, and what is shown of the answers.

import * as api from "./api.js";
import { charts } from "./charts.js";
import { Column } from "./column.js";
import { Combobox } from "./combobox.js";
import { element } from "./dom.js";
import { understood } from "./query.js";
import { legend, reach } from "./terms.js";
import { fill, language, loadStrings, switchLanguage, text } from "./text.js";

const WAIT = 140;
const DIVERSE = 0.6;
const BALANCED = 0.3;
const find = (id) => document.getElementById(id);
const given = new URLSearchParams(location.search);

let setup, columns, asking, waiting, traffic;
let pending = new Set();
const state = [];
const titles = new Map();
const brands = new Set();

start();

async function start() {
  try {
    setup = await api.setup();
    await loadStrings(setup.language);
  } catch (error) {
    await loadStrings(null).catch(() => {});
    fill(document);
    find("message").hidden = false;
    find("message").firstElementChild.textContent = `${text("error.console")}. ${text("advice.console")}`;
    return;
  }
  columns = [0, 1].map((index) => new Column(index, { setup, changed, clicked, retried: (column) => ask([column]) }));
  find("columns").append(...columns.map((column) => column.root));
  find("shoppers").append(
    ...setup.shoppers.map(({ id, events }) => element("option", { value: id }, text("shopper.events", { n: events }))),
  );
  find("compare").querySelector("[value=servers]").hidden = setup.servers.length < 2;
  find("compare").value = given.get("compare") ?? (setup.servers.length < 2 ? "diversity" : "servers");
  if (!find("compare").value) find("compare").value = "diversity";
  find("query").value = given.get("q") ?? setup.query;
  preset();
  ["a", "b"].forEach((name, place) => given.has(name) && columns[place].set({ user: given.get(name) }));
  translate();
  new Combobox(find("query"), find("suggestions"), { chosen: () => ask(columns), said: say });
  find("query").addEventListener("input", () => soon(columns));
  find("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    ask(columns);
  });
  find("compare").addEventListener("change", () => {
    preset();
    ask(columns);
  });
  find("message").querySelector("button").addEventListener("click", () => (find("message").hidden = true));
  for (const button of document.querySelectorAll("[data-shows]")) button.addEventListener("click", () => shown(button));
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      switchLanguage(button.dataset.language);
      translate();
      ask(columns);
    });
  }
  await ask(columns);
  watch();
}

// Settings ----------------------------------------------------------------------------------------

function preset() {
  const [first, second] = columns;
  const people = setup.shoppers.map(({ id }) => id);
  const last = setup.servers.length - 1;
  const way = find("compare").value;
  for (const column of columns) column.follow(way);
  if (way === "diversity") {
    first.set({ server: 0, diversity: 0 });
    second.set({ server: 0, diversity: DIVERSE, user: first.user });
  } else if (way === "shoppers") {
    first.set({ server: 0, diversity: BALANCED, user: first.user || (people[0] ?? "") });
    const other = people.find((id) => id !== first.user) ?? "";
    second.set({ server: 0, diversity: BALANCED, user: second.user === first.user ? other : second.user });
  } else if (way === "servers") {
    first.set({ server: 0, diversity: BALANCED });
    second.set({ server: last, diversity: BALANCED, user: first.user });
  }
}

function changed(column, name) {
  const way = find("compare").value;
  // What the comparison holds equal follows the first list; otherwise the settings are one's own.
  if (name === "user" && way !== "shoppers" && way !== "own" && column === columns[0]) {
    columns[1].set({ user: column.user });
    soon(columns);
    return;
  }
  if (name === "server" || (name === "user" && way !== "shoppers")) {
    find("compare").value = "own";
    for (const one of columns) one.follow("own");
  }
  soon([column]);
}

// Asking ------------------------------------------------------------------------------------------

function soon(which) {
  clearTimeout(waiting);
  waiting = setTimeout(() => ask(which), WAIT);
  // Two columns changed within the pause are both asked.
  pending = new Set([...pending, ...which]);
}

async function ask(which) {
  clearTimeout(waiting);
  const wanted = [...new Set([...which, ...pending])];
  const query = find("query").value.trim();
  const asked = wanted.map((column) => [column, column.question(query)]).filter(([, question]) => question);
  pending = new Set(asked.map(([column]) => column));
  asking?.abort();
  const wrong = wanted.filter((column) => !pending.has(column));
  for (const column of wrong) column.root.removeAttribute("aria-busy");
  if (wrong.length) say(wrong[0].root.querySelector(".wrong").textContent);
  if (!asked.length) return;
  asking = new AbortController();
  const { signal } = asking;
  for (const [column] of asked) column.root.setAttribute("aria-busy", "true");
  let found;
  try {
    found = await api.search(asked.map(([, question]) => question), signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof api.Failure)) throw error;
    found = asked.map(() => error);
  }
  pending.clear();
  asked.forEach(([column, question], place) => {
    column.take(found[place], query);
    state[question.server] = found[place];
  });
  render();
  say(asked.map(([column]) => summary(column)).join(" "));
}

async function clicked(column, card) {
  const { item } = card;
  const event = find("event").value;
  if (!column.question(column.asked)) {
    tell(text("advice.invalid"), true);
    return;
  }
  const title = item.product.title ?? item.id;
  if (!column.user) {
    card.clicked = true;
    column.recent = [...column.recent.filter((id) => id !== item.id), item.id];
    tell(text("noted"));
    await ask([column]);
    return;
  }
  const server = Number(column.inputs.server.value);
  try {
    const { release } = column.answer;
    await api.feedback({ server, user: column.user, item: item.id, event, query: column.asked, position: card.place, release });
  } catch (error) {
    if (!(error instanceof api.Failure)) throw error;
    tell(`${text(`error.${error.code}`)}. ${text(`advice.${error.code}`)} ${error.message}`, true);
    return;
  }
  card.clicked = true;
  tell(text("stored", { event: text(`event.${event}`), title, user: column.user }));
  await ask(columns);
}

// Showing -----------------------------------------------------------------------------------------

function render() {
  const answers = columns.map(({ answer }) => answer).filter(Boolean);
  for (const { id, product } of answers.flatMap(({ items }) => items)) {
    titles.set(id, product.title ?? id);
    if (product.brand && !brands.has(product.brand)) {
      brands.add(product.brand);
      find("brands").append(element("option", { value: product.brand }));
    }
  }
  const lead = answers[0];
  const scale = reach(answers);
  columns.forEach((column, place) => {
    const rest = columns[1 - place];
    column.render({ scale, lead, pictures: setup.pictures, sentence: named, other: (item) => elsewhere(rest, item) });
  });
  const query = columns.find(({ answer }) => answer === lead)?.asked;
  find("understood").hidden = !query;
  if (query) find("understood").replaceChildren(...understood(query, lead));
  find("legend").replaceChildren(...legend(answers));
  find("legend").hidden = !answers.some(({ items }) => items.length);
  servers();
}

function elsewhere({ answer, name }, { id }) {
  if (!answer) return "";
  const place = answer.items.findIndex((item) => item.id === id);
  return place < 0 ? text("only_here", { name }) : text("elsewhere", { name, n: place + 1 });
}

// The server names past products by their ids; a person knows them by their titles.
function named(sentence) {
  return sentence.replace(/[^\s(),，、（）;；。]+/g, (word) => titles.get(word) ?? word);
}

function servers() {
  const several = setup.servers.length > 1;
  find("servers").replaceChildren(
    ...setup.servers.map((url, place) => {
      const last = state[place];
      const down = last instanceof api.Failure && last.code !== "invalid";
      const said = down ? text("server.down") : last?.release ? text("server.release", { id: last.release }) : text("server.unknown");
      const lamp = element("i", { class: down ? "lamp down" : last?.release ? "lamp up" : "lamp" });
      return element("li", {}, lamp, element("b", {}, url), element("span", {}, said));
    }),
  );
  find("servers").classList.toggle("several", several);
}

function summary(column) {
  const name = text("column", { name: column.name });
  if (column.failure) return text("said.error", { name, title: text(`error.${column.failure.code}`) });
  return text("said.results", { name, n: column.answer.items.length });
}

function shown(button) {
  for (const other of document.querySelectorAll("[data-shows]")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  find("columns").dataset.shows = button.dataset.shows;
}

function tell(message, bad = false) {
  const box = find("message");
  box.hidden = false;
  box.classList.toggle("bad", bad);
  box.firstElementChild.textContent = message;
}

function say(message) {
  find("said").textContent = message;
}

function translate() {
  document.title = text("title");
  fill(document);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  document.querySelectorAll("[data-shows]").forEach((button, place) => {
    button.textContent = text("column", { name: columns[place].name });
  });
  for (const column of columns) column.translate();
  find("message").hidden = true;
  servers();
  draw();
}

// Traffic -----------------------------------------------------------------------------------------

async function watch() {
  if (!document.hidden) {
    try {
      traffic = await api.traffic();
    } catch (error) {
      if (!(error instanceof api.Failure)) throw error;
      traffic = traffic?.map((one) => ({ ...one, error: error.message }));
    }
    draw();
  }
  setTimeout(watch, setup.interval * 1000);
}

function draw() {
  if (!traffic) return;
  const down = traffic.map(({ error }) => error).filter(Boolean);
  find("traffic-down").hidden = !down.length;
  find("traffic-down").textContent = down.map((message) => text("traffic.down", { message })).join(" ");
  find("charts").replaceChildren(...charts(traffic, setup.servers));
}
