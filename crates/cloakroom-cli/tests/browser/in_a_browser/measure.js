// Runs in the page and answers what is wrong with its looks, a line each.
const wrong = [];
const named = (element) => `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 40)}"`;
const seen = (element) => element.checkVisibility({ visibilityProperty: true });

const page = document.documentElement;
if (page.scrollWidth > page.clientWidth) {
  wrong.push(`${page.scrollWidth} px wide in ${page.clientWidth} px`);
}

// WCAG 2.2, 2.5.5: what is pressed is 44 px high and wide. A link inside a sentence is exempt.
for (const element of document.querySelectorAll("a, button, input:not([type=hidden]), summary")) {
  const inSentence = element.matches("p > a:not(.button), dd > a");
  // Who presses the label ticks the box.
  const target = element.matches("[type=checkbox]") ? element.closest("label") : element;
  const { width, height } = target.getBoundingClientRect();
  if (seen(element) && !inSentence && (width < 44 || height < 44)) {
    wrong.push(`${named(element)} is ${width} by ${height} px`);
  }
}

// WCAG 2.2, 1.4.3: text stands out from what is behind it by 4.5 to 1, whatever its size.
const channels = (color) => color.match(/[\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = channels(color).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const isClear = (color) => channels(color)[3] === 0;
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (!isClear(color)) return color;
  }
  return "rgb(255, 255, 255)";
};
let texts = 0;
for (const element of document.querySelectorAll("body *")) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!(hasText || element.matches("input")) || !seen(element)) continue;
  const style = getComputedStyle(element);
  const [light, dark] = [style.color, behind(element)].map(luminance).sort((a, b) => b - a);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < 4.5) wrong.push(`${named(element)} has a contrast of ${contrast.toFixed(2)}`);
  texts += 1;
}
if (texts < 4) wrong.push(`only ${texts} texts were measured`);

// Landmarks, one heading, and a name for everything that is operated.
for (const [selector, number] of [["header", 1], ["main", 1], ["h1", 1], ["nav[aria-label]", 1]]) {
  const found = document.querySelectorAll(selector).length;
  if (found !== number) wrong.push(`${found} of ${selector}`);
}
for (const input of document.querySelectorAll("input:not([type=hidden])")) {
  if (input.labels.length === 0) wrong.push(`${input.id} has no label`);
  for (const id of input.getAttribute("aria-describedby")?.split(" ") ?? []) {
    if (!document.getElementById(id)) wrong.push(`${input.id} is described by nothing: ${id}`);
  }
}
return wrong;
