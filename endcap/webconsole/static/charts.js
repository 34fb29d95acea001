// Traffic from the servers' metrics pages, as lines and bars.

import { element, svg } from "./dom.js";
import { number, text } from "./text.js";

const SPAN = 300;
const WIDTH = 360;
const HEIGHT = 132;
const EDGE = { left: 34, right: 8, top: 8, bottom: 20 };
const SERIES = ["search", "recommend", "feedback", "failed"];
const STAGES = ["tokenize", "encode", "retrieve", "rank", "diversify", "answer", "rerank"];

export function charts(servers, names) {
  const several = servers.length > 1;
  const drawn = servers.flatMap((traffic, place) => {
    const title = (key) => (several ? `${text(key)} · ${names[place]}` : text(key));
    return [
      lines(title("chart.rates"), SERIES.map((name) => ({
        name, title: text(`series.${name}`), points: traffic.samples.map((one) => [one.age, one[name]]),
      })), 2),
      lines(title("chart.latency"), [{
        name: "latency", title: text("series.search"),
        points: traffic.samples.filter((one) => one.milliseconds !== null).map((one) => [one.age, one.milliseconds]),
      }], 1),
      stages(title("chart.stages"), traffic),
    ];
  });
  return drawn;
}

function lines(title, series, digits) {
  const top = ceiling(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
  const x = (age) => EDGE.left + (1 - Math.min(age, SPAN) / SPAN) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part);
    parts.push(svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: at, y2: at }));
    parts.push(svg("text", { class: "tick", x: EDGE.left - 6, y: at + 3.5, "text-anchor": "end" }, short(top * part)));
  }
  for (const [age, anchor] of [[SPAN, "start"], [SPAN / 2, "middle"], [0, "end"]]) {
    const said = age ? text("chart.ago", { n: number(age / 60, age % 60 ? 1 : 0) }) : text("chart.now");
    parts.push(svg("text", { class: "tick", x: x(age), y: HEIGHT - 4, "text-anchor": anchor }, said));
  }
  for (const { name, points } of series) {
    const inside = points.filter(([age]) => age <= SPAN);
    // A line at zero says nothing that the figure below does not.
    if (!inside.some(([, value]) => value > 0)) continue;
    const path = inside.map(([age, value], at) => `${at ? "L" : "M"}${x(age).toFixed(1)} ${y(value).toFixed(1)}`);
    parts.push(svg("path", { class: `line line-${name}`, d: path.join("") }));
    const [age, value] = inside.at(-1);
    parts.push(svg("circle", { class: `dot line-${name}`, cx: x(age), cy: y(value), r: 2.6 }));
  }
  const latest = series.map(({ title: named, points }) => [named, points.at(-1)?.[1]]).filter(([, value]) => value !== undefined);
  const values = latest.map(([named, value]) => `${named} ${number(value, digits)}`).join(", ");
  const key = series.map(({ name, title: named, points }) =>
    element(
      "li", {}, element("i", { class: `key-${name}` }), `${named} `,
      element("b", {}, points.length ? number(points.at(-1)[1], digits) : "–"),
    ),
  );
  return element(
    "figure", {}, element("figcaption", {}, title),
    svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text("chart.said", { title, values: values || "–" }),
    }, ...parts),
    element("ul", { class: "key" }, ...key),
  );
}

function stages(title, traffic) {
  const known = STAGES.filter((name) => traffic.stages[name] !== undefined).map((name) => [name, traffic.stages[name]]);
  const sum = known.reduce((total, [, value]) => total + value, 0);
  if (known.length && traffic.milliseconds > sum) known.push(["other", traffic.milliseconds - sum]);
  const most = Math.max(...known.map(([, value]) => value), 1e-9);
  const rows = known.map(([name, value]) =>
    element(
      "div", {}, element("dt", {}, text(`stage.${name}`)),
      element(
        "dd", {},
        svg("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
          svg("rect", { class: "stage", x: 0, y: 0, height: 6, width: Math.max((value / most) * 100, 0.5) })),
        element("span", {}, number(value, value < 10 ? 2 : 1)),
      ),
    ),
  );
  const hits = traffic.cache_hits;
  const hint = [text(known.length ? "chart.stages.hint" : "chart.stages.none")];
  if (hits !== null) hint.push(text("cache", { n: number(hits * 100) }));
  return element(
    "figure", { class: "stages" }, element("figcaption", {}, title), element("dl", { class: "bars" }, ...rows),
    element("p", { class: "hint" }, hint.join(" · ")),
  );
}

// A round number not below the value.
function ceiling(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((step) => step * size).find((step) => step >= value * 1.02) ?? 10 * size;
}

function short(value) {
  return number(value, value === 0 || Number.isInteger(value) ? 0 : value < 1 ? 2 : 1);
}
