// Live refresh, the viewer's time zone, and the sign-in with a key. Everything else works without this file.
"use strict";

const served = new Map(); // region id -> the HTML that the server sent for it last
const { locale: LOCALE, timeZone: ZONE } = new Intl.DateTimeFormat().resolvedOptions();
const CLOCK = { hour: "2-digit", minute: "2-digit" };
const SECONDS = { ...CLOCK, second: "2-digit" };
const DAY = { month: "short", day: "numeric" };
const UNITS = [["day", 86400, Infinity], ["hour", 3600, 86400], ["minute", 60, 3600], ["second", 1, 60]]; // in s, and in what is larger
const SHOWN = { clock: SECONDS, minute: CLOCK, day: DAY }; // what data-show asks for instead of the whole time

function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const year = date.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
    time.title ||= time.textContent; // UTC, as the server wrote it
    time.lang = LOCALE;
    time.dir = "auto";
    time.textContent = date.toLocaleString(undefined, SHOWN[time.dataset.show] ?? { ...DAY, ...SECONDS, ...year });
  }
  for (const label of root.querySelectorAll("text[data-time]"))
    label.textContent = new Date(label.dataset.time).toLocaleString(undefined, SHOWN[label.dataset.show]);
  for (const number of root.querySelectorAll("data[value]")) number.textContent = inWords(number);
  for (const zone of root.querySelectorAll("[data-zone]")) zone.textContent = ZONE;
}

/** Return a number with as many digits behind the point as the server gave it. */
function inWords(number) {
  const digits = number.value.split(".")[1]?.length ?? 0;
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  if (number.dataset.show === "duration") return inUnits(number);
  if (number.dataset.show !== "change") return Number(number.value).toLocaleString(undefined, form);
  return (number.value / 100).toLocaleString(undefined, { ...form, style: "percent", signDisplay: "exceptZero" });
}

/** Return a time span in its two largest units. The server writes it so in English. */
function inUnits(span) {
  if (LOCALE.startsWith("en")) return span.textContent;
  span.dir = "auto";
  span.lang = LOCALE;
  const form = { style: "unit", unitDisplay: "short" };
  const parts = UNITS.map(([unit, size, whole]) => [Math.floor((span.value % whole) / size), unit]).filter(([count]) => count);
  const shown = parts.length ? parts.slice(0, 2) : [[0, "second"]];
  return shown.map(([count, unit]) => count.toLocaleString(undefined, { ...form, unit })).join(" ");
}

const regions = (root) => root.querySelectorAll("[data-region]");
const isLive = (root) => root.body.hasAttribute("data-live");

/** Return how to find an element again in the HTML that replaces it. */
function pathOf(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const around = element.closest("[id]");
  return `#${CSS.escape(around.id)} ${element.localName}`;
}

function replace(region, html) {
  const focused = region.contains(document.activeElement) ? pathOf(document.activeElement) : "";
  const open = new Map([...region.querySelectorAll("details")].map((details) => [details.id, details.open]));
  region.innerHTML = html;
  for (const details of region.querySelectorAll("details")) details.open = open.get(details.id) ?? details.open;
  localize(region);
  if (focused) document.querySelector(focused)?.focus({ preventScroll: true });
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload(); // the session is over: sign in, and come back
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of regions(page)) {
    const region = document.getElementById(fresh.id);
    if (!region || served.get(fresh.id) === fresh.innerHTML) continue;
    served.set(fresh.id, fresh.innerHTML);
    replace(region, fresh.innerHTML);
  }
  if (!isLive(page)) document.body.removeAttribute("data-live");
}

async function keepFresh() {
  const stale = document.getElementById("stale");
  while (isLive(document)) {
    await new Promise((wake) => setTimeout(wake, 1000 * Number(document.body.dataset.live)));
    if (document.hidden) continue;
    stale.hidden = await refresh().then(() => true, () => false); // the next time may find the server again
  }
}

async function openSession(form, key) {
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(form)),
    headers: key ? { "x-functions-key": key } : {},
    redirect: "manual",
  });
  if (answer.type !== "opaqueredirect") return false;
  location.replace(form.elements.page.value || "/api/portal");
  return true;
}

async function signIn(form) {
  const field = document.getElementById("key"), fault = document.getElementById("sign-in-fault");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fault.textContent = "";
    if (await openSession(form, field.value).catch(() => false)) return;
    fault.textContent = "The host did not accept this key. Nothing was done.";
    field.select();
  });
  if (!(await openSession(form, "").catch(() => false))) field.focus(); // a local host asks for no key
}

for (const region of regions(document)) served.set(region.id, region.innerHTML);
localize(document);
document.getElementById(location.hash.slice(1))?.focus();
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".pane .close")?.click();
});
const form = document.getElementById("sign-in");
if (form) signIn(form);
else keepFresh();

const here = new URL(location.href);
if (here.searchParams.has("notice")) { // said once: not again on a reload, nor to whom the address is sent
  here.searchParams.delete("notice");
  history.replaceState(history.state, "", here);
}
