// URL and URLSearchParams.
//
// Owns: the class shapes and the list of parameters. Never: parses (src/native/urls.rs does).
(native, internals) => {
  const PARTS = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
  const text = (value) => String(value).toWellFormed();

  class URLSearchParams {
    #pairs = []; #changed = () => {};
    constructor(init = "") {
      if (typeof init === "object" && init !== null) this.#fromObject(init);
      else this.#parse(text(init));
    }
    static #of(query, changed) {
      const params = new URLSearchParams(query);
      params.#changed = changed;
      return params;
    }
    static { internals.searchParams = (query, changed) => URLSearchParams.#of(query, changed); internals.replaceParams = (params, query) => params.#parse(query); }
    #fromObject(init) {
      if (typeof init[Symbol.iterator] !== "function") init = Object.entries(init);
      for (const pair of init) {
        const [name, value, ...rest] = [...pair];
        if (value === undefined || rest.length > 0) throw new TypeError("URLSearchParams needs pairs of name and value");
        this.#pairs.push([text(name), text(value)]);
      }
    }
    #parse(query) {
      const flat = native.parseForm(query.startsWith("?") ? query.slice(1) : query);
      this.#pairs = [];
      for (let i = 0; i < flat.length; i += 2) this.#pairs.push([flat[i], flat[i + 1]]);
    }
    #update(pairs) { this.#pairs = pairs; this.#changed(this.toString()); }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#update([...this.#pairs, [text(name), text(value)]]); }
    delete(name, value) {
      this.#update(this.#pairs.filter(([n, v]) => n !== text(name) || (value !== undefined && v !== text(value))));
    }
    get(name) { return this.#pairs.find(([n]) => n === text(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([n]) => n === text(name)).map(([, value]) => value); }
    has(name, value) { return this.#pairs.some(([n, v]) => n === text(name) && (value === undefined || v === text(value))); }
    set(name, value) {
      const first = this.#pairs.findIndex(([n]) => n === text(name));
      if (first < 0) return this.append(name, value);
      const pairs = this.#pairs.filter(([n], index) => index <= first || n !== text(name));
      pairs[first] = [text(name), text(value)];
      this.#update(pairs);
    }
    sort() { this.#update(this.#pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))); }
    forEach(callback, self) { for (const [name, value] of this.#pairs) callback.call(self, value, name, this); }
    *entries() { for (const [name, value] of this.#pairs) yield [name, value]; }
    *keys() { for (const [name] of this.#pairs) yield name; }
    *values() { for (const [, value] of this.#pairs) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return native.serializeForm(this.#pairs.flat()); }
    [internals.inspectSymbol](show) { return this.#pairs.map(([name, value]) => `${show(name)} => ${show(value)}`); }
  }

  class URL {
    #parts; #params;
    constructor(url, base) {
      this.#parts = native.parseUrl(text(url), base === undefined ? undefined : text(base));
      if (this.#parts === undefined) throw new TypeError(`invalid URL: ${url}`);
    }
    static canParse(url, base) { return native.parseUrl(text(url), base === undefined ? undefined : text(base)) !== undefined; }
    static parse(url, base) { return URL.canParse(url, base) ? new URL(url, base) : null; }
    static {
      for (const [index, part] of PARTS.entries()) {
        const set = part === "origin" ? undefined : function (value) { this.#set(part, text(value)); };
        Object.defineProperty(URL.prototype, part, { get() { return this.#parts[index]; }, set, enumerable: true, configurable: true });
      }
    }
    #set(part, value) {
      const parts = native.setUrlPart(this.#parts[0], part, value);
      if (parts === undefined) { if (part === "href") throw new TypeError(`invalid URL: ${value}`); return; }
      this.#parts = parts;
      if (this.#params !== undefined) internals.replaceParams(this.#params, this.search);
    }
    get searchParams() {
      this.#params ??= internals.searchParams(this.search, (query) => {
        this.#parts = native.setUrlPart(this.#parts[0], "search", query);
      });
      return this.#params;
    }
    toString() { return this.#parts[0]; }
    toJSON() { return this.#parts[0]; }
    [internals.inspectSymbol](show) { return PARTS.map((part) => `${part}: ${show(this[part])}`); }
  }

  internals.define({ URL, URLSearchParams });
}
