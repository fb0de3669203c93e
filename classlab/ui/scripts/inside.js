// See inside: a test image, a mistake, a picture or a drawing, where the answer came from, what every layer makes of it.
import {byId, get, make, percent, post, problem, say, tried} from "/static/frame.js";
import {networks, showAnswer} from "/static/answer.js";

let first = 0, asked = 0, checked = "";

async function images(more) {
  const run = byId("run").value;
  if (!run) return;
  first = more ? first : 0;
  const found = await tried(() => get(`/api/run/${run}/images?kind=${byId("kind").value}&from=${first}`));
  if (!found) return;
  first += found.images.length;
  const made = found.images.map((image) => make("button", {type: "button", class: image.true === image.predicted ? "good" : "bad", "aria-label": `Test image ${image.index}: true ${image.true}, predicted ${image.predicted}, ${percent(image.confidence, 1)} sure`, onclick: (event) => look({index: image.index, picture: null}, event.currentTarget)},
    make("img", {src: image.picture, alt: ""}), make("small", {}, image.true === image.predicted ? image.true : `${image.true}, not ${image.predicted}`)));
  if (more) byId("images").append(...made); else byId("images").replaceChildren(...(made.length ? made : [make("p", {class: "hint"}, "There are none.")]));
  byId("more").hidden = first >= found.count;
}

async function look(what, button) {
  for (const other of byId("images").querySelectorAll("[aria-pressed]")) other.removeAttribute("aria-pressed");
  button?.setAttribute("aria-pressed", "true");
  const found = await tried(() => post("/api/inside", {run: byId("run").value, picture: null, index: null, ...what}));
  if (!found) return;
  byId("answer").hidden = false;
  showAnswer(found.answer);
  byId("layers").replaceChildren(...found.layers.map(layer));
  say(`${found.answer.sentence}; ${found.layers.length} layers follow.`, true);
  await evidence(what);
}

async function evidence(what) {
  const mine = ++asked, run = byId("run").value;
  byId("evidence").hidden = false;
  byId("evidence").setAttribute("aria-busy", "true");
  byId("evidence-maps").replaceChildren(make("p", {class: "hint"}, "Looking for evidence …"));
  const found = await tried(() => post("/api/evidence", {run, picture: null, index: null, ...what}));
  if (mine !== asked) return;
  byId("evidence").setAttribute("aria-busy", "false");
  if (!found) { byId("evidence").hidden = true; return; }
  byId("key").textContent = found.key;
  byId("evidence-maps").replaceChildren(...found.rows.map(method));
  await checks(run);
}

function method(row) {
  const maps = row.maps.map((map) => make("figure", {}, make("img", {src: map.picture, alt: `${row.method} for ${map.class}${map.empty ? `: ${map.empty}` : ""}`}), make("figcaption", {}, `for ${map.class}${map.empty ? `: ${map.empty}` : ""}`)));
  return make("div", {class: "evidence"}, make("h3", {}, row.method), ...(maps.length ? [make("div", {class: "evidence-row"}, maps)] : []), make("p", {class: "hint"}, `${row.sentence}.`));
}

// Whether the maps can be believed is a property of the network: asked once for each.
async function checks(run) {
  if (checked === run) return;
  byId("checks").textContent = "Whether such maps can be believed is being checked on the most confident mistakes …";
  const found = await tried(() => get(`/api/run/${run}/map-checks`));
  if (!found || run !== byId("run").value) return;
  checked = run;
  byId("checks").replaceChildren(...found.flatMap((check) => [make("strong", {}, `${check.method}: `), `${check.sentence}. `]));
}

function layer(found, place) {
  const number = (value) => Number(value.toPrecision(3));
  const facts = `${found.kind}, ${found.shape}, from ${number(found.low)} to ${number(found.high)}${found.zero > 0.005 ? `, ${percent(found.zero, 0)} of it zero` : ""}`;
  const tiles = (pictures, what) => make("div", {class: "maps", role: "img", "aria-label": `${pictures.length} ${what} of ${found.name}`}, pictures.map((picture) => make("img", {src: picture, alt: ""})));
  const parts = found.maps ? [tiles(found.maps, "feature maps")] : [make("div", {class: "row-map", role: "img", "aria-label": `The outputs of ${found.name}`}, make("img", {src: found.row, alt: ""}))];
  if (found.left_out) parts.push(make("p", {class: "hint"}, `and ${found.left_out} more maps`));
  if (found.filters) parts.push(make("details", {}, make("summary", {}, `The filters of ${found.name}`), tiles(found.filters, "filters"), make("p", {class: "hint"}, "Grey is zero, white the largest weight, black the smallest; over several input maps their mean.")));
  return make("section", {class: "layer", "aria-label": `Layer ${place + 1}: ${found.name}`}, make("h3", {}, `${place + 1}. ${found.name}`), make("p", {class: "caption"}, facts), ...parts);
}

byId("kind").addEventListener("change", () => images(false));
byId("run").addEventListener("change", () => { byId("layers").replaceChildren(); byId("answer").hidden = byId("evidence").hidden = true; checked = ""; asked += 1; images(false); });
byId("more").addEventListener("click", () => images(true));
byId("file").addEventListener("change", async () => {
  const [file] = byId("file").files;
  if (!file) return;
  if (file.size > 8e6) return problem("A picture of at most 8 MB is taken.");
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let place = 0; place < bytes.length; place += 32768) text += String.fromCharCode(...bytes.subarray(place, place + 32768));
  look({picture: btoa(text)});
});
const runs = await tried(() => get("/api/runs"));
if (runs && networks(byId("run"), runs)) {
  const address = new URLSearchParams(location.search), drawing = sessionStorage.getItem("drawing");
  if (address.has("drawing") && drawing) look({picture: drawing});
  await images(false);
} else if (runs) problem("No run here has ended that names classes. In a terminal: classlab run digits-quick");
