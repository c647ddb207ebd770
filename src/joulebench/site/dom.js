/** Elements. Text from the data is set as text and nothing else; nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A model's name: its owner less loud, and lines that break after a separator. */
export function modelName(model, variant = null) {
  const place = model.indexOf("/") + 1;
  const broken = (text) =>
    text.split(/(?<=[-_/+])(?=[^-_/+])/).flatMap((part, at) => (at ? [html("wbr"), part] : [part]));
  const owner = place > 0 ? [html("span", { class: "owner" }, ...broken(model.slice(0, place))), html("wbr")] : [];
  return [...owner, ...broken(model.slice(place)), variant ? html("span", { class: "variant" }, `+${variant}`) : null];
}

/** An HTML element with `attributes`; `children` are nodes or strings. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}
