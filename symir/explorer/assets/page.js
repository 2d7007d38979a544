// The compiler explorer: draws the data of the page, and follows each thing through all
// levels. No framework, no request; text reaches the document as text nodes only.
"use strict";
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const ROW = 21, LANE = 26;

  // region Elements

  function put(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (key === "text") node.textContent = value;
      else if (key === "style") Object.assign(node.style, value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined));
    return node;
  }
  const el = (tag, attributes, ...children) =>
    put(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    put(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const span = (className, text) => el("span", { class: className, text });
  const count = (number, noun) =>
    `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : noun.endsWith("ch") ? "es" : "s"}`;
  const colour = (term) => (term < 0 ? "var(--strong-line)" : `var(--t${term % 8})`);
  const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

  // endregion
  // region Relations: what has an origin in common

  const SETS = DATA.sets ? DATA.sets.map((runs) => {
    const numbers = [];
    for (let k = 0; k < runs.length; k += 2)
      for (let n = 0; n < runs[k + 1]; n++) numbers.push(runs[k] + n);
    return numbers;
  }) : [];
  const ORIGINS = DATA.origins || [];
  const TERM = 0, FILE = 2, LINE = 3;
  const TERMS_OF_SET = SETS.map((set) => [
    ...new Set(set.map((origin) => ORIGINS[origin][TERM]).filter((term) => term >= 0)),
  ]);

  // What is looked at: a strength for each origin, 2 for itself, 1 for the same term.
  const relation = { strength: null, bySet: new Map(), terms: new Set(), pinned: null, key: "" };
  const watchers = [];

  function strengthOfSet(set) {
    if (!relation.strength || set < 0) return 0;
    if (!relation.bySet.has(set))
      relation.bySet.set(set, SETS[set].reduce((most, one) => Math.max(most, relation.strength[one]), 0));
    return relation.bySet.get(set);
  }

  // A thing to look at is {key, origins, terms}; null is nothing.
  function relate(thing, from) {
    const key = thing ? thing.key : "";
    if (key === relation.key) return;
    relation.key = key;
    relation.bySet.clear();
    relation.terms = new Set(thing ? thing.terms : []);
    relation.strength = thing ? new Uint8Array(ORIGINS.length) : null;
    if (thing) {
      ORIGINS.forEach((origin, n) => { if (relation.terms.has(origin[TERM])) relation.strength[n] = 1; });
      for (const origin of thing.origins) relation.strength[origin] = 2;
    }
    for (const watcher of watchers) watcher(from);
  }
  const look = (thing, from) => relate(thing || relation.pinned, from);
  function pin(thing, from) {
    const same = relation.pinned && thing && relation.pinned.key === thing.key;
    relation.pinned = same ? null : thing;
    relation.key = "?";
    relate(relation.pinned || thing, from);
    if (same) relate(null, from);
  }
  function unpin() { relation.pinned = null; relate(null); }

  const ofSet = (set) =>
    set < 0 ? null : { key: `s${set}`, origins: SETS[set], terms: TERMS_OF_SET[set] };
  const ofTerm = (term) => ({
    key: `t${term}`, terms: [term],
    origins: ORIGINS.flatMap((origin, n) => (origin[TERM] === term ? [n] : [])),
  });
  const ofPlace = (file, line) => {
    const origins = ORIGINS.flatMap((one, n) => (one[FILE] === file && one[LINE] === line ? [n] : []));
    if (!origins.length) return null;
    const terms = [...new Set(origins.map((n) => ORIGINS[n][TERM]).filter((term) => term >= 0))];
    return { key: `p${file}:${line}`, origins, terms };
  };
  function ofLane(term, emission) {
    if (term < 0) return null;
    const own = DATA.terms[term];
    const set = emission < 0 ? own.origins : own.emission_origins[emission];
    return set < 0 ? ofTerm(term) : { ...ofSet(set), key: `l${term}/${emission}` };
  }

  // endregion
  // region Colours of code

  const MLIR = /("(?:[^"\\]|\\.)*")|(%[\w$.-]+(?:#\d+)?)|(@"(?:[^"\\]|\\.)*"|@[\w$.-]+)|([!#^][\w.]+)|\b((?:tensor|complex|index|i\d+|ui\d+|f\d+|none)\b)|\b((?:[a-z_]\w*\.)+\w+)|(-?\b\d[\w.+-]*)|(\.\.\.? [\d,]+ (?:more \.\.\.|bytes|more characters)| \.\.\. [\d,]+ more lines.*)/g;
  const MLIR_KINDS = ["", "k-s", "k-v", "k-a", "k-a", "k-t", "op", "k-n", "cut"];
  const PYTHON = /(#.*$)|("""|'''|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b(def|return|import|from|as|for|in|if|else|elif|lambda|class|with|not|and|or|None|True|False|while|yield)\b|\b(\d[\w.]*)\b/g;
  const PYTHON_KINDS = ["", "k-c", "k-s", "k-k", "k-n"];
  const DIALECTS = { sym: "k-sym", bt: "k-bt", stablehlo: "k-hlo", chlo: "k-hlo" };

  function coloured(text, pattern, kinds) {
    const parts = [];
    let last = 0;
    pattern.lastIndex = 0;
    for (let match; (match = pattern.exec(text)); ) {
      if (match.index > last) parts.push(document.createTextNode(text.slice(last, match.index)));
      const group = match.findIndex((one, k) => k > 0 && one !== undefined);
      let kind = kinds[group];
      if (kind === "op") kind = DIALECTS[match[0].split(".")[0]] || "k-op";
      parts.push(span(kind, match[0]));
      last = match.index + match[0].length;
    }
    parts.push(document.createTextNode(text.slice(last)));
    return parts;
  }

  // Where the types of an op begin: at the first " : " outside of all brackets.
  function typesAt(text) {
    let depth = 0, quoted = false;
    for (let k = 0; k < text.length; k++) {
      const c = text[k];
      if (quoted) { if (c === "\\") k++; else if (c === '"') quoted = false; continue; }
      if (c === '"') quoted = true;
      else if ("([{<".includes(c)) depth++;
      else if (")]}".includes(c) || (c === ">" && text[k - 1] !== "-")) depth--;
      else if (c === ":" && depth === 0 && text[k - 1] === " " && text[k + 1] === " ") return k - 1;
    }
    return -1;
  }
  function mlir(text) {
    const at = typesAt(text);
    if (at < 0) return coloured(text, MLIR, MLIR_KINDS);
    const open = text.endsWith(" {") ? text.length - 2 : text.length;
    return [...coloured(text.slice(0, at), MLIR, MLIR_KINDS), span("ty", text.slice(at, open)), text.slice(open)];
  }
  const python = (text) => coloured(text, PYTHON, PYTHON_KINDS);

  function gutter(terms) {
    const shown = terms.slice(0, 4);
    if (!shown.length) return el("span", { class: "gut" });
    const stops = shown.map((term, k) =>
      `${colour(term)} ${(100 * k) / shown.length}% ${(100 * (k + 1)) / shown.length}%`);
    return el("span", { class: "gut", style: { background: `linear-gradient(${stops.join(",")})` } });
  }

  // endregion
  // region A list of which only what is in sight is in the document

  function windowed(box, sheet, rowHeight, total, draw) {
    const state = { total, first: 0, last: -1 };
    function render(force) {
      const first = clamp(Math.floor(box.scrollTop / rowHeight) - 30, 0, state.total);
      const last = Math.min(state.total, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + 30);
      if (!force && first >= state.first && last <= state.last) return;
      const begin = Math.max(0, first - 60), end = Math.min(state.total, last + 60);
      state.first = begin; state.last = end;
      sheet.replaceChildren(...Array.from({ length: end - begin }, (_, k) => {
        const node = draw(begin + k);
        node.style.top = `${(begin + k) * rowHeight}px`;
        return node;
      }));
    }
    box.addEventListener("scroll", () => render(false), { passive: true });
    if (window.ResizeObserver) new ResizeObserver(() => render(false)).observe(box);
    return {
      render: () => render(true),
      // Paint what is in the document again, without making it anew
      repaint(paint) { Array.from(sheet.children).forEach((node, k) => paint(node, state.first + k)); },
      resize(size) { state.total = size; sheet.style.height = `${size * rowHeight}px`; state.last = -1; render(true); },
      reveal(index) {
        const top = index * rowHeight;
        if (top < box.scrollTop || top + rowHeight > box.scrollTop + box.clientHeight - 12)
          box.scrollTop = Math.max(0, top - box.clientHeight / 3);
        render(false);
      },
    };
  }

  // endregion
  // region Panes of code

  const panes = [];
  let panesMade = 0;

  // `lines` has one {text, set, number, form} for each line, `paint` colours a text.
  function codePane({ title, about, label, paint, chooser, relationOf }) {
    const id = `pane${panesMade++}`;
    const sheet = el("div", { class: "sheet" });
    const box = el("div", {
      class: "code", tabindex: 0, role: "listbox", "aria-label": label, "aria-multiselectable": false, id,
    }, sheet);
    const ticks = el("div", { class: "ticks", "aria-hidden": true });
    const note = span("soft", about || "");
    const root = el("div", { class: "card pane" },
      el("div", { class: "pane-head" }, el("h3", { text: title }), note, chooser || null),
      el("div", { class: "pane-body" }, box, ticks));
    const pane = { root, box, lines: [], current: -1, marked: new Set() };

    const strength = (line) => (pane.strengthOf ? pane.strengthOf(line) : strengthOfSet(line.set));
    function dress(node, k) {
      const line = pane.lines[k], near = strength(line);
      const classes = ["line", near === 2 ? "hit" : near === 1 ? "near" : "",
        k === pane.current ? "current" : "", pane.marked.has(line.number) ? "marked" : "",
        line.form ? `f-${line.form[0]}` : ""];
      node.className = classes.filter(Boolean).join(" ");
      node.setAttribute("aria-selected", String(k === pane.current));
      return node;
    }
    function draw(k) {
      const line = pane.lines[k], said = line.form ? line.form[1] : "";
      return dress(el("div", {
        id: `${id}-${k}`, "data-k": k, role: "option", "aria-setsize": pane.lines.length, "aria-posinset": k + 1, title: said || null,
      }, gutter(pane.termsOf ? pane.termsOf(line) : line.set < 0 ? [] : TERMS_OF_SET[line.set]),
      span("no", line.number === null ? "" : String(line.number)),
      pane.hasForms ? span("form", said) : null,
      el("span", {}, paint(line.text))), k);
    }
    const list = windowed(box, sheet, ROW, 0, draw);
    const thingAt = (k) => (k < 0 || !pane.lines[k] ? null : relationOf ? relationOf(pane.lines[k]) : ofSet(pane.lines[k].set));
    const lineOf = (event) => {
      const node = event.target.closest(".line");
      return node ? Number(node.dataset.k) : -1;
    };
    box.addEventListener("pointerover", (event) => look(thingAt(lineOf(event)), pane));
    box.addEventListener("pointerleave", () => look(null, pane));
    box.addEventListener("click", (event) => {
      const k = lineOf(event);
      if (k < 0 || String(window.getSelection())) return;
      pane.current = k;
      pin(thingAt(k), pane);
      revealElsewhere(pane);
    });
    box.addEventListener("keydown", (event) => {
      const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 2);
      const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
      if (event.key in moves) {
        event.preventDefault();
        pane.go(clamp(pane.current + moves[event.key], 0, pane.lines.length - 1));
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        pin(thingAt(pane.current), pane);
        revealElsewhere(pane);
      }
    });
    box.addEventListener("focus", () => { if (pane.current >= 0) look(thingAt(pane.current), pane); });
    box.addEventListener("blur", () => look(null, pane));
    pane.go = (k) => {
      pane.current = k;
      box.setAttribute("aria-activedescendant", `${id}-${k}`);
      list.reveal(k);
      look(thingAt(k), pane);
      list.repaint(dress);
      revealElsewhere(pane);
    };
    pane.show = (lines, tell) => {
      pane.lines = lines;
      pane.current = -1;
      if (tell !== undefined) pane.about = tell;
      note.textContent = pane.about || "";
      list.resize(lines.length);
      pane.mark();
    };
    pane.mark = () => {
      const strong = [];
      if (relation.strength)
        pane.lines.forEach((line, k) => { if (strength(line) === 2) strong.push(k); });
      note.textContent = strong.length ? `${strong.length} related` : pane.about || "";
      const height = box.clientHeight, step = Math.ceil(strong.length / 120) || 1;
      ticks.style.top = "0px";
      ticks.replaceChildren(...strong.filter((_, n) => n % step === 0).map((k) =>
        el("i", { style: { top: `${4 + ((height - 10) * k) / Math.max(1, pane.lines.length)}px` } })));
      pane.strong = strong;
      list.repaint(dress);
    };
    pane.reveal = () => {
      const strong = pane.strong || [];
      const first = Math.floor(box.scrollTop / ROW), last = first + Math.floor(box.clientHeight / ROW) - 1;
      if (strong.length && !strong.some((k) => k >= first && k <= last)) list.reveal(strong[0]);
    };
    pane.list = list;
    watchers.push(() => pane.mark());
    panes.push(pane);
    return pane;
  }
  function revealElsewhere(from) {
    for (const pane of panes) if (pane !== from && pane.box.clientHeight) pane.reveal();
  }

  function linesOf(stage) {
    const lines = stage.lines.map((text, k) => ({
      text: DATA.texts[text], set: stage.sets[k],
      number: k + 1 + (stage.left_out && k >= stage.cut ? stage.left_out : 0),
      form: stage.notes && stage.notes[k] >= 0 ? stage.said[stage.notes[k]] : null,
    }));
    if (stage.left_out)
      lines.splice(stage.cut, 0, { text: ` ... ${stage.left_out.toLocaleString("en")} more lines, which symir emit prints`, set: -1, number: null });
    return lines;
  }

  // endregion
  // region Sections

  const LEVELS = [
    ["sym", "sym", "the physics: terms, rows, emissions"],
    ["bt", "bt", "all rows at once, x' as writes"],
    ["stablehlo", "StableHLO", "the kernel"],
  ];
  const nameOfLevel = (level) => LEVELS.find((one) => one[0] === level)[1];
  const sections = [];
  function section(id, title, about, ...children) {
    const root = el("section", { id, "aria-labelledby": `${id}-title` },
      el("div", { class: "head" }, el("h2", { id: `${id}-title`, text: title }), about ? el("p", {}, about) : null),
      ...children);
    sections.push([id, title, root]);
    return root;
  }

  // The operator and its terms

  const SHOWN_TERMS = 6;

  function overview() {
    const tiles = [];
    const tile = (value, label) => tiles.push(el("div", { class: "tile" }, el("b", { text: String(value) }), span("", label)));
    if (DATA.sites) {
      tile(DATA.sites.toLocaleString("en"), "sites");
      tile(DATA.terms.length.toLocaleString("en"), DATA.terms.length === 1 ? "term" : "terms");
      tile(DATA.lanes.toLocaleString("en"), "branches of each x");
    }
    const ops = LEVELS.filter(([level]) => level in DATA.levels).map(([level]) => DATA.stages[DATA.levels[level]].ops.toLocaleString("en"));
    tile(ops.join(" \u2192 "), `ops, ${LEVELS.filter(([level]) => level in DATA.levels).map((one) => one[1]).join(" \u2192 ")}`);
    return el("section", { id: "overview" },
      el("div", { class: "hero" },
        el("div", {}, el("h1", {}, DATA.name.split(/(?<=_)/).flatMap((part) => [part, el("wbr")])), el("p", { text: DATA.headline })),
        el("div", { class: "tiles" }, tiles)),
      DATA.notes.length ? el("ul", { class: "notes" }, DATA.notes.map((one) => el("li", { text: one }))) : null,
      terms());
  }

  function watchTerm(node, term) {
    watchers.push(() => node.classList.toggle("hit", relation.terms.has(term)));
    node.addEventListener("pointerenter", () => look(ofTerm(term)));
    node.addEventListener("pointerleave", () => look(null));
  }
  function termButton(term, attributes) {
    const thing = ofTerm(term);
    return el("button", {
      type: "button", "aria-pressed": "false", ...attributes,
      onclick: () => { pin(thing); revealElsewhere(null); },
      onfocus: () => look(thing), onblur: () => look(null),
    });
  }

  function terms() {
    const grid = el("div", { class: "terms" });
    let shown = 0;
    const more = el("button", { class: "button", type: "button", onclick: () => grow(24) });
    function grow(by) {
      const until = Math.min(DATA.terms.length, shown + by);
      for (; shown < until; shown++) grid.append(termCard(shown));
      more.textContent = `Show more of ${DATA.terms.length.toLocaleString("en")} terms`;
      more.classList.toggle("hidden", shown >= DATA.terms.length);
    }
    grow(SHOWN_TERMS);
    return [grid, el("div", { style: { marginTop: "12px" } }, more)];
  }

  const column = (name) => (DATA.cost ? DATA.cost.columns.indexOf(name) : -1);
  const costOf = (term, name) => DATA.cost.rows[term][column(name)];
  const percent = (part) => `${part > 0 && part < 0.01 ? "< 1" : Math.round(100 * part)} %`;

  function bar(parts, total, label) {
    return el("div", { class: "track", role: "img", "aria-label": label }, parts.map(([size, background, className]) =>
      el("i", { class: className, style: { width: `${(100 * size) / (total || 1)}%`, background } })));
  }

  function termCard(k) {
    const term = DATA.terms[k], name = termButton(k, { text: term.name, title: term.name });
    const card = el("article", { class: "card term", style: { borderLeftColor: colour(k) } });
    const rows = el("button", { class: "link", type: "button", "aria-expanded": "false", text: "Show the rows" });
    rows.addEventListener("click", () => {
      const open = rows.getAttribute("aria-expanded") === "true";
      rows.setAttribute("aria-expanded", String(!open));
      rows.textContent = open ? "Show the rows" : "Hide the rows";
      if (open) { card.lastChild.remove(); return; }
      const table = rowTable(term);
      card.append(table.box);
      table.list.resize(term.rows.length);  // how many rows fit is known only in the document
    });
    const iterates = term.labels.length ? `${count(term.rows.length, "row")} of (${term.labels.join(", ")})` : "once";
    const live = liveLanes(k);
    const most = Math.max(...DATA.terms.map((one) => one.lanes));
    card.append(...[
      el("h3", {}, name, el("span", { text: `${iterates}${term.fanout === null ? "" : `, fanout ${term.fanout}`}` })),
      term.words.length ? formula(term.words) : null,
      el("div", { class: "meter" }, el("span", { text: "fanout" }),
        bar(live === null ? [[term.lanes, colour(k)]] : [[live, colour(k)], [term.lanes - live, `color-mix(in srgb, ${colour(k)} 28%, transparent)`]], most, `${term.lanes} branches`),
        el("span", { text: live === null ? count(term.lanes, "branch") : `${live % 1 ? live.toFixed(1) : live} of ${count(term.lanes, "branch")}`, title: "branches of the sample configurations that are not 0, on average" })),
      DATA.cost ? el("div", { class: "meter" }, el("span", { text: "cost" }),
        bar([[costOf(k, "share"), colour(k)]], 1, `${percent(costOf(k, "share"))} of the time`),
        el("span", { text: `${percent(costOf(k, "share"))} of the time` })) : null,
      term.labels.length ? rows : null,
    ].filter(Boolean));
    watchTerm(card, k);
    watchers.push(() => name.setAttribute("aria-pressed", String(Boolean(relation.pinned && relation.pinned.key === `t${k}`))));
    return card;
  }

  function formula(words) {
    return el("div", { class: "formula" }, words.flatMap((line, k) => {
      const parts = line.includes("= ") || line.includes("where") ? [el("b", { text: line })] : [line];
      return k ? ["\n", ...parts] : parts;
    }));
  }

  function rowTable(term) {
    const sheet = el("div", { class: "sheet" });
    const box = el("div", { class: "table-box", tabindex: 0, "aria-label": `rows of ${term.name}` }, sheet);
    const list = windowed(box, sheet, ROW, 0, (k) => el("div", { class: "line" }, span("no", String(k)),
      el("span", { text: term.rows[k].map((site, n) => `${term.labels[n]} = ${site}`).join("   ") })));
    return { box, list };
  }

  let liveCounts;
  function liveLanes(term) {
    if (!DATA.samples) return null;
    if (!liveCounts) {
      const { samples, lane_terms, numbers } = DATA.samples, zero = new Set(numbers.flatMap((text, n) => (Number(text) === 0 || /^-?0[+-]0j$/.test(text) ? [n] : [])));
      liveCounts = DATA.terms.map(() => 0);
      for (const sample of samples)
        sample.elements.forEach((element, lane) => {
          if (!zero.has(element) && lane_terms[lane] >= 0) liveCounts[lane_terms[lane]] += 1 / samples.length;
        });
    }
    return Math.round(10 * liveCounts[term]) / 10;
  }

  // The levels side by side

  let sourcePane = null;

  function levels() {
    const grid = el("div", { class: "panes types-off" });
    const toggles = el("div", { class: "row", role: "group", "aria-label": "what is shown" });
    const wide = window.innerWidth >= 1600;
    function toggle(label, pane, on) {
      const button = el("button", { class: "button", type: "button", text: label });
      const set = (value) => {
        button.setAttribute("aria-pressed", String(value));
        pane.root.classList.toggle("hidden", !value);
        if (value) pane.list.render();
      };
      pane.open = () => set(true);
      button.addEventListener("click", () => {
        set(button.getAttribute("aria-pressed") !== "true");
        panes.forEach((one) => one.mark());
      });
      set(on);
      toggles.append(button);
    }
    if (DATA.sources.some((one) => one.lines.length)) {
      sourcePane = source();
      grid.append(sourcePane.root);
      toggle("Source", sourcePane, wide);
    }
    for (const [level, title, about] of LEVELS) {
      if (!(level in DATA.levels)) continue;
      const numbers = DATA.stages.flatMap((stage, n) => (stage.level === level ? [n] : []));
      if (!numbers.includes(DATA.levels[level])) numbers.push(DATA.levels[level]);
      const chooser = el("select", { "aria-label": `stage of ${title}` }, numbers.map((n) =>
        el("option", { value: n, text: n ? `${n} ${DATA.stages[n].name}` : "as defined" })));
      const pane = codePane({ title, about, label: `the operator at ${title}`, paint: mlir, chooser });
      const show = (n) => pane.show(linesOf(DATA.stages[n]), about);
      chooser.value = DATA.levels[level];
      chooser.addEventListener("change", () => show(Number(chooser.value)));
      grid.append(pane.root);
      toggle(title, pane, true);
      pane.first = () => show(DATA.levels[level]);
    }
    const types = el("button", { class: "button", type: "button", text: "Types", "aria-pressed": "false" });
    types.addEventListener("click", () => types.setAttribute("aria-pressed", String(!grid.classList.toggle("types-off"))));
    toggles.append(types);
    const root = section("levels", "Levels", "Point at a line to see what became of it; click or press Enter to hold it.", toggles, el("div", { style: { height: "12px" } }), grid);
    root.ready = () => panes.forEach((pane) => pane.first && pane.first());
    return root;
  }

  function source() {
    const chooser = DATA.sources.length > 1 ? el("select", { "aria-label": "file" }, DATA.sources.map((one, n) =>
      el("option", { value: n, text: one.file.split("/").slice(-2).join("/") }))) : null;
    let file = 0;
    const pane = codePane({
      title: "Source", about: "", label: "your source", paint: python, chooser,
      relationOf: (line) => ofPlace(file, line.number),
    });
    const places = new Map();
    ORIGINS.forEach((origin, n) => {
      const key = `${origin[FILE]}:${origin[LINE]}`;
      places.set(key, [...(places.get(key) || []), n]);
    });
    const at = (line) => places.get(`${file}:${line.number}`) || [];
    pane.strengthOf = (line) => (relation.strength ? at(line).reduce((most, n) => Math.max(most, relation.strength[n]), 0) : 0);
    pane.termsOf = (line) => [...new Set(at(line).map((n) => ORIGINS[n][TERM]).filter((term) => term >= 0))];
    function show(n) {
      file = n;
      const { lines, first, file: name } = DATA.sources[n];
      const known = lines.length ? lines.map((text, k) => ({ text, set: -1, number: first + k }))
        : [{ text: "# this file is not there to be read", set: -1, number: null }];
      pane.marked = new Set(DATA.diagnostics.filter((one) => one.location && one.location[0] === name).map((one) => one.location[1]));
      pane.show(known, name.split("/").slice(-1)[0]);
      const places = ORIGINS.filter((origin) => origin[FILE] === n).map((origin) => origin[LINE]);
      if (places.length) pane.list.reveal(Math.max(0, Math.min(...places) - first - 2));
    }
    if (chooser) chooser.addEventListener("change", () => show(Number(chooser.value)));
    pane.first = () => show(file);
    pane.jump = (name, line) => {
      const n = DATA.sources.findIndex((one) => one.file === name);
      if (n < 0) return;
      pane.open();
      if (chooser) chooser.value = n;
      if (n !== file) show(n);
      panes.forEach((one) => one.mark());
      const k = line - DATA.sources[n].first;
      if (pane.lines[k]) pane.go(k);
      document.getElementById("levels").scrollIntoView();
      pane.box.focus({ preventScroll: true });
    };
    return pane;
  }

  function placeLink(place) {
    if (!place) return null;
    const label = `${place[0].split("/").slice(-2).join("/")}:${place[1]}`;
    return el("button", { class: "link mono", type: "button", text: label, title: place[0], onclick: () => sourcePane && sourcePane.jump(place[0], place[1]) });
  }

  // Passes and what they change

  const renumbered = (text) => text.replace(/%\d+/g, "%").replace(/(%[A-Za-z_]\w*?)_\d+\b/g, "$1");
  let bareNumbers;
  function bare(text) {
    if (!bareNumbers) {
      const known = new Map();
      bareNumbers = DATA.texts.map((one) => {
        const key = renumbered(one);
        if (!known.has(key)) known.set(key, known.size);
        return known.get(key);
      });
    }
    return bareNumbers[text];
  }

  // The shortest edit script after Myers, "An O(ND) difference algorithm", Algorithmica 1,
  // 251 (1986), up to a number of edits; lines that differ in value numbers only count
  // as the same, and are marked.
  const EDITS = 700;
  function difference(before, after) {
    const a = before.lines, b = after.lines, same = (i, j) => bare(a[i]) === bare(b[j]);
    let head = 0, tail = 0;
    while (head < a.length && head < b.length && same(head, head)) head++;
    while (tail < a.length - head && tail < b.length - head && same(a.length - 1 - tail, b.length - 1 - tail)) tail++;
    const n = a.length - head - tail, m = b.length - head - tail, edits = [];
    const trace = [];
    let found = false;
    const v = new Map([[1, 0]]);
    for (let d = 0; d <= Math.min(n + m, EDITS) && !found; d++) {
      trace.push(new Map(v));
      for (let k = -d; k <= d; k += 2) {
        let x = k === -d || (k !== d && (v.get(k - 1) ?? -1) < (v.get(k + 1) ?? -1)) ? v.get(k + 1) : v.get(k - 1) + 1;
        let y = x - k;
        while (x < n && y < m && same(head + x, head + y)) { x++; y++; }
        v.set(k, x);
        if (x >= n && y >= m) { found = true; break; }
      }
    }
    if (found) {
      let x = n, y = m;
      for (let d = trace.length - 1; d >= 0; d--) {
        const k = x - y, past = trace[d];
        const up = k === -d || (k !== d && (past.get(k - 1) ?? -1) < (past.get(k + 1) ?? -1));
        const from = up ? k + 1 : k - 1, px = d ? past.get(from) : 0, py = d ? px - from : 0;
        while (x > px && y > py) { x--; y--; edits.push([" ", head + x, head + y]); }
        if (d) edits.push(up ? ["+", -1, head + --y] : ["-", head + --x, -1]);
      }
      edits.reverse();
    } else {
      for (let i = 0; i < n; i++) edits.push(["-", head + i, -1]);
      for (let j = 0; j < m; j++) edits.push(["+", -1, head + j]);
    }
    const whole = [];
    for (let k = 0; k < head; k++) whole.push([" ", k, k]);
    whole.push(...edits);
    for (let k = tail; k > 0; k--) whole.push([" ", a.length - k, b.length - k]);
    return whole;
  }
  const differences = new Map();
  function changesOf(n) {
    if (!differences.has(n)) {
      const script = n ? difference(DATA.stages[n - 1], DATA.stages[n]) : [];
      const tally = (sign) => script.filter((one) => one[0] === sign).length;
      differences.set(n, { script, plus: tally("+"), minus: tally("-") });
    }
    return differences.get(n);
  }

  function passes() {
    const stages = DATA.stages, last = stages.length - 1;
    const range = el("input", { type: "range", min: 0, max: last, value: 0, id: "slider", "aria-label": "pass" });
    const info = el("div", { class: "pass-info", "aria-live": "polite" });
    const diff = el("div", { class: "diff", tabindex: 0, role: "region", "aria-label": "what the pass changed" });
    const list = el("div", { class: "pass-list", role: "group", "aria-label": "passes" });
    const buttons = [];
    let at = 0, whole = false;
    stages.forEach((stage, n) => {
      if (!n || stages[n - 1].level !== stage.level)
        list.append(el("div", { class: "pass-level", text: nameOfLevel(stage.level) }));
      const lines = stage.lines.length + stage.left_out;
      const what = n === 0 ? count(lines, "line") : stage.changed ? "" : "no change";
      const button = el("button", { class: `pass${stage.changed ? "" : " same"}`, type: "button", tabindex: -1, onclick: () => show(n) },
        span("no", String(n)), span("name", n ? stage.name : "as defined"), span("what", what));
      buttons.push(button);
      list.append(button);
    });
    const say = (n) => (n ? `${n} of ${last}: ${stages[n].name}` : "the operator as it was defined");
    function show(n) {
      at = n;
      range.value = n;
      range.setAttribute("aria-valuetext", say(n));
      buttons.forEach((button, k) => {
        button.classList.toggle("at", k === n);
        button.setAttribute("aria-current", k === n ? "step" : "false");
      });
      const box = list.getBoundingClientRect(), own = buttons[n].getBoundingClientRect();
      if (own.top < box.top || own.bottom > box.bottom) list.scrollTop += own.top - box.top - box.height / 2;
      info.replaceChildren(...passInfo(n));
      draw();
    }
    function passInfo(n) {
      const stage = stages[n], { plus, minus } = changesOf(n);
      const parts = [el("h3", { text: n ? stage.name : `${stage.level}, as defined` })];
      const facts = [];
      if (stage.relation) facts.push(`lanes: ${{ equal: "the same, in order", multiset: "the same, in any order", sum_per_target: "the same sum for each x'", expectation: "the same expectation" }[stage.relation] || stage.relation}`);
      facts.push(n ? `${stages[n - 1].ops} \u2192 ${stage.ops} ops` : count(stage.ops, "op"));
      if (stage.lanes !== null) facts.push(n && stages[n - 1].lanes !== null && stages[n - 1].lanes !== stage.lanes ? `${stages[n - 1].lanes} \u2192 ${stage.lanes} lanes` : count(stage.lanes, "lane"));
      if (stage.ms !== null) facts.push(`${stage.ms < 10 ? stage.ms.toFixed(1) : Math.round(stage.ms)} ms`);
      const row = el("div", { class: "facts-row num" }, facts.map((one) => span("", one)));
      if (n) row.append(el("span", {}, span("plus", `+${plus}`), " ", span("minus", `\u2212${minus}`), " lines"));
      parts.push(row);
      for (const one of stage.remarks) parts.push(remark(one));
      return parts;
    }
    function draw() {
      const stage = stages[at], before = stages[Math.max(0, at - 1)];
      const script = at && !whole ? changesOf(at).script : stage.lines.map((_, k) => [" ", k, k]);
      if (at && !whole && !script.some((one) => one[0] !== " ") ) {
        const moved = script.some((one) => before.lines[one[1]] !== stage.lines[one[2]]);
        diff.replaceChildren(el("p", { class: "empty", text: moved ? "Only the numbers of values changed." : "This pass found nothing to change here." }));
        return;
      }
      diff.replaceChildren(diffRows(script, before, stage, at === 0 || whole));
      markDiff();
    }
    const full = el("button", { class: "button", type: "button", text: "Whole text", "aria-pressed": "false" });
    full.addEventListener("click", () => {
      whole = !whole;
      full.setAttribute("aria-pressed", String(whole));
      draw();
    });
    const nextChange = el("button", { class: "button", type: "button", text: "Next change", onclick: () => {
      const n = stages.findIndex((stage, k) => k > at && stage.changed);
      show(n < 0 ? 0 : n);
    } });
    const step = (by, label) => el("button", { class: "button", type: "button", text: by < 0 ? "\u2190" : "\u2192", "aria-label": label, onclick: () => show(clamp(at + by, 0, last)) });
    range.addEventListener("input", () => show(Number(range.value)));
    diff.addEventListener("pointerover", (event) => {
      const node = event.target.closest(".line");
      look(node ? ofSet(Number(node.dataset.set)) : null);
    });
    diff.addEventListener("pointerleave", () => look(null));
    diff.addEventListener("click", (event) => {
      const node = event.target.closest(".line");
      if (node && !String(window.getSelection())) pin(ofSet(Number(node.dataset.set)));
    });
    function markDiff() {
      for (const node of diff.querySelectorAll(".line"))
        node.classList.toggle("hit", strengthOfSet(Number(node.dataset.set)) === 2);
    }
    watchers.push(markDiff);
    const root = section("passes", "Passes", "Drag, or use the arrow keys, to go from pass to pass.",
      el("div", { class: "card passes" }, list, el("div", { style: { minWidth: 0 } },
        el("div", { class: "slider" }, step(-1, "previous pass"), range, step(1, "next pass"), nextChange, full), info, diff)));
    root.ready = () => show(0);
    return root;
  }

  function remark(one) {
    return el("div", { class: `remark${one.done ? "" : " missed"}` }, `${one.message} `,
      one.place ? placeLink(one.place) : null, one.hint ? el("small", { text: one.hint }) : null);
  }

  const FOLDED = 7, DIFF_ROWS = 600;
  function diffRows(script, before, after, whole) {
    const body = el("div", { class: "diff-body" });
    function row([sign, i, j]) {
      const text = j >= 0 ? after.lines[j] : before.lines[i], set = j >= 0 ? after.sets[j] : before.sets[i];
      const name = { "+": "added", "-": "removed", " ": "kept" }[sign];
      const moved = sign === " " && i >= 0 && before.lines[i] !== text && !whole;
      return el("div", { class: `line ${name}`, "data-set": set, title: moved ? "only value numbers changed" : null },
        gutter(set < 0 ? [] : TERMS_OF_SET[set]),
        el("span", { class: "mark", text: sign === "-" ? "\u2212" : moved ? "~" : sign, "aria-label": sign === " " ? null : name }),
        el("span", {}, mlir(DATA.texts[text])));
    }
    function fold(entries) {
      const button = el("button", { class: "fold", type: "button", text: `${entries.length} unchanged lines` });
      button.addEventListener("click", () => button.replaceWith(...entries.slice(0, DIFF_ROWS).map(row)));
      return button;
    }
    function fill(start) {
      let k = start, drawn = 0;
      while (k < script.length && drawn < DIFF_ROWS) {
        let end = k;
        while (end < script.length && script[end][0] === " ") end++;
        const margin = whole ? Infinity : 3;
        if (end - k > FOLDED + margin) {
          const top = k === 0 ? 0 : 3, bottom = end === script.length ? 0 : 3;
          body.append(...script.slice(k, k + top).map(row), fold(script.slice(k + top, end - bottom)), ...script.slice(end - bottom, end).map(row));
          k = end;
          drawn += 7;
        } else {
          body.append(row(script[k++]));
          drawn++;
        }
      }
      if (k < script.length) {
        const more = el("button", { class: "fold", type: "button", text: `Show more of ${count(script.length - k, "line")}` });
        more.addEventListener("click", () => { more.remove(); fill(k); });
        body.append(more);
      }
    }
    fill(0);
    return body;
  }

  // Connections of sample configurations

  function connections() {
    const all = DATA.samples, two = DATA.local_values.length === 2;
    const high = Math.max(...DATA.local_values);
    const sign = (value) => (DATA.signs ? (value > 0 ? "\u2191" : "\u2193") : String(Number(Number(value).toPrecision(4))));
    const picture = svg("svg", { role: "img", "aria-label": "the lattice with a branch", preserveAspectRatio: "xMidYMid meet" });
    const states = el("div", { class: "states", "aria-live": "polite" });
    const sheet = el("div", { class: "sheet" });
    const box = el("div", { class: "lanes", tabindex: 0, role: "listbox", "aria-label": "branches", id: "lanes" }, sheet);
    const which = span("num", "");
    const filter = el("select", { "aria-label": "term of the branches" }, el("option", { value: -1, text: "all terms" }),
      DATA.terms.slice(0, 500).map((term, k) => el("option", { value: k, text: term.name })));
    const zeros = el("input", { type: "checkbox", id: "zeros" });
    const everything = el("button", { class: "button", type: "button", text: "All of the term", "aria-pressed": "false", title: "label all matrix elements of the term" });
    let number = 0, lanes = [], current = -1;
    const isZero = all.numbers.map((text) => Number(text) === 0 || /^-?0[+-]0j$/.test(text));
    const sample = () => all.samples[number];
    const element = (lane) => all.numbers[sample().elements[lane]];
    const changes = (lane) => sample().changes[lane] || [];
    const rowOf = (lane) => {
      const term = all.lane_terms[lane], row = all.lane_rows[lane];
      return term < 0 || row < 0 ? [] : DATA.terms[term].rows[row];
    };
    const tagOf = (lane) => {
      const term = all.lane_terms[lane], emission = all.lane_emissions[lane];
      if (term < 0) return "";
      const own = DATA.terms[term];
      if (emission < 0) return own.name;
      return `${own.name} ${own.tags[emission] || (own.tags.length > 1 ? emission : "")}`.trim();
    };
    const thing = (lane) => ofLane(all.lane_terms[lane], all.lane_emissions[lane]);

    function dress(node, k) {
      const lane = lanes[k], term = all.lane_terms[lane], own = DATA.terms[term];
      const set = own ? own.emission_origins[all.lane_emissions[lane]] ?? own.origins : -1;
      const classes = ["lane", lane === current ? "at" : "", strengthOfSet(set) === 2 ? "hit" : "", isZero[sample().elements[lane]] ? "zero" : ""];
      node.className = classes.filter(Boolean).join(" ");
      node.setAttribute("aria-selected", String(lane === current));
      return node;
    }
    function draw(k) {
      const lane = lanes[k], term = all.lane_terms[lane], moved = changes(lane);
      const row = rowOf(lane), labels = term < 0 ? [] : DATA.terms[term].labels, parts = [];
      for (let n = 0; n < moved.length && n < 6; n += 2)
        parts.push(`${moved[n]}: ${sign(sample().x[moved[n]])}\u2192${sign(moved[n + 1])}`);
      if (moved.length > 6) parts.push(`${moved.length / 2 - 3} more`);
      const cells = [String(lane), tagOf(lane), row.map((site, n) => `${labels[n]}=${site}`).join(" "), parts.join(", ") || "x\u2032 = x", element(lane)];
      return dress(el("div", {
        role: "option", id: `lane-${lane}`, "data-k": k, "aria-setsize": lanes.length, "aria-posinset": k + 1,
      }, el("i", { class: "dot", style: { background: colour(term) } }), cells.map((text) => el("span", { text, title: text }))), k);
    }
    const list = windowed(box, sheet, LANE, 0, draw);

    function choose() {
      const term = Number(filter.value);
      lanes = [];
      sample().elements.forEach((one, lane) => {
        if ((term < 0 || all.lane_terms[lane] === term) && (zeros.checked || !isZero[one])) lanes.push(lane);
      });
      which.textContent = `x ${number + 1} of ${all.samples.length}`;
      list.resize(lanes.length);
      const own = lanes.includes(current) ? current : lanes.find((lane) => changes(lane).length) ?? lanes[0] ?? -1;
      select(own, true);
    }
    function select(lane, seen) {
      current = lane;
      if (seen) list.reveal(lanes.indexOf(lane));
      list.repaint(dress);
      box.setAttribute("aria-activedescendant", `lane-${lane}`);
      paint();
    }
    function paint() {
      drawPicture();
      const x = sample().x, moved = new Map();
      for (let n = 0; n < changes(current).length; n += 2) moved.set(changes(current)[n], changes(current)[n + 1]);
      const shown = x.length <= 128 ? x.map((_, site) => site) : [];
      const gap = DATA.signs || DATA.local_values.every((v) => v >= 0 && v < 10) ? "" : " ";
      const text = (after) => shown.map((site) => el("span", { class: after && moved.has(site) ? "moved" : null, text: `${sign(after && moved.has(site) ? moved.get(site) : x[site])}${gap}` }));
      const line = (label, ...content) => el("div", {}, span("lab", label), el("span", {}, content));
      states.replaceChildren(...(shown.length ? [line("x", text(false)), line("x\u2032", current < 0 ? "" : text(true))] : []),
        line("\u27e8x|O|x\u2032\u27e9", current < 0 ? "no branch" : `${element(current)}   ${tagOf(current)}${rowOf(current).length ? `, row ${all.lane_rows[current]}` : ""}`));
    }

    // The picture: bonds, the term's rows, sites with their values, and elements
    const places = all.positions, size = places.length, many = size > 400;
    const extent = [0, 1].map((axis) => places.reduce(([a, b], one) => [Math.min(a, one[axis]), Math.max(b, one[axis])], [Infinity, -Infinity]));
    const center = [0, 1].map((axis) => (extent[axis][0] + extent[axis][1]) / 2);

    function viewBox(touched) {
      let [left, right] = extent[0], [top, bottom] = extent[1], margin = 0.95;
      if (many && touched.length) {
        const own = touched.map((site) => places[site]);
        left = Math.min(...own.map((one) => one[0])) - 5; right = Math.max(...own.map((one) => one[0])) + 5;
        top = Math.min(...own.map((one) => one[1])) - 4; bottom = Math.max(...own.map((one) => one[1])) + 4;
        margin = 0;
      }
      const least = 3.2, width = Math.max(least, right - left + 2 * (margin + widest)), height = Math.max(least, bottom - top + 2 * margin);
      return [(left + right - width) / 2, (top + bottom - height) / 2, width, height];
    }
    const longest = all.layout === "square" ? 2.3 : Infinity;
    const apart = (a, b) => all.copies > 1 && copyOf(a) !== copyOf(b);
    const width = all.copies > 1 ? (extent[0][1] - extent[0][0] + 2) / all.copies : 0;
    const copyOf = (site) => Math.round((places[site][0] - extent[0][0] - ((places[site][0] - extent[0][0]) % width)) / width);
    function bond([a, b], attributes) {
      if (apart(a, b)) {
        // Between copies of a lattice: only what is chosen, in an arc
        if (attributes.class !== "bond at") return [];
        const [x1, y1] = places[a], [x2, y2] = places[b];
        return [svg("path", { d: `M${x1} ${y1}Q${(x1 + x2) / 2} ${(y1 + y2) / 2 - 0.9} ${x2} ${y2}`, fill: "none", "stroke-dasharray": ".14 .12", ...attributes })];
      }
      const [x1, y1] = places[a], [x2, y2] = places[b], length = Math.hypot(x2 - x1, y2 - y1) || 1;
      if (length <= longest) return [svg("line", { x1, y1, x2, y2, ...attributes })];
      // Around the torus: a stub at both ends
      const reach = 0.42, dx = ((x2 - x1) / length) * reach, dy = ((y2 - y1) / length) * reach;
      return [svg("line", { x1, y1, x2: x1 - dx, y2: y1 - dy, ...attributes }), svg("line", { x1: x2, y1: y2, x2: x2 + dx, y2: y2 + dy, ...attributes })];
    }
    // Away from the other sites: out of a round lattice, above the sites of a flat one
    const round = ["ring", "circle", "graph"].includes(all.layout) || (all.layout === "chain" && size > 16);
    // What the longest labels need on both sides of the lattice
    const widest = all.numbers.reduce((most, text) => Math.max(most, widthOf(brief(text), true) - (round ? 0.5 : 1.2)), 0);
    function away(site, distance) {
      const [px, py] = places[site];
      if (!round) return [px, py - distance];
      const dx = px - center[0], dy = py - center[1], far = Math.hypot(dx, dy);
      return far < 1e-6 ? [px, py - distance] : [px + (distance * dx) / far, py + (distance * dy) / far];
    }
    // A picture has room for four digits; the list has all of them
    function brief(text) {
      const parts = /^(-?[\d.]+(?:e[+-]\d+)?)(?:([+-])([\d.]+(?:e[+-]\d+)?)j)?$/.exec(text);
      if (!parts) return text.length > 14 ? `${text.slice(0, 13)}\u2026` : text;
      const rounded = (one, digits) => String(Number(Number(one).toPrecision(digits)));
      return parts[3] === undefined ? rounded(parts[1], 4) : `${rounded(parts[1], 3)}${parts[2]}${rounded(parts[3], 3)}j`;
    }
    // Where the label of a row belongs: amid its sites, or away from the only one
    function labelPlace(row) {
      if (!row.length) return [center[0], center[1]];
      if (row.every((site) => site === row[0])) {
        if (round) return away(row[0], 0.58);
        return [places[row[0]][0] + 0.1, places[row[0]][1] + 0.47];
      }
      const own = row.map((site) => places[site]);
      const [x1, y1] = own[0], between = apart(row[0], row[row.length - 1]);
      if (between) return [own.reduce((sum, one) => sum + one[0], 0) / own.length, own.reduce((sum, one) => sum + one[1], 0) / own.length - 0.45];
      const far = own.length === 2 && Math.hypot(own[1][0] - x1, own[1][1] - y1) > longest;
      if (far) { const length = Math.hypot(own[1][0] - x1, own[1][1] - y1); return [x1 - (0.5 * (own[1][0] - x1)) / length, y1 - (0.5 * (own[1][1] - y1)) / length]; }
      return [0, 1].map((axis) => own.reduce((sum, one) => sum + one[axis], 0) / own.length);
    }
    function widthOf(text, at) { return 0.14 + text.length * (at ? 0.152 : 0.122); }
    const distance = ([a, b]) => Math.hypot(places[b][0] - places[a][0], places[b][1] - places[a][1]);
    // The direction of what stands beside a row: outwards, or across its bond
    function beside(row, cx, cy) {
      const outside = Math.hypot(cx - center[0], cy - center[1]);
      if (round && outside > 0.1) return [(cx - center[0]) / outside, (cy - center[1]) / outside];
      const length = row.length === 2 ? distance(row) : 0;
      if (!length) return [0, 1];
      return [1, 0].map((axis) => Math.abs(places[row[1]][axis] - places[row[0]][axis]) / length);
    }
    function label(row, text, term, at, drawn) {
      let [cx, cy] = labelPlace(row);
      const short = brief(text), height = at ? 0.34 : 0.27, width = widthOf(short, at);
      const [ux, uy] = beside(row, cx, cy);
      if (at && row.length === 2 && !apart(row[0], row[1])) {
        // Beside the bond, where there is room
        const far = round ? 0.3 + 0.2 * Math.abs(uy) + 0.5 * width * Math.abs(ux) : 0.32 + 0.13 * Math.abs(uy);
        if (round || distance(row) <= longest) { cx += far * ux; cy += far * uy; }
      } else if (row.length === 2 && Math.abs(uy) > 0.8 && width > 0.55) {
        // It would cover the sites
        cx += 0.4 * ux; cy += 0.4 * uy;
      }
      // Several branches of one bond stand side by side
      const place = `${cx.toFixed(2)} ${cy.toFixed(2)}`, others = drawn.get(place) || 0;
      drawn.set(place, others + 1);
      const step = others * (0.28 * Math.abs(uy) + (width + 0.03) * Math.abs(ux));
      cx += step * ux; cy += step * uy;
      return svg("g", {}, svg("rect", { class: at ? "pill at" : "pill", x: cx - width / 2, y: cy - height / 2, width, height, rx: height / 2, style: at ? { stroke: colour(term) } : {} }),
        svg("text", { class: at ? "element at" : "element", x: cx, y: cy + 0.01, text: short, style: { fill: colour(term) } }));
    }
    function drawPicture() {
      const term = current < 0 ? -1 : all.lane_terms[current], row = current < 0 ? [] : rowOf(current);
      const moved = new Map(), list = current < 0 ? [] : changes(current);
      for (let n = 0; n < list.length; n += 2) moved.set(list[n], list[n + 1]);
      const touched = [...new Set([...row, ...moved.keys()])].slice(0, 64), view = viewBox(touched);
      const inside = ([px, py]) => px > view[0] - 1 && px < view[0] + view[2] + 1 && py > view[1] - 1 && py < view[1] + view[3] + 1;
      picture.setAttribute("viewBox", view.join(" "));
      const sites = places.flatMap((place, site) => (!many || inside(place) ? [site] : [])).slice(0, 900);
      const shown = new Set(sites);
      const drawn = [];
      all.bonds.filter(([a, b]) => shown.has(a) && shown.has(b)).slice(0, 4000).forEach((one) => drawn.push(...bond(one, { class: "bond" })));
      const faint = [...relation.terms];
      for (const k of faint.slice(0, 8)) {
        const rows = DATA.terms[k].rows;
        for (let n = 0, done = 0; n < rows.length && done < 1500; n++) {
          if (rows[n].length < 2 || !rows[n].every((site) => shown.has(site))) continue;
          done++;
          for (let m = 1; m < Math.min(rows[n].length, 9); m++)
            drawn.push(...bond([rows[n][m - 1], rows[n][m]], { class: "bond of-term", style: { stroke: colour(k) } }));
        }
      }
      for (let m = 1; m < Math.min(row.length, 12); m++)
        if (row[m] !== row[m - 1]) drawn.push(...bond([row[m - 1], row[m]], { class: "bond at", style: { stroke: colour(term) } }));
      const x = sample().x, dense = size > 150 && !many, names = !dense;
      for (const site of sites) {
        const [cx, cy] = places[site], up = two && x[site] === high;
        drawn.push(svg("circle", { class: `site${up ? " up" : ""}`, cx, cy, r: 0.24 }));
        if (!dense) drawn.push(svg("text", { class: "value", x: cx, y: cy, text: sign(x[site]) }));
        if (names) {
          const [nx, ny] = round ? away(site, -0.4) : [cx - 0.3, cy - 0.28];
          drawn.push(svg("text", { class: "where", x: nx, y: ny, text: String(site) }));
        }
      }
      for (const site of touched) {
        const [cx, cy] = places[site];
        if (shown.has(site) && !moved.has(site)) drawn.push(svg("circle", { class: "ring", cx, cy, r: 0.33, style: { stroke: colour(term) } }));
      }
      const labels = new Map();
      if (everything.getAttribute("aria-pressed") === "true" && term >= 0)
        lanes.filter((lane) => all.lane_terms[lane] === term && lane !== current).slice(0, 200).forEach((lane) => {
          const own = rowOf(lane);
          if (own.every((site) => shown.has(site))) drawn.push(label(own, element(lane), term, false, labels));
        });
      for (const [site, value] of moved) {
        if (!shown.has(site)) continue;
        const [cx, cy] = places[site], text = `${sign(x[site])}\u2192${sign(value)}`, width = 0.2 + 0.16 * text.length;
        drawn.push(svg("rect", { class: "turned", x: cx - width / 2, y: cy - 0.24, width, height: 0.48, rx: 0.24, style: { fill: colour(term) } }),
          svg("text", { class: "turn", x: cx, y: cy, text }));
      }
      if (current >= 0) drawn.push(label(row.length ? row : [...moved.keys()], element(current), term, true, labels));
      picture.replaceChildren(...drawn);
    }

    box.addEventListener("click", (event) => {
      const node = event.target.closest(".lane");
      if (!node) return;
      select(lanes[Number(node.dataset.k)]);
      pin(thing(current));
      revealElsewhere(null);
    });
    box.addEventListener("pointerover", (event) => {
      const node = event.target.closest(".lane");
      look(node ? thing(lanes[Number(node.dataset.k)]) : null);
    });
    box.addEventListener("pointerleave", () => look(null));
    box.addEventListener("keydown", (event) => {
      const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
      if (!(event.key in moves) || !lanes.length) return;
      event.preventDefault();
      const k = clamp(lanes.indexOf(current) + moves[event.key], 0, lanes.length - 1);
      select(lanes[k], true);
      look(thing(current));
    });
    box.addEventListener("blur", () => look(null));
    let before = "";
    watchers.push(() => {
      list.repaint(dress);
      const now = [...relation.terms].join();
      if (now !== before) { before = now; drawPicture(); }
    });
    const turn = (by, text) => el("button", { class: "button", type: "button", text: by < 0 ? "\u2190" : "\u2192", "aria-label": text, onclick: () => { number = (number + by + all.samples.length) % all.samples.length; choose(); } });
    filter.addEventListener("change", choose);
    zeros.addEventListener("change", choose);
    everything.addEventListener("click", () => { everything.setAttribute("aria-pressed", String(everything.getAttribute("aria-pressed") !== "true")); drawPicture(); });
    const root = section("connections", "Connections", "Which x\u2032 a configuration leads to: choose a branch to see the sites that it touches.",
      el("div", { class: "card connect" },
        el("div", { class: "picture" }, el("div", { class: "lanes-head" }, turn(-1, "previous configuration"), which, turn(1, "next configuration"), span("grow", ""), everything), picture, states),
        el("div", {}, el("div", { class: "lanes-head" }, filter, el("label", { class: "row soft", for: "zeros" }, zeros, "with elements that are 0"), span("grow", "")),
          el("div", { class: "lanes-cols", "aria-hidden": true }, ["", "lane", "term", "row", "change", "\u27e8x|O|x\u2032\u27e9"].map((one) => span("", one))), box)));
    if (size <= 40) everything.setAttribute("aria-pressed", "true");
    root.style.setProperty("--elements", `${all.numbers.reduce((most, text) => Math.max(most, 7.7 * text.length), 64)}px`);
    root.ready = choose;
    return root;
  }

  // Cost

  function cost() {
    const { columns, rows, totals } = DATA.cost, kinds = ["flops", "selects", "bytes_read", "bytes_written"];
    const names = ["operations", "selects", "bytes read", "bytes written"];
    const sum = kinds.reduce((all, kind) => all + totals[kind], 0) || 1;
    const order = rows.map((_, k) => k).sort((a, b) => costOf(b, "share") - costOf(a, "share"));
    const body = el("tbody");
    let shown = 0;
    const most = Math.max(...rows.map((_, k) => kinds.reduce((all, kind) => all + costOf(k, kind), 0)), 1);
    const more = el("button", { class: "button", type: "button", text: "Show more", onclick: () => grow(50) });
    function grow(by) {
      const until = Math.min(order.length, shown + by);
      for (; shown < until; shown++) {
        const k = order[shown], parts = kinds.map((kind) => costOf(k, kind));
        const before = costOf(k, "lanes_before"), after = costOf(k, "lanes_after");
        const row = el("tr", {},
          el("td", {}, el("div", { class: "row" }, el("i", { class: "dot", style: { background: colour(k) } }), DATA.terms[k].name)),
          el("td", {}, bar(parts.map((size, n) => [size, "", `c${n}`]), most, parts.map((size, n) => `${Math.round(size)} ${names[n]}`).join(", "))),
          el("td", { class: "n", text: percent(costOf(k, "share")) }),
          ...parts.map((size) => el("td", { class: "n", text: Math.round(size).toLocaleString("en") })),
          el("td", { class: "n", text: before === after ? before.toLocaleString("en") : `${before} \u2192 ${after}` }),
          el("td", { class: "n", text: costOf(k, "writes") }));
        watchTerm(row, k);
        body.append(row);
      }
      more.classList.toggle("hidden", shown >= order.length);
    }
    grow(16);
    const heads = ["term", "", "time", ...names, "lanes", "writes"];
    return section("cost", "Cost", "Predicted per sample from the branch tensors: it compares terms, and is no time.",
      el("div", { class: "legend", style: { marginBottom: "10px" } }, names.map((name, n) => el("span", {}, el("i", { class: `c${n}` }), `${name}, ${percent(totals[kinds[n]] / sum)}`))),
      el("div", { class: "card scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((one, n) => el("th", { class: n > 1 ? "n" : null, text: one, scope: "col" })))), body)),
      el("div", { style: { marginTop: "10px" } }, more));
  }

  // Local energy

  const RUNGS = [["declared", "a declared delta"], ["exponential", "sums of scalar functions"], ["bilinear", "sums of products"], ["linear", "linear"], ["rational", "sums of tanh"], ["cone", "where changes reach"], ["lifted", "first layer once"], ["network", "whole network"]];
  const RUNG_WORDS = {
    declared: "The change of log psi is computed as it was declared: nothing is evaluated at x\u2032.",
    exponential: "A sum of scalar functions of something linear in x: tables of differences, nothing is evaluated at x\u2032.",
    linear: "Linear in x: one number for each branch, nothing is evaluated at x\u2032.",
    bilinear: "A sum of products of two values that are linear in x: it changes by a few products, nothing is evaluated at x\u2032.",
    rational: "A weighted sum of tanh of something linear in x: it changes by fractions, nothing is evaluated at x\u2032.",
    cone: "Its layers change at the positions that a change of x reaches: they are evaluated there alone.",
    lifted: "Its beginning is computed once for each x and updated; what is behind it is evaluated for each live branch.",
    network: "It was kept whole, and is evaluated for each live branch.",
  };
  function energy() {
    const one = DATA.energy, before = one.evaluations_before, after = one.evaluations_after;
    const flow = el("div", { class: "flow" }, one.parts.map((part) => el("article", { class: "part" },
      el("h3", { class: "mono", text: `@${part.name}` }),
      el("div", { class: "rungs", role: "img", "aria-label": part.rung }, RUNGS.map(([rung, label]) =>
        el("span", { class: rung === part.rung ? `at${rung === "network" ? " slow" : ""}` : null, text: rung, title: label }))),
      el("p", { text: RUNG_WORDS[part.rung] || "" }),
      el("p", { class: "num", text: `${part.activation ? `${part.activation} of ${count(part.units, "unit")}; ` : ""}${part.flops.toLocaleString("en")} operations and ${part.bytes.toLocaleString("en")} bytes for each branch` }))));
    const said = el("div", { class: "said" });
    for (const miss of one.misses) said.append(el("div", { class: "remark missed", text: miss }));
    for (const pass of one.passes) {
      said.append(el("h3", { text: pass.name }));
      for (const [message, hint] of pass.done) said.append(remark({ done: true, message, hint }));
      for (const [message, hint] of pass.missed) said.append(remark({ done: false, message, hint }));
    }
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    const plan = Object.entries(one.plan).map(([name, value]) => `${value.toLocaleString("en")} ${name}`).join(", ");
    return section("energy", "Local energy", "The operator and the wavefunction, compiled together: which part of the network was lifted, packed or kept.",
      el("div", { class: "card energy" },
        el("div", { class: "tiles" },
          el("div", { class: "tile" }, el("b", { text: `${before} \u2192 ${after}` }), span("", "network evaluations for each x")),
          el("div", { class: "tile" }, el("b", { text: one.lanes.toLocaleString("en") }), span("", one.live === "all" ? "branches, always live" : "branches, the live ones are packed")),
          el("div", { class: "tile" }, el("b", { text: megabytes(one.predicted_bytes) }), span("", one.measured_bytes === null ? "of memory, predicted" : `of memory predicted, ${megabytes(one.measured_bytes)} measured`))),
        el("div", { class: "before-after" },
          span("soft", "padded"), bar([[before, "var(--strong-line)"]], before, `${before} evaluations`), span("num", String(before)),
          span("soft", "compiled"), bar([[after, "var(--good)"]], before, `${after} evaluations`), span("num", String(after))),
        flow,
        el("p", { class: "soft", style: { marginTop: "16px", fontSize: "13px" }, text: `At once: ${plan}.` }), said));
  }

  // Forms: what a change of x makes of each value of the network

  const LOSSES = 24;
  function forms() {
    const own = DATA.forms, lines = linesOf(own);
    const pane = codePane({ title: "log psi", label: "the wavefunction and its forms", paint: mlir });
    pane.hasForms = true;
    const lost = lines.flatMap((line, k) => (line.form && line.form[2] ? [k] : []));
    pane.marked = new Set(lost.map((k) => lines[k].number));
    const there = new Set(own.said.map(([kind]) => kind));
    const legend = el("div", { class: "legend forms-legend" }, Object.entries(own.kinds).filter(([kind]) => there.has(kind)).map(([kind, words]) =>
      el("span", { class: `f-${kind}` }, el("i"), el("b", { text: kind }), ` ${words}`)));
    const losses = lost.slice(0, LOSSES).map((k) => {
      const go = () => { pane.go(k); pane.box.focus({ preventScroll: true }); };
      return el("div", { class: "remark missed" }, el("button", { class: "link", type: "button", text: `line ${lines[k].number}`, onclick: go }), ` ${lines[k].form[1]}`);
    });
    if (lost.length > LOSSES) losses.push(span("soft", `and ${count(lost.length - LOSSES, "more line")}`));
    const root = section("forms", "Forms", "What a change of x makes of each value of the network; a dot marks where a form is lost.",
      legend, el("div", { class: "types-off" }, pane.root), losses.length ? el("div", { class: "losses" }, losses) : null);
    root.ready = () => pane.show(lines, "before it is taken apart");
    return root;
  }

  // Facts and diagnostics

  function facts() {
    const found = DATA.facts, left = el("div", { class: "card" }), right = el("div", { class: "card" });
    if (found) {
      for (const one of found.facts) {
        const [word, name] = one.value === null ? ["unknown", "open"] : one.value ? ["yes", "yes"] : ["no", "no-fact"];
        left.append(el("div", { class: "fact" }, span("", one.name), span(name, word), el("span", { text: one.reason }, one.example ? el("small", { text: one.example }) : null)));
      }
      for (const [name, value] of Object.entries(found.numbers)) left.append(el("div", { class: "fact" }, span("", name), span("", ""), span("", value)));
    } else left.append(el("p", { class: "empty", text: "What holds for this operator is not known." }));
    if (!DATA.diagnostics.length) right.append(el("p", { class: "empty", text: "Nothing is questionable about this operator." }));
    for (const one of DATA.diagnostics) {
      const about = [one.term, one.emission].filter(Boolean).join("/");
      right.append(el("div", { class: "finding" },
        el("div", { class: "row" }, span(`badge ${one.severity}`, `${one.severity} ${one.code}`), about ? span("soft", about) : null, span("grow", ""), placeLink(one.location)),
        el("p", { text: one.message }), one.found ? el("small", { text: one.found }) : null, one.hint ? el("small", { text: one.hint }) : null));
    }
    return section("facts", "Facts and diagnostics", "What holds and how that is known; what is questionable and where you wrote it.", el("div", { class: "two" }, left, right));
  }

  // endregion
  // region The page

  function theme() {
    const root = document.documentElement, dark = window.matchMedia("(prefers-color-scheme: dark)");
    const button = el("button", { class: "button", type: "button", id: "theme" });
    const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
    const tell = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", isDark() ? "switch to light colours" : "switch to dark colours");
    };
    try { const kept = localStorage.getItem("symir-theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch { /* storage may be refused */ }
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("symir-theme", root.dataset.theme); } catch { /* as above */ }
      tell();
    });
    dark.addEventListener("change", tell);
    tell();
    return button;
  }

  const CHIPS = 24;
  function chips() {
    if (!DATA.terms.length) return null;
    const row = el("div", { class: "bar chips", role: "group", "aria-label": "terms" });
    DATA.terms.slice(0, CHIPS).forEach((term, k) => {
      const chip = termButton(k, { class: "chip", title: term.name });
      chip.append(el("i", { class: "dot", style: { background: colour(k) } }), span("", term.name));
      watchTerm(chip, k);
      watchers.push(() => chip.setAttribute("aria-pressed", String(Boolean(relation.pinned && relation.pinned.key === `t${k}`))));
      row.append(chip);
    });
    const rest = DATA.terms.length - CHIPS;
    if (rest > 0) row.append(span("hint", `and ${rest.toLocaleString("en")} more`));
    const held = el("button", { class: "link hidden", type: "button", text: "Release (Esc)", onclick: unpin });
    watchers.push(() => held.classList.toggle("hidden", !relation.pinned));
    row.append(held);
    return row;
  }

  function page() {
    const own = [overview(), levels(), passes()];
    if (DATA.samples) own.push(connections());
    if (DATA.cost) own.push(cost());
    if (DATA.energy) own.push(energy());
    if (DATA.forms) own.push(forms());
    if (DATA.facts || DATA.diagnostics.length) own.push(facts());
    const links = new Map();
    const nav = el("nav", { "aria-label": "sections" }, sections.map(([id, title]) => {
      links.set(id, el("a", { href: `#${id}`, text: title }));
      return links.get(id);
    }));
    document.getElementById("app").append(
      el("header", { class: "top" },
        el("div", { class: "bar first" }, el("a", { class: "brand", href: "#overview" }, "symir ", el("span", { text: "explorer" })), nav, theme()),
        chips()),
      el("main", { id: "main" }, own),
      el("footer", { class: "bar" }, "Arrow keys move in a pane, ", el("kbd", { text: "Enter" }), " holds what is highlighted, ", el("kbd", { text: "Esc" }), " lets go."));
    for (const one of own) if (one.ready) one.ready();
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") unpin(); });
    if (window.IntersectionObserver) {
      const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
        if (!entry.isIntersecting) return;
        links.forEach((link, id) => link.setAttribute("aria-current", String(id === entry.target.id)));
      }), { rootMargin: "-30% 0px -60% 0px" });
      sections.forEach(([, , root]) => seen.observe(root));
    }
  }

  function trouble() {
    document.getElementById("app").append(el("main", { class: "card trouble" }, el("h1", { text: DATA.name }), el("pre", { text: DATA.error })));
  }

  // Served pages: load again once the file has changed
  function follow(token) {
    setInterval(() => {
      fetch("/token", { cache: "no-store" }).then((answer) => answer.text()).then((now) => {
        if (now !== token) location.reload();
      }).catch(() => { /* the server has gone */ });
    }, 1000);
  }

  if (DATA.error) trouble(); else page();
  if (DATA.live) follow(DATA.live);
  // endregion
})();
