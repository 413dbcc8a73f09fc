// Request and fetch.
//
// Owns: the checks of a request. Never: sends it (services.js does).
(native, internals) => {
  const NORMALISED = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
  const FORBIDDEN = ["CONNECT", "TRACE", "TRACK"];

  const methodOf = (text) => {
    const method = String(text);
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method) || FORBIDDEN.includes(method.toUpperCase())) throw new TypeError(`invalid method: ${internals.inspect(method)}`);
    return NORMALISED.includes(method.toUpperCase()) ? method.toUpperCase() : method;
  };
  const urlOf = (text) => {
    const url = new URL(text);
    if (url.username || url.password) throw new TypeError("a request's URL may not hold credentials");
    return url.href;
  };

  class Request {
    #url; #method; #headers; #bytes; #used = false; #signal; #redirect;
    constructor(input, init = {}) {
      const from = input instanceof Request ? input : undefined;
      this.#url = from ? from.#url : urlOf(input);
      this.#method = init.method === undefined ? (from?.#method ?? "GET") : methodOf(init.method);
      this.#redirect = String(init.redirect ?? from?.#redirect ?? "follow");
      if (!["follow", "error", "manual"].includes(this.#redirect)) throw new TypeError(`invalid redirect: ${this.#redirect}`);
      this.#headers = new Headers(init.headers ?? from?.#headers);
      this.#signal = init.signal ?? from?.#signal ?? new AbortController().signal;
      const hasBody = init.body !== undefined && init.body !== null;
      if ((hasBody || from?.#bytes) && (this.#method === "GET" || this.#method === "HEAD")) throw new TypeError(`a request with ${this.#method} has no body`);
      if (hasBody) {
        const [bytes, type] = internals.extractBody(init.body);
        this.#bytes = bytes;
        if (type !== undefined && !this.#headers.has("content-type")) this.#headers.set("content-type", type);
      } else if (from?.#bytes) {
        this.#bytes = from.#take();
      }
    }
    static { internals.bodyOfRequest = (request) => request.#take(); }
    get url() { return this.#url; }
    get method() { return this.#method; }
    get headers() { return this.#headers; }
    get redirect() { return this.#redirect; }
    get signal() { return this.#signal; }
    get bodyUsed() { return this.#used; }
    #take() {
      if (this.#used) throw new TypeError("the body was already read");
      this.#used = this.#bytes !== undefined;
      return this.#bytes ?? new Uint8Array(0);
    }
    async bytes() { return this.#take(); }
    async arrayBuffer() { return this.#take().slice().buffer; }
    async text() { return new TextDecoder().decode(this.#take()); }
    async json() { return JSON.parse(await this.text()); }
    clone() {
      if (this.#used) throw new TypeError("the body was already read");
      return new Request(this.#url, { method: this.#method, headers: this.#headers, redirect: this.#redirect, signal: this.#signal, body: this.#bytes });
    }
    [internals.inspectSymbol](show) { return ["method", "url", "headers"].map((name) => `${name}: ${show(this[name])}`); }
  }

  // Statuses whose responses have no body.
  const BODILESS = [204, 205, 304];

  const fetch = async (input, init) => {
    internals.atCall("fetch");
    const request = new Request(input, init);
    const bytes = internals.bodyOfRequest(request);
    const { method, url, redirect, signal } = request;
    const body = bytes.length > 0 ? bytes : undefined;
    const answer = await internals.send({ method, url, headers: [...request.headers], body, redirect, signal });
    const { status, headers } = answer;
    const response = new Response(BODILESS.includes(status) ? null : answer.body, { status, headers });
    internals.define({ url: answer.url, redirected: answer.url !== url }, response);
    return response;
  };

  internals.define({ Request, fetch });
}
