// Host services in their modern form: promises, bytes, and null for what is missing.
//
// Owns: ctx.kv, ctx.objects, ctx.nats and internals.send (HTTP), and the form of their operations, which
// crates/runtime/src/javascript/services.rs reads. Never: decides what is allowed.
(native, internals) => {
  const OPERATIONS = {
    "kv.get": 10, "kv.set": 11, "kv.delete": 12, "kv.keys": 13, "kv.history": 14, "kv.watch": 15,
    "objects.get": 20, "objects.put": 21, "objects.delete": 22, "objects.info": 23, "objects.list": 24,
    "nats.publish": 30, "nats.request": 31, "nats.requestMany": 32, "fetch": 40,
  };
  const NOTHING = new Uint8Array(0);
  const REQUEST_TIMEOUT = 2000;
  const STALL = 300;

  class HostServiceError extends Error {
    get name() { return "HostServiceError"; }
  }

  // Length of the head, head as JSON, bytes.
  const frame = (head, bytes) => {
    const text = native.encode(JSON.stringify(head).toWellFormed());
    const framed = new Uint8Array(4 + text.length + bytes.length);
    new DataView(framed.buffer).setUint32(0, text.length, true);
    framed.set(text, 4);
    framed.set(bytes, 4 + text.length);
    return framed;
  };
  const unframe = (framed) => {
    const length = new DataView(framed.buffer, framed.byteOffset).getUint32(0, true);
    const head = JSON.parse(native.decode(framed.slice(4, 4 + length), false, false)[0]);
    return { head, bytes: framed.slice(4 + length) };
  };
  const explain = (failure, what, text) => {
    const [, code, message] = /^\u0001(\w+)\u0001([^]*)$/.exec(text) ?? [undefined, "Failed", text];
    failure.message = `${what}: ${message}`;
    failure.code = code;
    return failure;
  };

  // The error is made before the wait, so that its stack names the line that asked.
  const ask = async (what, head, bytes = NOTHING) => {
    internals.atCall(what);
    const failure = new HostServiceError();
    let framed;
    try {
      framed = await internals.operation(what, OPERATIONS[what], frame(head, bytes));
    } catch (thrown) {
      throw explain(failure, what, thrown.message);
    }
    return unframe(framed);
  };

  internals.askNow = (what, label, head, bytes = NOTHING) => {
    internals.atCall(label);
    const [isError, result] = native.runOperation(OPERATIONS[what], frame(head, bytes));
    if (isError) throw explain(new HostServiceError(), label, native.decode(result, false, false)[0]);
    return unframe(result);
  };

  // What a function gives as a value: bytes as they are, text as UTF-8, all else as JSON.
  internals.toBytes = (value) => {
    if (value === undefined || value === null) return NOTHING;
    const bytes = internals.bytesOf(value);
    if (bytes !== undefined) return bytes;
    if (typeof value === "string") return native.encode(value.toWellFormed());
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`${internals.inspect(value)} is neither bytes nor text, and JSON cannot express it`);
    return native.encode(json);
  };
  const textOf = (bytes) => new TextDecoder().decode(bytes);
  const pageOf = (list, cursor) => Object.defineProperty(list, "cursor", { value: cursor ?? null, enumerable: false });
  const split = (heads, bytes) => {
    let start = 0;
    return heads.map(({ length, ...head }) => {
      const value = bytes.slice(start, start += length);
      return { head, value };
    });
  };

  // The trace of the call goes on, unless the function sets another.
  internals.currentHeaders = () => undefined;
  internals.withTrace = (pairs) => {
    const trace = internals.currentHeaders()?.get("traceparent");
    if (!trace || pairs.some(([name]) => name.toLowerCase() === "traceparent")) return pairs;
    return [...pairs, ["traceparent", trace]];
  };
  const pairsOf = (headers) => {
    if (headers === undefined || headers === null) return [];
    const pairs = typeof headers[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers);
    return pairs.map(([name, value]) => [String(name), String(value)]);
  };

  const entryOf = ({ head: { length, ...about }, bytes }) =>
    ({ ...about, value: about.operation === "delete" ? null : bytes });

  class KeyValue {
    #bucket;
    constructor(bucket) { this.#bucket = bucket; }
    bucket(name) { return new KeyValue(String(name)); }
    async entry(key) {
      const found = await ask("kv.get", { bucket: this.#bucket, key: String(key) });
      return found.head === null ? null : entryOf(found);
    }
    async get(key) { return (await this.entry(key))?.value ?? null; }
    async getText(key) { const value = await this.get(key); return value === null ? null : textOf(value); }
    async getJSON(key) { const text = await this.getText(key); return text === null ? null : JSON.parse(text); }
    async #put(mode, key, value, more) {
      const head = { bucket: this.#bucket, key: String(key), mode, ...more };
      return (await ask("kv.set", head, internals.toBytes(value))).head;
    }
    set(key, value, { ttl } = {}) { return this.#put("set", key, value, { ttl }); }
    create(key, value, { ttl } = {}) { return this.#put("create", key, value, { ttl }); }
    update(key, value, revision) { return this.#put("update", key, value, { revision }); }
    async delete(key, { revision } = {}) { await ask("kv.delete", { bucket: this.#bucket, key: String(key), revision }); }
    async keys({ prefix = "", cursor, limit } = {}) {
      const { head } = await ask("kv.keys", { bucket: this.#bucket, prefix: String(prefix), cursor, limit });
      return pageOf(head.keys, head.cursor);
    }
    async history(key) {
      const { head, bytes } = await ask("kv.history", { bucket: this.#bucket, key: String(key) });
      return split(head, bytes).map(({ head, value }) => entryOf({ head, bytes: value }));
    }
    async *watch(keys = ">", { since = 0 } = {}) {
      let revision = since;
      for (;;) {
        const entry = entryOf(await ask("kv.watch", { bucket: this.#bucket, key: String(keys), revision }));
        revision = entry.revision;
        yield entry;
      }
    }
  }

  class Objects {
    #bucket;
    constructor(bucket) { this.#bucket = bucket; }
    bucket(name) { return new Objects(String(name)); }
    #head(name) { return { bucket: this.#bucket, key: String(name) }; }
    async get(name) {
      const { head, bytes } = await ask("objects.get", this.#head(name));
      return head === null ? null : bytes;
    }
    async getText(name) { const value = await this.get(name); return value === null ? null : textOf(value); }
    async getJSON(name) { const text = await this.getText(name); return text === null ? null : JSON.parse(text); }
    async put(name, value) { return (await ask("objects.put", this.#head(name), internals.toBytes(value))).head; }
    async delete(name) { await ask("objects.delete", this.#head(name)); }
    async info(name) { return (await ask("objects.info", this.#head(name))).head; }
    async list({ prefix = "", cursor, limit } = {}) {
      const { head } = await ask("objects.list", { bucket: this.#bucket, prefix: String(prefix), cursor, limit });
      return pageOf(head.objects, head.cursor);
    }
  }

  const answerOf = (head, payload) => ({
    subject: head.subject,
    headers: internals.headersOfMessage(head.headers),
    payload,
    text: () => textOf(payload),
    json: () => JSON.parse(textOf(payload)),
  });
  const letter = (subject, headers, more) =>
    ({ subject: String(subject), headers: internals.withTrace(pairsOf(headers)), ...more });

  const nats = {
    async publish(subject, payload, { headers } = {}) {
      await ask("nats.publish", letter(subject, headers), internals.toBytes(payload));
    },
    async request(subject, payload, { headers, timeout = REQUEST_TIMEOUT } = {}) {
      const { head, bytes } = await ask("nats.request", letter(subject, headers, { timeout }), internals.toBytes(payload));
      return answerOf(head, bytes);
    },
    async requestMany(subject, payload, { headers, timeout = REQUEST_TIMEOUT, stall = STALL, count } = {}) {
      const head = letter(subject, headers, { timeout, stall, count });
      const answers = await ask("nats.requestMany", head, internals.toBytes(payload));
      return split(answers.head, answers.bytes).map(({ head, value }) => answerOf(head, value));
    },
  };

  internals.services = Object.freeze({
    kv: new KeyValue(), objects: new Objects(), nats: Object.freeze(nats),
  });

  // HTTP for fetch(): {method, url, headers, body, redirect, signal} becomes {status, url, headers, body}.
  const REDIRECTS = { follow: 20, manual: 0, error: 0 };
  internals.send = async ({ method = "GET", url, headers = [], body, redirect = "follow", signal }) => {
    signal?.throwIfAborted();
    const head = {
      method, url: String(url), headers: internals.withTrace(headers),
      redirects: REDIRECTS[redirect] ?? REDIRECTS.follow, has_body: body !== undefined,
    };
    const sent = ask("fetch", head, body ?? NOTHING);
    const aborted = signal && new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
    const { head: answer, bytes } = await (aborted ? Promise.race([sent, aborted]) : sent);
    if (redirect === "error" && answer.status >= 300 && answer.status < 400) {
      throw new TypeError(`fetch: ${answer.url} redirects, which the request does not allow`);
    }
    return { status: answer.status, url: answer.url, headers: answer.headers, body: bytes };
  };
}
