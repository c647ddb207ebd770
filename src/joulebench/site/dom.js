/** Elements. Text from the data is set as text and nothing else; nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * The page's own element `id`, which is of `kind` where that is given, as HTMLSelectElement.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {new () => T} [kind]
 */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof (kind ?? HTMLElement))) throw new TypeError(`#${id} is not such an element`);
  return /** @type {T} */ (element);
}

/**
 * Has `act` called at events of `type` with the control of `kind` that they are of: the element `id` or one in it.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {"change" | "input"} type
 * @param {new () => T} kind
 * @param {(control: T) => void} act
 */
export function onControl(id, type, kind, act) {
  byId(id).addEventListener(type, ({ target }) => {
    if (target instanceof kind) act(target);
  });
}

/**
 * @template {Element} T
 * @param {T} element
 */
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

/**
 * An HTML element with `attributes`; `children` are nodes or strings.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}
