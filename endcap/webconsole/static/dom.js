// Making elements: every text goes in as text.

const SVG = "http://www.w3.org/2000/svg";

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  return filled(made, properties, children);
}

export function svg(name, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

export function copy(template) {
  return document.getElementById(template).content.firstElementChild.cloneNode(true);
}

function filled(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");
