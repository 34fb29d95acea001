// A query with what was understood in it.

import { element } from "./dom.js";
import { number, text } from "./text.js";

// Offsets count characters as Python does, not JavaScript's halves of them.
export function understood(query, answer) {
  const letters = [...query];
  const parts = [element("span", { class: "lead" }, text("understood"), " ")];
  let at = 0;
  for (const { start, end, kind, label, confidence } of [...answer.tags].sort((a, b) => a.start - b.start)) {
    if (start < at) continue;
    parts.push(letters.slice(at, start).join(""));
    const named = kind === "other" ? label : text(`kind.${kind}`);
    parts.push(
      element(
        "mark", { class: `kind-${kind}`, title: `${label}: ${number(confidence * 100)} %` },
        letters.slice(start, end).join(""), element("small", {}, named),
      ),
    );
    at = end;
  }
  parts.push(letters.slice(at).join(""));
  if (!answer.tags.length) parts.splice(0, parts.length, text("understood.none"));
  for (const { word, read_as: read } of answer.corrections) {
    parts.push(element("span", { class: "corrected" }, text("corrected", { from: word, to: read.join(", ") })));
  }
  return parts;
}
