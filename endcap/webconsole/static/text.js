// The page's words in its two languages: strings.json. Data is never put through here as markup.

let strings = {};
export let language = "en";

const STORED = "endcap-console-language";

export async function loadStrings(preferred) {
  strings = await (await fetch("/static/strings.json")).json();
  const wanted = [new URLSearchParams(location.search).get("lang"), stored(), preferred, ...navigator.languages];
  const known = wanted.map((name) => (name ?? "").slice(0, 2).toLowerCase()).find((name) => name in strings);
  language = known ?? "en";
  document.documentElement.lang = tag();
}

export function switchLanguage(name) {
  language = name;
  document.documentElement.lang = tag();
  try {
    localStorage.setItem(STORED, name);
  } catch {
    // A browser that stores nothing asks again next time.
  }
}

export function text(key, values = {}) {
  const template = strings[language]?.[key] ?? key;
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export function has(key) {
  return key in (strings[language] ?? {});
}

export function fill(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
  for (const element of root.querySelectorAll("[data-placeholder]")) {
    element.placeholder = text(element.dataset.placeholder);
  }
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(tag(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

export function money(price, currency) {
  try {
    return new Intl.NumberFormat(tag(), {
      style: "currency", currency, currencyDisplay: "narrowSymbol",
    }).format(price);
  } catch {
    // No currency that the browser knows: the shop's own word for it.
    return `${number(price, 2)} ${currency ?? ""}`.trim();
  }
}

function tag() {
  return language === "zh" ? "zh-CN" : "en";
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}
