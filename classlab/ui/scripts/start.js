// The command builder: a form made from the schema; wrong values are answered by the command's own sentences.
import {byId, gathered, get, make, post, say, tried} from "/static/frame.js";

const changed = new Map();

async function form() {
  changed.clear();
  const found = await tried(() => get(`/api/form/${byId("experiment").value}`));
  if (!found) return;
  byId("description").textContent = found.description;
  const sections = new Map();
  for (const field of found.fields) {
    const name = field.key.split(".")[0];
    if (!sections.has(name)) sections.set(name, []);
    sections.get(name).push(row(field));
  }
  byId("fields").replaceChildren(...[...sections].map(([name, rows]) => make("fieldset", {}, make("legend", {}, name), ...rows)));
  build();
}

function row(field) {
  const id = `set-${field.key}`, list = `${id}-list`;
  const input = make("input", {id, value: field.value, autocomplete: "off", spellcheck: "false", ...(field.allowed.length ? {list} : {}), ...(field.words ? {"aria-describedby": `${id}-words`} : {})});
  input.addEventListener("input", () => {
    const differs = input.value !== field.value;
    differs ? changed.set(field.key, input.value) : changed.delete(field.key);
    made.classList.toggle("changed", differs);
    build();
  });
  const options = field.allowed.length ? make("datalist", {id: list}, field.allowed.map((value) => make("option", {value}))) : null;
  const made = make("div", {class: "setting-row", "data-text": `${field.key} ${field.words}`.toLowerCase()}, make("label", {for: id}, make("code", {}, field.key)), input, options, field.words ? make("small", {id: `${id}-words`}, field.words) : null);
  return made;
}

const build = gathered(async () => {
  const body = {experiment: byId("experiment").value, settings: Object.fromEntries(changed), seeds: Number(byId("seeds").value) || 0, first_seed: Number(byId("first").value) || 0, report: byId("report").checked};
  const found = await tried(() => post("/api/command", body));
  byId("copy").disabled = !found;
  byId("command").textContent = found ? found.commands.join("\n") : "";
  byId("meaning").textContent = found ? `${found.sentence}.` : "There is no command for these values.";
}, 200);

async function copy() {
  const text = byId("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
    say("The command is copied.", true);
    byId("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("command")); // the browser does not allow it: then it is marked, to be copied by hand
    say("The command is marked; copy it with Control C.", true);
    byId("copy").textContent = "Marked";
  }
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
}

byId("experiment").addEventListener("change", form);
for (const id of ["first", "seeds", "report"]) byId(id).addEventListener("input", build);
byId("copy").addEventListener("click", copy);
byId("form").addEventListener("submit", (event) => event.preventDefault());
byId("find").addEventListener("input", () => {
  const wanted = byId("find").value.toLowerCase();
  for (const made of document.querySelectorAll(".setting-row")) made.hidden = !made.dataset.text.includes(wanted);
});
form();
