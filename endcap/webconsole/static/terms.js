// The terms of a score: their order, their colours, and bars of them.

import { element, svg } from "./dom.js";
import { has, number, text } from "./text.js";

const GROUPS = {
  relevance: ["relevance"],
  asked: ["tags"],
  taste: ["taste", "brand", "category", "attributes", "price", "affinity", "session"],
  prior: ["popularity", "rating"],
  rules: ["boost"],
};
const GROUP_OF = Object.fromEntries(
  Object.entries(GROUPS).flatMap(([group, names]) => names.map((name) => [name, group])),
);
const DEDUCTION = "deduction";
const GAP = 0.4;

// Addends by group; what is below zero is one deduction.
function grouped(terms) {
  const sums = {};
  for (const [name, value] of Object.entries(terms)) {
    const group = value < 0 ? DEDUCTION : (GROUP_OF[name] ?? "rules");
    sums[group] = (sums[group] ?? 0) + value;
  }
  return sums;
}

// What all bars of a page have in common: the longest reach to both sides of zero.
export function reach(answers) {
  const found = { above: 0, below: 0 };
  for (const item of answers.flatMap((answer) => answer.items)) {
    const { [DEDUCTION]: below = 0, ...above } = grouped(item.terms);
    found.below = Math.max(found.below, -below);
    found.above = Math.max(found.above, Object.values(above).reduce((sum, value) => sum + value, 0));
  }
  return found;
}

export function bar(item, { above, below }) {
  const sums = grouped(item.terms);
  const unit = 100 / Math.max(above + below, 1e-6);
  const parts = [];
  let x = below * unit;
  if (sums[DEDUCTION]) {
    parts.push(part(DEDUCTION, x + sums[DEDUCTION] * unit, -sums[DEDUCTION] * unit));
  }
  for (const group of Object.keys(GROUPS)) {
    if (!sums[group]) continue;
    parts.push(part(group, x, sums[group] * unit));
    x += sums[group] * unit;
  }
  const said = Object.entries(sums).map(([group, value]) => `${text(`group.${group}`)} ${number(value, 2)}`);
  const label = `${text("score", { n: number(item.score, 2) })}: ${said.join(", ")}`;
  return [
    svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": label }, ...parts),
    element("span", { class: "score", "aria-hidden": "true" }, number(item.score, 2)),
    element("span", { class: "unseen" }, text("why")),
  ];
}

function part(group, x, width) {
  return svg("rect", { class: `term-${group}`, x, y: 0, height: 6, width: Math.max(width - GAP, 0.3) });
}

// A row for each term, largest first.
export function rows(item) {
  const entries = Object.entries(item.terms).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]));
  const most = Math.max(...entries.map(([, value]) => Math.abs(value)), 1e-6);
  return entries.map(([name, value]) => {
    const group = value < 0 ? DEDUCTION : (GROUP_OF[name] ?? "rules");
    const title = has(`term.${name}`) ? text(`term.${name}`) : name;
    const line = svg(
      "svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: `term-${group}`, x: 0, y: 0, height: 6, width: Math.max((Math.abs(value) / most) * 100, 0.5) }),
    );
    return element("div", {}, element("dt", {}, title), element("dd", {}, line, element("span", {}, number(value, 3))));
  });
}

export function legend(answers) {
  const used = new Set(answers.flatMap((answer) => answer.items.flatMap((item) => Object.keys(grouped(item.terms)))));
  return [...Object.keys(GROUPS), DEDUCTION].filter((group) => used.has(group)).map((group) =>
    element("span", {}, element("i", { class: `term-${group}` }), text(`group.${group}`)),
  );
}
