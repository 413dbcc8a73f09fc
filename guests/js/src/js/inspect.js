// How values look in the log: as people know it from Node, without colours.
//
// Owns: `internals.inspect` and `internals.format`. Never: writes anything.
(native, internals) => {
  const LINE = 76; // Characters that an object may take on one line.
  const SHORT = 6; // Elements from which arrays of plain values are filled into lines.
  const MAX_ITEMS = 100;
  const DEFAULT_DEPTH = 2;
  const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
  const TypedArray = Object.getPrototypeOf(Uint8Array);
  const typedName = Object.getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag).get;

  const inspect = (value, options = {}) => {
    const state = { depth: options.depth ?? DEFAULT_DEPTH, path: [], circular: new Map() };
    if (options.depth === null) state.depth = Infinity;
    return any(value, state, 0);
  };

  const any = (value, state, level) => {
    switch (typeof value) {
      case "string": return quote(value);
      case "number": return Object.is(value, -0) ? "-0" : String(value);
      case "bigint": return `${value}n`;
      case "function":
      case "object": return value === null ? "null" : object(value, state, level);
      default: return String(value); // undefined, boolean, symbol
    }
  };

  const quote = (text) => {
    const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes("`") ? "`" : "'";
    const escaped = text.replace(/[\\\n\r\t\b\f\v\0-\x1f\x7f]/g, escape);
    return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
  };

  const ESCAPES = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v" };
  const escape = (char) => ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

  const object = (value, state, level) => {
    if (state.path.includes(value)) {
      if (!state.circular.has(value)) state.circular.set(value, state.circular.size + 1);
      return `[Circular *${state.circular.get(value)}]`;
    }
    const kind = classify(value);
    if (level > state.depth && !kind.whole) return `[${kind.name || "Object"}]`;
    state.path.push(value);
    const entries = kind.entries ? kind.entries(state, level + 1) : [];
    const n_elements = entries.length;
    for (const key of keysOf(value, kind)) entries.push(property(value, key, state, level + 1));
    state.path.pop();
    const text = join(kind, entries, n_elements, level);
    const reference = state.circular.get(value);
    return reference ? `<ref *${reference}> ${text}` : text;
  };

  const join = (kind, entries, n_elements, level) => {
    const [open, close] = kind.brackets ?? ["{", "}"];
    if (entries.length === 0) return kind.whole ?? `${kind.prefix}${open}${close}`;
    const prefix = kind.whole ? `${kind.whole} ` : kind.prefix;
    const indent = "  ".repeat(level + 1);
    const length = entries.reduce((sum, entry) => sum + entry.length + 2, prefix.length + 2 * level);
    const flat = length <= LINE && !entries.some((entry) => entry.includes("\n"));
    if (flat && !(kind.fill && n_elements > SHORT)) return `${prefix}${open} ${entries.join(", ")} ${close}`;
    const lines = kind.fill && n_elements > SHORT ? fill(entries, LINE - indent.length) : entries;
    return `${prefix}${open}\n${indent}${lines.join(`,\n${indent}`)}\n${"  ".repeat(level)}${close}`;
  };

  // Puts as many short entries on a line as fit.
  const fill = (entries, width) => {
    if (entries.some((entry) => entry.length > SHORT * 4 || entry.includes("\n"))) return entries;
    const lines = [];
    for (const entry of entries) {
      const last = lines.at(-1);
      if (last !== undefined && last.length + entry.length + 2 <= width) lines[lines.length - 1] = `${last}, ${entry}`;
      else lines.push(entry);
    }
    return lines;
  };

  const classify = (value) => {
    const name = nameOf(value);
    const prefixed = (what, extra = "") => (name === what && !extra ? "" : `${name ?? `[${what}: null prototype]`}${extra} `);
    if (Array.isArray(value)) {
      const extra = name === "Array" ? "" : `(${value.length})`;
      return { name: "Array", prefix: prefixed("Array", extra), brackets: ["[", "]"], fill: true, indexed: true, entries: (s, l) => elements(value, s, l) };
    }
    if (typeof value === "function") return { name: "Function", whole: functionTag(value, name) };
    if (value instanceof Error) return { name, whole: errorText(value), error: true };
    const typed = typedName.call(value);
    if (typed) return { name: typed, prefix: `${name ?? typed}(${value.length}) `, brackets: ["[", "]"], fill: true, indexed: true, entries: (s, l) => elements(value, s, l) };
    return wellKnown(value, name) ?? plain(value, name);
  };

  const wellKnown = (value, name) => {
    if (value instanceof Map) return { name: "Map", prefix: `${name}(${value.size}) `, entries: (s, l) => limited([...value], ([k, v]) => `${any(k, s, l)} => ${any(v, s, l)}`) };
    if (value instanceof Set) return { name: "Set", prefix: `${name}(${value.size}) `, entries: (s, l) => limited([...value], (v) => any(v, s, l)) };
    if (value instanceof Date) return { name, whole: Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString() };
    if (value instanceof RegExp) return { name, whole: String(value) };
    if (value instanceof Promise) return { name: "Promise", prefix: "Promise ", entries: (s, l) => promise(value, s, l) };
    if (value instanceof ArrayBuffer) return { name, prefix: `${name} `, entries: () => [`byteLength: ${value.byteLength}`] };
    if (value instanceof WeakMap || value instanceof WeakSet) return { name, whole: `${name} { <items unknown> }` };
    for (const Boxed of [Number, String, Boolean, Symbol, BigInt]) {
      if (value instanceof Boxed) return { name, whole: `[${Boxed.name}: ${any(value.valueOf(), { path: [] }, 0)}]`, indexed: Boxed === String };
    }
    const custom = value[internals.inspectSymbol];
    if (typeof custom === "function") return { name, prefix: `${name} `, hidden: true, entries: (s, l) => custom.call(value, (v) => any(v, s, l)) };
    return undefined;
  };

  const plain = (value, name) => {
    const tag = value[Symbol.toStringTag];
    const tagged = typeof tag === "string" && tag !== "" && tag !== name ? ` [${tag}]` : "";
    if (name === undefined) return { name: "Object", prefix: `[Object: null prototype]${tagged} ` };
    return { name, prefix: name === "Object" && !tagged ? "" : `${name}${tagged} ` };
  };

  const nameOf = (value) => {
    for (let proto = value; proto !== null; proto = Object.getPrototypeOf(proto)) {
      const made = Object.getOwnPropertyDescriptor(proto, "constructor")?.value;
      if (typeof made === "function" && made.name !== "") return made.name;
    }
    return undefined;
  };

  const functionTag = (value, made) => {
    if (/^class\b/.test(Function.prototype.toString.call(value))) {
      const parent = Object.getPrototypeOf(value)?.name;
      return `[class ${value.name || "(anonymous)"}${parent ? ` extends ${parent}` : ""}]`;
    }
    return value.name ? `[${made ?? "Function"}: ${value.name}]` : `[${made ?? "Function"} (anonymous)]`;
  };

  const errorText = (error) => {
    const described = internals.describe(error);
    return described.frames ? `${described.message}\n${described.frames}` : `[${described.message}]`;
  };

  const promise = (value, state, level) => {
    const [settled, result] = native.promiseState(value);
    if (settled === "pending") return ["<pending>"];
    return [settled === "rejected" ? `<rejected> ${any(result, state, level)}` : any(result, state, level)];
  };

  const limited = (items, show) => {
    const shown = items.slice(0, MAX_ITEMS).map(show);
    if (items.length > MAX_ITEMS) shown.push(more(items.length - MAX_ITEMS));
    return shown;
  };

  const more = (n) => `... ${n} more item${n === 1 ? "" : "s"}`;

  const elements = (array, state, level) => {
    const shown = [];
    const length = array.length;
    for (let i = 0; i < length; i++) {
      if (shown.length >= MAX_ITEMS) { shown.push(more(length - i)); break; }
      if (i in array) { shown.push(any(array[i], state, level)); continue; }
      let end = i;
      while (end < length && !(end in array)) end++;
      shown.push(`<${end - i} empty item${end - i === 1 ? "" : "s"}>`);
      i = end - 1;
    }
    return shown;
  };

  const keysOf = (value, kind) => {
    if (kind.hidden) return [];
    const keys = Object.keys(value).filter((key) => !(kind.indexed && /^\d+$/.test(key)));
    const symbols = Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
    const extra = kind.error && Object.hasOwn(value, "cause") ? ["cause"] : [];
    if (kind.error && value instanceof AggregateError) extra.push("errors");
    return [...keys.filter((key) => !kind.error || (key !== "stack" && key !== "message")), ...symbols, ...extra];
  };

  const property = (value, key, state, level) => {
    const described = Object.getOwnPropertyDescriptor(value, key);
    const shown = described.get ? (described.set ? "[Getter/Setter]" : "[Getter]")
      : described.set ? "[Setter]" : any(described.value, state, level);
    const name = typeof key === "symbol" ? `[${String(key)}]`
      : !described.enumerable ? `[${key}]` : IDENTIFIER.test(key) ? key : quote(key);
    return `${name}: ${shown}`;
  };

  // As console.log joins its arguments; a string in front may hold placeholders.
  const format = (...values) => {
    const [first, ...rest] = values;
    if (typeof first !== "string") return values.map(show).join(" ");
    if (rest.length === 0) return first;
    const text = first.replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === "%%") return "%";
      return rest.length === 0 ? mark : placeholder(mark, rest.shift());
    });
    return [text, ...rest.map(show)].join(" ");
  };

  const show = (value) => (typeof value === "string" ? value : inspect(value));

  const placeholder = (mark, value) => {
    switch (mark) {
      case "%s": return typeof value === "object" && value !== null ? inspect(value, { depth: 0 }) : typeof value === "bigint" ? `${value}n` : String(value);
      case "%d": return typeof value === "bigint" ? `${value}n` : String(typeof value === "object" ? NaN : Number(value));
      case "%i": return typeof value === "bigint" ? `${value}n` : String(parseInt(value, 10));
      case "%f": return String(parseFloat(value));
      case "%j": return JSON.stringify(value) ?? "undefined";
      case "%c": return "";
      default: return inspect(value, { depth: mark === "%o" ? 4 : DEFAULT_DEPTH });
    }
  };

  internals.inspect = inspect;
  internals.format = format;
}
