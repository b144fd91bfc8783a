// The scene: the lab's servers in three tiers, and packets that travel between
// them. Every word that came from the network is set as text, never as markup.
"use strict";

const Scene = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.getElementById("scene");
  const nodes = new Map(); // address -> {group, x, y, dot}
  const WIDTH = 1280, HEIGHT = 700;
  const COLUMN = { client: 70, resolver: 235, root: 480, tld: 730, authority: 1090 };
  const queue = [];
  let playing = false;
  let layer, bubbles;

  function make(parent, tag, attributes, text) {
    const e = document.createElementNS(NS, tag);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    parent.append(e);
    return e;
  }

  function clip(words, most) {
    return words.length > most ? words.slice(0, most - 1) + "…" : words;
  }

  const bare = (name) => (name.length > 1 ? name.replace(/\.$/, "") : name);

  // draw lays the servers out anew.
  function draw(topology) {
    svg.replaceChildren();
    nodes.clear();
    for (const [role, words] of Object.entries({ client: "YOU", resolver: "RESOLVER", root: "ROOT", tld: "TOP-LEVEL DOMAINS", authority: "HOSTING" })) {
      make(svg, "text", { x: COLUMN[role], y: 24, class: "tier" }, words);
    }
    layer = make(svg, "g", {});
    person("client", COLUMN.client, HEIGHT / 2, "you", "");
    person("resolver", COLUMN.resolver, HEIGHT / 2, "R", topology.resolver.address);
    topology.roots.forEach((s, i) => rootServer(s, i, topology.roots.length));
    topology.tlds.forEach((o, i) => operator("tld", o, i, topology.tlds.length, 190));
    topology.providers.forEach((o, i) => operator("authority", o, i, topology.providers.length, 330));
    bubbles = make(svg, "g", {});
  }

  function person(role, x, y, label, address) {
    const g = make(svg, "g", { class: "node " + role });
    make(g, "circle", { cx: x, cy: y, r: role === "resolver" ? 40 : 28 });
    make(g, "text", { x, y }, label);
    if (address) make(g, "title", {}, address);
    nodes.set(role, { group: g, x, y });
  }

  function rootServer(server, i, n) {
    const x = COLUMN.root, y = 64 + (i + 0.5) * ((HEIGHT - 80) / n);
    const g = make(svg, "g", { class: "node root" });
    make(g, "circle", { cx: x, cy: y, r: Math.min(19, (HEIGHT - 80) / n / 2 - 2) });
    make(g, "text", { x, y }, server.name[0]);
    make(g, "title", {}, server.name + " " + server.address);
    nodes.set(server.address, { group: g, x, y });
  }

  // MARK stands before the name of a zone that is validated, or should not be trusted.
  const MARK = { secure: "\u2713 ", bogus: "\u2717 " };

  // operator draws who runs the same zones on several addresses: a box, with a
  // dot for each address on its left side.
  function operator(role, o, i, n, width) {
    const gap = 14, height = Math.min(92, (HEIGHT - 70) / n - gap);
    const total = n * (height + gap) - gap;
    const x = COLUMN[role] - width / 2, y = 44 + (HEIGHT - 44 - total) / 2 + i * (height + gap);
    const g = make(svg, "g", { class: "node " + role });
    make(g, "rect", { x, y, width, height, rx: 11 });
    make(g, "text", { x: x + 30, y: y + 20, class: "title" }, clip(o.name, 34));
    const security = o.security || [];
    const zones = o.zones.map((z, k) => (MARK[security[k]] || "") + bare(z));
    const lines = Math.max(1, Math.floor((height - 38) / 15) + 1);
    wrap(zones, Math.floor((width - 40) / 7.2), lines).forEach((line, k) =>
      make(g, "text", { x: x + 30, y: y + 42 + k * 15, class: "zones" }, line));
    make(g, "title", {}, o.servers.map((s) => s.name + " " + s.address).join("\n") + "\n" +
      o.zones.map((z, k) => bare(z) + (security[k] ? " (" + security[k] + ")" : "")).join("\n"));
    o.servers.forEach((s, k) => {
      const dy = y + ((k + 0.5) * height) / o.servers.length;
      const dot = make(g, "circle", { cx: x + 14, cy: dy, r: 5, class: "address" });
      nodes.set(s.address, { group: g, x: x + 14, y: dy, dot });
    });
  }

  // wrap fills lines with words and says in the last one how many are left out.
  function wrap(words, width, most) {
    const lines = [];
    let line = "", i = 0;
    for (; i < words.length; i++) {
      const next = line ? line + "  " + words[i] : words[i];
      if (next.length <= width || !line) { line = next; continue; }
      if (lines.length + 1 === most) break;
      lines.push(line);
      line = words[i];
    }
    if (i < words.length) line = clip(line, width - 5) + " +" + (words.length - i);
    if (line) lines.push(clip(line, width + 4));
    return lines;
  }

  // show plays the event when those before it have been played. A burst is
  // played faster, and of a flood only the newest is.
  function show(event) {
    queue.push(event);
    if (queue.length > 120) queue.splice(0, queue.length - 120);
    if (!playing) play();
  }

  async function play() {
    playing = true;
    while (queue.length) {
      const pace = queue.length > 60 ? 0.08 : queue.length > 15 ? 0.3 : 1;
      await travel(queue.shift(), document.hidden ? 0 : pace);
    }
    playing = false;
  }

  function find(endpoint) {
    return nodes.get(endpoint.address) || nodes.get(endpoint.role);
  }

  async function travel(event, pace) {
    const from = find(event.from) || nodes.get("client"), to = find(event.to);
    if (!to || pace === 0) return;
    const bend = (to.x - from.x) / 2;
    const d = `M${from.x} ${from.y} C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
    const wire = make(layer, "path", { d, class: "wire question" });
    await move(wire, "question", false, 380 * pace);
    to.group.classList.add("lit");
    if (to.dot) to.dot.classList.add("lit");
    const bubble = event.to.role === "resolver" ? null : say(event, to);
    wire.setAttribute("class", "wire " + event.outcome);
    await move(wire, event.outcome, true, 420 * pace);
    setTimeout(() => {
      wire.remove();
      to.group.classList.remove("lit");
      if (to.dot) to.dot.classList.remove("lit");
    }, 500 * pace);
    if (bubble) setTimeout(() => bubble.remove(), 2600 * pace);
  }

  function move(path, tone, back, millis) {
    const length = path.getTotalLength();
    const packet = make(layer, "circle", { r: 7, class: "packet " + tone });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return new Promise((done) => {
      let start;
      const end = () => { packet.remove(); done(); };
      const step = (now) => {
        start ??= now;
        const part = Math.min(1, (now - start) / millis);
        const at = path.getPointAtLength(length * (back ? 1 - part : part));
        packet.setAttribute("cx", at.x);
        packet.setAttribute("cy", at.y);
        if (part < 1) requestAnimationFrame(step); else end();
      };
      if (still) setTimeout(end, millis); else requestAnimationFrame(step);
    });
  }

  // say puts a bubble beside the server: what was asked, and the reply's record.
  function say(event, at) {
    const g = make(bubbles, "g", { class: "bubble " + event.outcome });
    const asked = clip(bare(event.name) + " " + event.type + " ?", 46);
    const said = clip(event.records[0] || event.rcode, 46);
    const more = event.records.length > 1 ? "+ " + (event.records.length - 1) + " more" : "";
    const width = Math.max(asked.length, said.length + (more ? more.length + 2 : 0)) * 7.7 + 22;
    const x = Math.max(4, Math.min(WIDTH - width - 4, at.x - width - 26));
    const y = Math.max(34, Math.min(HEIGHT - 54, at.y - 25));
    make(g, "rect", { x, y, width, height: 50, rx: 9 });
    make(g, "text", { x: x + 11, y: y + 20, class: "what" }, asked);
    make(g, "text", { x: x + 11, y: y + 39, class: "said" }, said + (more ? "  " + more : ""));
    return g;
  }

  return { draw, show };
})();
