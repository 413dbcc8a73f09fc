// Event, EventTarget, AbortController and AbortSignal.
//
// Owns: a tree of one node; there is no document, so events neither bubble nor capture.
(native, internals) => {
  class DOMException extends Error {
    #name;
    constructor(message = "", name = "Error") { super(message); this.#name = String(name); }
    get name() { return this.#name; }
    get code() { return { AbortError: 20, TimeoutError: 23, DataCloneError: 25 }[this.#name] ?? 0; }
  }

  class Event {
    #type; #cancelable; #prevented = false;
    target = null; currentTarget = null; stopped = false;
    timeStamp = 0;
    constructor(type, { cancelable = false } = {}) { this.#type = String(type); this.#cancelable = Boolean(cancelable); }
    get type() { return this.#type; }
    get cancelable() { return this.#cancelable; }
    get defaultPrevented() { return this.#prevented; }
    preventDefault() { if (this.#cancelable) this.#prevented = true; }
    stopPropagation() {}
    stopImmediatePropagation() { this.stopped = true; }
  }

  class CustomEvent extends Event {
    #detail;
    constructor(type, options = {}) { super(type, options); this.#detail = options.detail ?? null; }
    get detail() { return this.#detail; }
  }

  class EventTarget {
    #listeners = new Map();
    addEventListener(type, listener, options) {
      if (listener === null || listener === undefined) return;
      const list = this.#listeners.get(String(type)) ?? [];
      if (list.some((entry) => entry.listener === listener)) return;
      list.push({ listener, once: typeof options === "object" && Boolean(options?.once) });
      this.#listeners.set(String(type), list);
      options?.signal?.addEventListener("abort", () => this.removeEventListener(type, listener));
    }
    removeEventListener(type, listener) {
      const list = this.#listeners.get(String(type)) ?? [];
      this.#listeners.set(String(type), list.filter((entry) => entry.listener !== listener));
    }
    dispatchEvent(event) {
      event.target = event.currentTarget = this;
      for (const { listener, once } of [...(this.#listeners.get(event.type) ?? [])]) {
        if (event.stopped) break;
        if (once) this.removeEventListener(event.type, listener);
        if (typeof listener === "function") listener.call(this, event);
        else listener.handleEvent(event);
      }
      return !event.defaultPrevented;
    }
  }

  let signalOf;
  class AbortSignal extends EventTarget {
    #reason; #aborted = false;
    onabort = null;
    static { signalOf = (signal, reason) => signal.#abort(reason); }
    #abort(reason = new DOMException("this operation was aborted", "AbortError")) {
      if (this.#aborted) return;
      this.#aborted = true;
      this.#reason = reason;
      const event = new Event("abort");
      if (typeof this.onabort === "function") this.onabort(event);
      this.dispatchEvent(event);
    }
    get aborted() { return this.#aborted; }
    get reason() { return this.#reason; }
    throwIfAborted() { if (this.#aborted) throw this.#reason; }
    static abort(reason) { const signal = new AbortSignal(); signal.#abort(reason); return signal; }
    static timeout(delay) {
      const signal = new AbortSignal();
      internals.startBackground("AbortSignal.timeout", () => signal.#abort(new DOMException("the operation timed out", "TimeoutError")), delay);
      return signal;
    }
    static any(signals) {
      const any = new AbortSignal();
      for (const signal of signals) {
        if (signal.aborted) { any.#abort(signal.reason); break; }
        signal.addEventListener("abort", () => any.#abort(signal.reason), { once: true });
      }
      return any;
    }
  }

  class AbortController {
    #signal = new AbortSignal();
    get signal() { return this.#signal; }
    abort(reason) { signalOf(this.#signal, reason); }
  }

  internals.define({ DOMException, Event, CustomEvent, EventTarget, AbortSignal, AbortController });
}
