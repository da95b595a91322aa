// Counts down to the end of the session, in the words that the server uses: the nearest unit of
// which there are two or more. Without it the page says the same and stands still.
"use strict";

const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function said(seconds) {
  const [unit, length] = units.find(([, length]) => length === 1 || seconds >= 2 * length);
  const number = Math.round(seconds / length);
  const format = { style: "unit", unit, unitDisplay: "long", useGrouping: false };
  return new Intl.NumberFormat(document.documentElement.lang, format).format(number);
}

const time = document.querySelector("time[data-left]");
if (time) {
  const before = document.querySelector("[data-before-the-end]");
  const after = document.querySelector("[data-after-the-end]");
  const bar = before.querySelector("progress");
  // Of the day's clock, which goes on while the machine sleeps.
  const end = Date.now() + Number(time.dataset.left);
  const tick = () => {
    const left = end - Date.now();
    if (left <= 0) {
      before.hidden = true;
      after.hidden = false;
      return;
    }
    const text = said(Math.max(1, Math.round(left / 1000)));
    if (time.textContent !== text) time.textContent = text;
    bar.value = left;
    setTimeout(tick, Math.min(1000, left));
  };
  tick();
  // A page that the browser brings back from memory may show somebody who has logged out.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
