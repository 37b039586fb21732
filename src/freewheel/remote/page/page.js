// The page beside the instrument: state, queue, actions, picture, values, Stop all.

import { draw } from "./frames.js";
import { Line } from "./line.js";

const byId = (id) => document.getElementById(id);
const VALUES = 40;  // so many signals are watched
let line = null, picture = {}, may = false, since = 0;

// -- the door ------------------------------------------------------------------------------

// The part behind # is sent to no server; it is taken out of the address at once.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) history.replaceState(null, "", location.pathname);
const token = given || sessionStorage.getItem("token");
byId("door").onsubmit = (event) => { event.preventDefault(); enter(byId("token").value.trim()); };
if (token) enter(token); else byId("door").hidden = false;

function enter(with_) {
  sessionStorage.setItem("token", with_);
  byId("door").hidden = true;
  byId("room").hidden = false;
  line = new Line(with_, hear);
}

function hear(kind, message) {
  if (kind === "welcome") welcomed(message);
  else if (kind === "news") { Object.assign(picture, message.picture ?? {}); since = Date.now(); show(); }
  else if (kind === "frame") showFrame(message);
  else if (kind === "value") showValue(message.device, message.reading);
  else if (kind === "bye") bye(message);
  else if (kind === "down") showLine(false);
}

function welcomed(message) {
  may = message.role !== "observer";
  notice("");
  showLine(true);
  if (!message.resumed) {
    picture = message.picture;
    since = Date.now();
    ask("frames", { wanted: true, max_side: 512, rate: 15 });
    line.call("offers").then(({ devices }) => watch(devices), complain);
  }
  show();
}

function bye(message) {
  notice(message.reason);
  if (!line.over) return;
  sessionStorage.removeItem("token");
  byId("door").hidden = false;
}

// -- asking --------------------------------------------------------------------------------

const complain = (error) => notice(error.message);
const ask = (verb, args) => line.call(verb, args).catch(complain);

function notice(text) {
  byId("notice").textContent = text ?? "";
  byId("notice").hidden = !text;
}

byId("stop-all").onclick = () => { notice(""); ask("stop_all", { reason: "from the page" }); };

function button(text, verb, args, main = false) {
  const made = document.createElement("button");
  made.textContent = text;
  made.disabled = !may;
  made.className = main ? "main" : "";
  made.onclick = () => { notice(""); ask(verb, args()); };
  return made;
}

// -- showing -------------------------------------------------------------------------------

function showLine(up) {
  byId("line").className = up ? "" : "down";
  byId("line").textContent = up ? `${line.welcome.name}, ${line.welcome.role}` : "no line";
  document.querySelectorAll("#room button").forEach((each) => { each.disabled = !up || !may; });
}

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...children);
  return made;
}

// Buttons that stay as they are must stay, or a finger finds another one in their place.
function fill(id, key, make) {
  const text = JSON.stringify([key, may]), place = byId(id);
  if (place.dataset.key === text) return;
  place.dataset.key = text;
  place.replaceChildren(...make());
}

function show() {
  byId("state").textContent = picture.state;
  showClock();
  byId("stop-all").disabled = !may;
  fill("control", [picture.state, Boolean(picture.current)], controls);
  fill("actions", picture.actions, () => picture.actions.map(action));
  fill("progress", picture.progress, () => picture.progress.map(progress));
  fill("held", picture.queue_held, held);
  fill("queue", picture.queued, queue);
  fill("tasks", picture.tasks, () => picture.tasks.map((task) => element("li", "",
    element("span", `${task.name} ${task.status}`),
    button("Cancel", "task_cancel", () => ({ key: task.key })))));
  byId("beside").hidden = !picture.tasks.length;
}

function showClock() {
  const plan = picture.current;
  const clock = plan?.elapsed == null ? "" : seconds(plan.elapsed + (Date.now() - since) / 1000);
  byId("plan").textContent = plan ? `${plan.name} ${clock}` : "";
}
setInterval(showClock, 1000);

function seconds(all) {
  const whole = Math.floor(all), rest = String(whole % 60).padStart(2, "0");
  return `${Math.floor(whole / 60)}:${rest}`;
}

function controls() {
  if (picture.state === "paused") {
    return [button("Resume", "resume", () => ({ key: line.key() }), true),
      button("Stop", "stop", () => ({})), button("Abort", "abort", () => ({ reason: "from the page" }))];
  }
  if (picture.state !== "running") return [];
  return [button("Pause", "pause", () => ({})), button("Stop", "stop", () => ({})),
    button("Abort", "abort", () => ({ reason: "from the page" }))];
}

function action(each) {
  const to = each.is_on ? "release" : "trigger";
  const state = each.togglable ? `: ${each.toggle_states[each.is_on ? 0 : 1]}` : "";
  const made = button(`${each.name}${state}`, to, () => ({ name: each.name, plan: each.plan }), true);
  made.title = each.description;
  made.setAttribute("aria-pressed", String(each.is_on));
  return made;
}

function progress(each) {
  const bar = document.createElement("progress");
  if (each.fraction != null) bar.value = each.fraction;
  return element("label", each.name ?? each.plan ?? "", bar);
}

function held() {
  if (picture.queue_held === null) return [];
  return [element("span", `Held: ${picture.queue_held} `),
    button("Let it go on", "queue_release", () => ({}))];
}

function queue() {
  if (!picture.queued.length) return [element("li", "Nothing waits.")];
  return picture.queued.map((plan) => element("li", "",
    element("span", `${plan.name} ${plan.arguments}`),
    button("Cancel", "cancel", () => ({ key: plan.key }))));
}

function showFrame(frame) {
  if (!draw(document.querySelector("canvas"), frame)) return;
  byId("live").hidden = false;
  document.querySelector("#live small").textContent =
    `${frame.key} ${frame.full_shape.slice(0, 2).reverse().join(" × ")}`;
}

// -- values --------------------------------------------------------------------------------

function watch(devices) {
  const names = [];
  const look = (path, device) => {
    if (device.is_signal && device.can.includes("read")) names.push(path);
    for (const [key, part] of Object.entries(device.parts)) look(`${path}.${key}`, part);
  };
  for (const [name, device] of Object.entries(devices)) look(name, device);
  byId("values").replaceChildren();
  for (const device of names.slice(0, VALUES)) line.call("watch", { device }).catch(() => {});
}

function showValue(device, reading) {
  const { value } = Object.values(reading)[0];
  if (value === null) return;  // an array
  let place = [...byId("values").querySelectorAll("dd")].find((each) => each.dataset.of === device);
  if (place === undefined) {
    place = document.createElement("dd");
    place.dataset.of = device;
    byId("values").append(element("dt", device), place);
  }
  place.textContent = typeof value === "number" ? `${Number(value.toPrecision(6))}` : `${value}`;
}
