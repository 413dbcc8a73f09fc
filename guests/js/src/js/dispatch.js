// From a message to the function and back.
//
// Owns: the function, its arguments, and what becomes of its return value.
// Never: waits or counts (src/pump.rs does).
(native, internals) => {
  let handler;
  let receiver;

  const textOf = (bytes) => new TextDecoder().decode(bytes);
  const hidden = (value) => ({ value, writable: true, configurable: true, enumerable: false });
  // Between a payload and Uint8Array.prototype, so that making one costs a pointer.
  const payloadPrototype = Object.create(Uint8Array.prototype, {
    text: hidden(function text() { return textOf(this); }),
    json: hidden(function json() { return JSON.parse(textOf(this)); }),
  });

  const log = (...values) => internals.logAt.info(...values);
  Object.assign(log, internals.logAt);

  // The environment is parsed once per instance, when it is first looked at.
  let environment;
  const env = () => (environment ??= Object.freeze(JSON.parse(native.environment())));

  // Of the call that runs; what the host knows of it is asked for only when the function looks.
  let call = 0;
  let current, parsed, headers, signal;
  const message = () => (parsed ??= JSON.parse(native.meta()));
  internals.currentHeaders = () => (headers ??= internals.headersOfMessage(message().headers));

  class Context {
    #call = call;
    #check() {
      if (this.#call !== call) throw new Error("this ctx belongs to a call that has ended");
    }
    #message() {
      this.#check();
      return message();
    }
    #payload() {
      this.#check();
      return current;
    }
    get headers() {
      this.#check();
      return internals.currentHeaders();
    }
    get reply() { return this.#message().reply; }
    get trigger() {
      const { trigger, subject } = this.#message();
      return trigger.type === "subject" ? { type: "subject", subject } : trigger;
    }
    get deadline() { return new Date(this.#message().deadline); }
    // Shortly before the guest is stopped, so that there is time to end well.
    get signal() {
      const left = this.#message().deadline - Date.now();
      return (signal ??= AbortSignal.timeout(left - Math.min(100, left / 10)));
    }
    get env() { return env(); }
    get log() { return log; }
    get kv() { return internals.services.kv; }
    get objects() { return internals.services.objects; }
    get nats() { return internals.services.nats; }
    text() { return this.#payload().text(); }
    json() { return this.#payload().json(); }
    waitUntil(promise) {
      native.hold();
      Promise.resolve(promise).then(native.letGo, (thrown) => {
        native.log(3, internals.report(thrown)[1]);
        native.letGo();
      });
    }
    [internals.inspectSymbol](show) {
      return ["headers", "reply", "trigger", "deadline"].map((name) => `${name}: ${show(this[name])}`);
    }
  }

  const fail = (thrown) => native.fail(...internals.report(thrown));

  const answer = (value) => {
    try {
      send(value);
    } catch (thrown) {
      fail(thrown);
    }
  };

  const send = (value) => {
    if (value === undefined) return native.reply(undefined, undefined, 0);
    if (typeof value === "string") return native.reply(value.toWellFormed(), undefined, 0);
    if (value instanceof Uint8Array) return native.reply(value, undefined, 0);
    if (value instanceof ArrayBuffer) return native.reply(new Uint8Array(value), undefined, 0);
    if (value instanceof Response) {
      const headers = JSON.stringify([...value.headers]);
      return native.reply(internals.bytesOfResponse(value), headers, value.status);
    }
    const json = JSON.stringify(value);
    if (json === undefined) throw new TypeError(`the function returned ${internals.inspect(value)}, which JSON cannot express`);
    return native.reply(json, undefined, 0);
  };

  internals.invoke = (subject, payload) => {
    call++;
    current = payload;
    parsed = headers = signal = undefined;
    internals.resetConsole();
    internals.dropBackground();
    Object.setPrototypeOf(payload, payloadPrototype);
    let value;
    try {
      value = handler.call(receiver, subject, payload, new Context());
      // The commonest answers are no promises.
      if (!(value instanceof Uint8Array) && typeof value?.then === "function") {
        Promise.resolve(value).then(answer, fail);
        return;
      }
    } catch (thrown) {
      fail(thrown);
      return;
    }
    answer(value);
  };

  // Takes what a script evaluated to; says what is wrong with it, if it is not callable.
  internals.adoptScript = (value) => {
    if (typeof value !== "function") {
      return `the script evaluates to ${internals.inspect(value, { depth: 0 })}, not to a function (subject, payload) => …`;
    }
    [handler, receiver] = [value, globalThis];
    return undefined;
  };

  internals.adoptModule = (exported) => {
    const main = exported.default;
    if (typeof main === "function") [handler, receiver] = [main, undefined];
    else if (typeof main?.handle === "function") [handler, receiver] = [main.handle, main];
    else if (typeof exported.handler === "function") [handler, receiver] = [exported.handler, undefined];
    else return `the module exports ${names(exported)}: it needs \`export default\` of a function (subject, payload, ctx) or of an object with \`handle\`, or an exported function \`handler\``;
    return undefined;
  };

  const names = (exported) => Object.keys(exported).join(", ") || "nothing";
}
