// Headers and Response.
//
// Owns: what a function answers with besides bytes. Never: sends anything.
(native, internals) => {
  const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

  const checkedName = (name) => {
    if (!TOKEN.test(name)) throw new TypeError(`invalid header name: ${internals.inspect(String(name))}`);
    return String(name).toLowerCase();
  };
  const checkedValue = (value) => {
    const text = String(value).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "").toWellFormed();
    if (/[\0\n\r]/.test(text)) throw new TypeError(`invalid header value: ${internals.inspect(text)}`);
    return text;
  };

  class Headers {
    #values = new Map();
    constructor(init) {
      if (init === undefined || init === null) return;
      const pairs = typeof init[Symbol.iterator] === "function" ? init : Object.entries(init);
      for (const [name, value] of pairs) this.append(name, value);
    }
    static #ofMessage(pairs) {
      const headers = new Headers();
      // As they came: a message may carry what a program may not set.
      for (const [name, value] of pairs) headers.#push(name.toLowerCase(), value);
      return headers;
    }
    static { internals.headersOfMessage = (pairs) => Headers.#ofMessage(pairs); }
    #push(name, value) {
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [value]);
      else values.push(value);
    }
    append(name, value) { this.#push(checkedName(name), checkedValue(value)); }
    set(name, value) { this.#values.set(checkedName(name), [checkedValue(value)]); }
    get(name) { return this.#values.get(checkedName(name))?.join(", ") ?? null; }
    has(name) { return this.#values.has(checkedName(name)); }
    delete(name) { this.#values.delete(checkedName(name)); }
    getSetCookie() { return [...(this.#values.get("set-cookie") ?? [])]; }
    forEach(callback, self) { for (const [name, value] of this) callback.call(self, value, name, this); }
    *entries() {
      for (const name of [...this.#values.keys()].sort()) {
        if (name === "set-cookie") for (const value of this.#values.get(name)) yield [name, value];
        else yield [name, this.#values.get(name).join(", ")];
      }
    }
    *keys() { for (const [name] of this.entries()) yield name; }
    *values() { for (const [, value] of this.entries()) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    [internals.inspectSymbol](show) { return [...this].map(([name, value]) => `${/^[\w$]+$/.test(name) ? name : show(name)}: ${show(value)}`); }
  }

  // The bytes of a body, and the content type that it implies.
  const extract = (body) => {
    if (body === null || body === undefined) return [new Uint8Array(0), undefined];
    const bytes = internals.bytesOf(body);
    if (bytes !== undefined) return [bytes.slice(), undefined];
    const type = body instanceof URLSearchParams ? "application/x-www-form-urlencoded" : "text/plain";
    return [native.encode(String(body).toWellFormed()), `${type};charset=UTF-8`];
  };

  internals.extractBody = extract;

  class Response {
    #bytes; #used = false; #status; #statusText; #headers;
    constructor(body, { status = 200, statusText = "", headers } = {}) {
      this.#status = Number(status);
      if (!(this.#status >= 200 && this.#status <= 599)) throw new RangeError(`invalid status: ${status}`);
      this.#statusText = String(statusText);
      this.#headers = new Headers(headers);
      const [bytes, type] = extract(body);
      this.#bytes = bytes;
      if (type !== undefined && !this.#headers.has("content-type")) this.#headers.set("content-type", type);
    }
    static json(value, init = {}) {
      const headers = new Headers(init.headers);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Response(JSON.stringify(value), { ...init, headers });
    }
    static { internals.bytesOfResponse = (response) => response.#take(); }
    get status() { return this.#status; }
    get statusText() { return this.#statusText; }
    get ok() { return this.#status < 300; }
    get type() { return "default"; }
    get redirected() { return false; }
    get url() { return ""; }
    get headers() { return this.#headers; }
    get bodyUsed() { return this.#used; }
    #take() {
      if (this.#used) throw new TypeError("the body was already read");
      this.#used = true;
      return this.#bytes;
    }
    async bytes() { return this.#take(); }
    async arrayBuffer() { return this.#take().buffer; }
    async text() { return new TextDecoder().decode(this.#take()); }
    async json() { return JSON.parse(await this.text()); }
    clone() {
      if (this.#used) throw new TypeError("the body was already read");
      return new Response(this.#bytes, { status: this.#status, statusText: this.#statusText, headers: this.#headers });
    }
    [internals.inspectSymbol](show) { return [`status: ${this.#status}`, `headers: ${show(this.#headers)}`]; }
  }

  internals.define({ Headers, Response });
}
