// Changes the page in place: what did not change is not touched, so focus, scroll and selection stay where they are.
import { NONE, absolute, relative } from "./format.js";

export const find = (id) => document.getElementById(id);

// A new element. Text is always text: nothing that the API says is ever read as HTML.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

export function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

export function show(element, visible) {
  if (element.hidden === visible) {
    element.hidden = !visible;
  }
}

// Make the children of `parent` those of `items`, in order. An item keeps its element as long as its key is there.
export function reconcile(parent, items, { key, create, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (element === undefined) {
      element = create(item);
      element.dataset.key = name;
    }
    known.delete(name);
    if (element === place) {
      place = place.nextElementSibling;
    } else {
      parent.insertBefore(element, place);
    }
    update(element, item);
  }
  for (const child of known.values()) {
    child.remove();
  }
}

// Rows of a table. `cells` gives for an item its cells: a text, or {text, time, class, status, title, quiet}.
export function fillRows(body, items, key, cells) {
  const labels = [...body.closest("table").querySelectorAll("thead th")].map((head) => [head.textContent, head.className]);
  reconcile(body, items, {
    key,
    create: () => make("tr", {}, ...labels.map(([label, name], at) => newCell(label, name, at))),
    update: (row, item) => cells(item).forEach((cell, at) => fillCell(row.children[at], cell)),
  });
}

function newCell(label, name, at) {
  const cell = make(at === 0 ? "th" : "td", { "data-label": label, class: name || null });
  if (at === 0) {
    cell.scope = "row";
  }
  return cell;
}

function fillCell(cell, content) {
  const parts = [content].flat().map((part) => (typeof part === "object" && part !== null ? part : { text: part }));
  while (cell.children.length > parts.length) {
    cell.lastElementChild.remove();
  }
  setAttribute(cell, "data-none", parts.every(({ text }) => text === NONE));
  parts.forEach((part, at) => {
    const tag = part.time ? "time" : part.href ? "a" : part.meter ? "meter" : "span";
    let element = cell.children[at];
    if (element?.localName !== tag) {
      const fresh = make(tag);
      element ? element.replaceWith(fresh) : cell.append(fresh);
      element = fresh;
    }
    fillPart(element, part);
  });
}

function fillPart(element, part) {
  setAttribute(element, "class", part.class ?? null);
  setAttribute(element, "data-status", part.status ?? null);
  setAttribute(element, "title", part.title ?? (part.time ? absolute(part.time) : null));
  setAttribute(element, "href", part.href ?? null);
  if (part.time) {
    setAttribute(element, "datetime", part.time);
    setText(element, relative(part.time));
  } else if (part.meter) {
    for (const [name, value] of Object.entries(part.meter)) {
      setAttribute(element, name, value);
    }
  } else {
    setText(element, part.text ?? "");
  }
}

// Let every age on the page be true again.
export function tickTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    setText(element, relative(element.dateTime));
  }
}

// A section says one thing, or shows its body.
export function setNote(section, text) {
  const root = document.querySelector(`[data-section="${section}"]`);
  const note = root.querySelector("[data-note]");
  show(note, text !== null);
  setText(note, text ?? "");
  show(root.querySelector("[data-body]"), text === null);
}
