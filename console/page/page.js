// The page around the scene: the forms, the list of events, the connection.
"use strict";

const byId = (id) => document.getElementById(id);
const KEEP = 120; // events in the list

async function call(path, body) {
  const r = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const v = await r.json();
  if (!r.ok) throw new Error(v.error || r.statusText);
  return v;
}

async function loadTopology() {
  const t = await (await fetch("api/topology")).json();
  Scene.draw(t);
  byId("where").textContent = `The global DNS on one machine: ${t.roots.length} root servers, ${t.tlds.length} top-level domains, ` +
    `${t.providers.length} providers, port ${t.port}. Resolver: ${t.resolver.address}`;
}

function span(kind, words) {
  const e = document.createElement("span");
  e.className = kind;
  e.textContent = words;
  return e;
}

function list(event) {
  const li = document.createElement("li");
  li.className = event.outcome;
  li.append(
    span("rtt", (event.micros / 1000).toFixed(1) + " ms"),
    span("to", event.to.name || event.to.role),
    span("asked", `${event.from.role} asked ${event.name} ${event.type}`),
    span("said", event.records.length ? event.records.slice(0, 4).join("\n") : event.rcode),
  );
  byId("events").prepend(li);
  while (byId("events").childElementCount > KEEP) byId("events").lastElementChild.remove();
  byId("empty").hidden = true;
}

function connect() {
  const source = new EventSource("api/events");
  const state = (kind, words) => {
    byId("link").className = kind;
    byId("link").querySelector(".words").textContent = words;
  };
  source.onopen = () => { state("live", "live"); loadTopology(); };
  source.onerror = () => state("gone", "the lab does not answer; trying again");
  source.onmessage = (m) => {
    const event = JSON.parse(m.data);
    list(event);
    Scene.show(event);
  };
}

// submit runs work while the form's buttons rest, and shows its outcome.
async function submit(form, out, work) {
  const buttons = form.querySelectorAll("button");
  buttons.forEach((b) => (b.disabled = true));
  out.className = "";
  try {
    out.textContent = await work();
  } catch (err) {
    out.className = "bad";
    out.textContent = err.message;
  }
  buttons.forEach((b) => (b.disabled = false));
}

byId("ask").addEventListener("submit", (e) => {
  e.preventDefault();
  const f = new FormData(e.target);
  submit(e.target, byId("answer"), async () => {
    const a = await call("api/ask", { name: f.get("name").trim(), type: f.get("type") });
    const lines = a.records.length ? a.records : [a.rcode === "NOERROR" ? "The name exists, but has no such record." : a.rcode];
    if (a.security) lines.push(a.security + (a.why ? ": " + a.why : ""));
    const chain = byId("chain");
    chain.hidden = !a.security;
    chain.href = "api/chain?name=" + encodeURIComponent(f.get("name").trim());
    return lines.concat(a.errors).join("\n") + `\n(${a.millis.toFixed(1)} ms)`;
  });
});

byId("try").addEventListener("click", (e) => {
  if (!e.target.dataset.name) return;
  const form = byId("ask");
  form.elements.name.value = e.target.dataset.name;
  form.elements.type.value = e.target.dataset.type;
  form.requestSubmit();
});

const words = (s) => s.split(/[\s,]+/).filter(Boolean);

byId("register").addEventListener("submit", (e) => {
  e.preventDefault();
  const f = new FormData(e.target), remove = e.submitter?.name === "delete";
  submit(e.target, e.target.querySelector("output"), async () => {
    const v = await call("api/register", { name: f.get("name").trim(), ns: words(f.get("ns")), glue: words(f.get("glue")), delete: remove });
    const out = e.target.querySelector("output"), zone = f.get("name").trim();
    if (!remove) setTimeout(() => followSecurity(zone, out, v.done), 0); // when the outcome is shown
    return v.done;
  });
});

// followSecurity tells what becomes of a zone that was just registered, until a
// validator finds it secure.
async function followSecurity(zone, out, done) {
  const begun = performance.now();
  let shown = done;
  while (performance.now() - begun < 30000 && out.textContent.startsWith(done)) {
    let s;
    try {
      s = await (await fetch("api/security?zone=" + encodeURIComponent(zone), { signal: AbortSignal.timeout(4000) })).json();
    } catch {
      await new Promise((r) => setTimeout(r, 500)); // the lab does not answer, or not in time: it may again
      continue;
    }
    if (s.error) return;
    const at = ((performance.now() - begun) / 1000).toFixed(2) + " s: ";
    if (s.status === "secure") {
      out.textContent = done + "\n" + at + "secure, by key " + s.ds.join(", ");
      loadTopology();
      return;
    }
    if (s.unsigned) {
      out.textContent = done + "\nNot signed: " + s.unsigned;
      return;
    }
    shown = done + "\n" + at + (s.ds ? "DS at the parent" : s.signers ? "signed" : "not signed yet");
    out.textContent = shown;
    await new Promise((r) => setTimeout(r, 200));
  }
}

byId("record").addEventListener("submit", (e) => {
  e.preventDefault();
  const f = new FormData(e.target), remove = e.submitter?.name === "delete";
  submit(e.target, e.target.querySelector("output"), async () => {
    const v = await call("api/record", { name: f.get("name").trim(), type: f.get("type").trim(), data: f.get("data").trim(), delete: remove });
    loadTopology();
    return v.done;
  });
});

connect();
