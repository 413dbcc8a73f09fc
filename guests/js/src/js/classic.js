// Host services as the first releases of Nex had them: synchronous, and throwing for what is missing.
//
// Owns: the global `hostServices`, which classic scripts also reach as `this.hostServices`. Never: runs
// anything else of the function meanwhile.
(native, internals) => {
  const ask = (what, label, head, value) =>
    internals.askNow(what, `hostServices.${label}`, head, value === undefined ? undefined : internals.toBytes(value));

  const missing = (label, what, name) => {
    throw new Error(`hostServices.${label}: ${what} ${internals.inspect(name)} does not exist`);
  };

  // All pages of a list.
  const walk = (what, label, list) => {
    const all = [];
    let cursor;
    do {
      const { head } = ask(what, label, { cursor });
      for (const item of head[list]) all.push(item);
      cursor = head.cursor;
    } while (cursor !== null);
    return all;
  };

  const kv = {
    get(key) {
      const { head, bytes } = ask("kv.get", "kv.get", { key: String(key) });
      return head === null ? missing("kv.get", "key", String(key)) : bytes;
    },
    set(key, value) { ask("kv.set", "kv.set", { key: String(key) }, value ?? ""); },
    delete(key) { ask("kv.delete", "kv.delete", { key: String(key) }); },
    keys() { return walk("kv.keys", "kv.keys", "keys"); },
  };

  const objectStore = {
    get(name) {
      const { head, bytes } = ask("objects.get", "objectStore.get", { key: String(name) });
      return head === null ? missing("objectStore.get", "object", String(name)) : bytes;
    },
    put(name, value) { return ask("objects.put", "objectStore.put", { key: String(name) }, value ?? "").head; },
    delete(name) { ask("objects.delete", "objectStore.delete", { key: String(name) }); },
    list() { return walk("objects.list", "objectStore.list", "objects"); },
  };

  const letter = (subject, more) => ({ subject: String(subject), headers: internals.withTrace([]), ...more });
  const messaging = {
    publish(subject, payload) { ask("nats.publish", "messaging.publish", letter(subject), payload ?? ""); },
    request(subject, payload) {
      return ask("nats.request", "messaging.request", letter(subject, { timeout: 2000 }), payload ?? "").bytes;
    },
    requestMany(subject, payload) {
      const head = letter(subject, { timeout: 2000, stall: 300 });
      const answers = ask("nats.requestMany", "messaging.requestMany", head, payload ?? "");
      let start = 0;
      return answers.head.map(({ length }) => answers.bytes.slice(start, start += length));
    },
  };

  const send = (method) => (url, body) => {
    const head = {
      method, url: String(url), headers: internals.withTrace([]), redirects: 20, has_body: body !== undefined,
    };
    const { head: answer, bytes } = ask("fetch", `http.${method.toLowerCase()}`, head, body);
    const headers = {};
    for (const [name, value] of answer.headers) headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    return { status: answer.status, headers, response: bytes };
  };
  const http = Object.fromEntries(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].map((method) => [method.toLowerCase(), send(method)]));

  internals.define({ hostServices: Object.freeze({
    kv: Object.freeze(kv), objectStore: Object.freeze(objectStore), messaging: Object.freeze(messaging), http: Object.freeze(http),
  }) });
}
