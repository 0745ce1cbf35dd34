// The chain of picture effects: cards with controls made from each effect's schema.
const SHOWN_AT_ONCE = 3;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export class Chain {
  constructor(root, empty, add, schemas, control) {
    this.root = root;
    this.empty = empty;
    this.control = control;
    this.schemas = new Map(schemas.map((schema) => [schema.name, schema]));
    this.effects = []; // as the server has them, or as it was last asked to
    this.asked = 0; // how often the chain was sent; the server's state says which it has seen
    this.cards = new Map();
    this.add = add;
    add.append(...schemas.map(({ name, title, summary }) => new Option(title, name, false, false)));
    add.onchange = () => {
      if (add.value) this.send([...this.effects, { effect: add.value, settings: {}, key: null, on: true }]);
      add.value = "";
    };
  }

  // Shown at once, as waiting: the next press builds on it, not on what the server still has.
  send(effects) {
    this.effects = effects;
    this.asked++;
    this.rebuild();
    const wanted = effects.map(({ effect, settings, key, on }) => ({ effect, settings, kept: key, on }));
    this.control.send({ type: "set_effects", effects: wanted, tag: this.asked });
  }

  // A preset was asked for, which brings a chain: until it is there nothing can be built on. The tag
  // for its message.
  expect() {
    this.asked++;
    this.root.classList.add("waiting");
    this.root.inert = this.add.disabled = true;
    return this.asked;
  }

  // From the server: what is so. Not yet what was asked for last? Then that stays on the page. Cards
  // are made anew only when the chain is another.
  show(effects, tag) {
    if (tag < this.asked) return;
    const waiting = this.root.classList.contains("waiting");
    const same = !waiting && effects.map(({ key }) => key).join() === this.effects.map(({ key }) => key).join();
    this.effects = effects;
    if (!same) this.rebuild();
    this.root.classList.remove("waiting");
    this.root.inert = this.add.disabled = false;
    for (const { key, settings, on } of effects) this.cards.get(key).show(settings, on);
  }

  rebuild() {
    this.root.classList.add("waiting");
    this.empty.hidden = this.effects.length > 0;
    const cards = this.effects.map((effect, i) => [effect.key ?? `new ${i}`, this.card(effect, i)]);
    this.cards = new Map(cards);
    this.root.replaceChildren(...cards.map(([, { node }]) => node));
    this.effects.forEach(({ settings, on }, i) => cards[i][1].show(settings, on));
  }

  tiers(figures) {
    for (const { key, tier, tiers, error, run_ms } of figures) {
      const card = this.cards.get(key);
      if (!card) continue;
      card.badge.textContent = error ? "failed" : `${tier} · ${run_ms.toFixed(1)} ms`;
      card.badge.className = `badge ${error ? "failed" : tiers.indexOf(tier) > 0 ? "lowered" : ""}`;
      card.badge.title = error || `quality ${tier}; there is ${tiers.join(", ")}`;
    }
  }

  card(effect, i) {
    const schema = this.schemas.get(effect.effect) || { title: effect.name || effect.effect, summary: "", settings: [] };
    const badge = element("span", { className: "badge" });
    const controls = schema.settings.map((field) => this.field(i, field));
    const node = element("div", { className: "effect" });
    node.dataset.effect = effect.effect;
    const tools = element("div", { className: "tools" });
    const light = this.tool("◉", "", () => this.toggle(i));
    tools.append(light);
    if (i > 0) tools.append(this.tool("↑", `Move ${schema.title} up`, () => this.move(i)));
    tools.append(this.tool("✕", `Remove ${schema.title}`, () => this.send(this.effects.filter((_, k) => k !== i))));
    node.append(
      element("div", { className: "row" }, element("div", {}, element("span", { className: "name", textContent: schema.title }), badge), tools),
      element("p", { className: "fine", textContent: schema.summary }),
      ...controls.slice(0, SHOWN_AT_ONCE).map(({ node: row }) => row),
    );
    if (controls.length > SHOWN_AT_ONCE) {
      const more = element("details", { className: "more" }, element("summary", { textContent: "More settings" }));
      more.append(...controls.slice(SHOWN_AT_ONCE).map(({ node: row }) => row));
      node.append(more);
    }
    const show = (settings, on) => {
      controls.forEach(({ name, show: put }) => name in settings && put(settings[name]));
      light.setAttribute("aria-pressed", String(on));
      light.title = on ? `Switch ${schema.title} off` : `Switch ${schema.title} on`;
      light.setAttribute("aria-label", light.title);
      node.classList.toggle("off", !on);
      if (!on) badge.textContent = "off";
      if (!on) badge.className = "badge";
    };
    return { node, badge, show };
  }

  tool(text, label, act) {
    const button = element("button", { type: "button", textContent: text, title: label, onclick: act });
    button.setAttribute("aria-label", label);
    return button;
  }

  // Off it keeps its place and its settings.
  toggle(i) {
    this.send(this.effects.map((one, k) => (k === i ? { ...one, on: !one.on } : one)));
  }

  move(i) {
    const effects = [...this.effects];
    [effects[i - 1], effects[i]] = [effects[i], effects[i - 1]];
    this.send(effects);
  }

  // What takes effect on opening needs the chain anew; all else changes from frame to frame.
  change(i, { name, reopen }, value) {
    const effect = this.effects[i];
    effect.settings = { ...effect.settings, [name]: value };
    if (reopen || effect.key === null) this.send(this.effects);
    else this.control.sendSoon(`${effect.key} ${name}`, { type: "change_effect", key: effect.key, settings: { [name]: value } });
  }

  field(i, field) {
    const { name, title, description = "" } = field;
    const change = (value) => this.change(i, field, value);
    const { input, output, show } =
      field.type === "boolean" ? toggle(change) : field.enum ? choice(field.enum, change) : "minimum" in field ? slider(field, change) : text(change);
    input.setAttribute("aria-label", title);
    const node = element("label", { className: "control", title: description }, element("span", { textContent: title }), input);
    if (output) node.append(output);
    return { name, node, show };
  }
}

function slider({ type, minimum, maximum }, change) {
  const whole = type === "integer";
  const input = element("input", { type: "range", min: minimum, max: maximum, step: whole ? 1 : (maximum - minimum) / 200 });
  const output = element("output");
  const text = (value) => (whole ? String(value) : Number(value).toFixed(2));
  let held = false; // while a hand is on it, the server's echo must not move it
  input.oninput = () => {
    held = true;
    output.textContent = text(input.value);
    change(whole ? Math.round(input.value) : Number(input.value));
  };
  input.onchange = () => setTimeout(() => (held = false), 400);
  const show = (value) => {
    if (held) return;
    input.value = value;
    output.textContent = text(value);
  };
  return { input, output, show };
}

function toggle(change) {
  const input = element("input", { type: "checkbox" });
  input.onchange = () => change(input.checked);
  return { input, show: (value) => (input.checked = value) };
}

function choice(values, change) {
  const input = element("select", {}, ...values.map((value) => new Option(value)));
  input.onchange = () => change(values[input.selectedIndex]);
  return { input, show: (value) => (input.value = value) };
}

function text(change) {
  const input = element("input", { type: "text", maxLength: 200 });
  input.onchange = () => change(input.value);
  return { input, show: (value) => (input.value = value ?? "") };
}
