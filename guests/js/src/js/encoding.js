// TextEncoder and TextDecoder.
//
// Owns: the class shapes. Never: does the work (src/native.rs does). UTF-8 and UTF-16LE, no legacy encodings.
(native, internals) => {
  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return native.encode(String(text).toWellFormed()); }
    encodeInto(text, target) {
      let read = 0, written = 0;
      for (const char of String(text).toWellFormed()) {
        const bytes = native.encode(char);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += char.length;
      }
      return { read, written };
    }
  }

  const LABELS = {
    "utf-8": "utf-8", "utf8": "utf-8", "unicode-1-1-utf-8": "utf-8",
    "utf-16be": "utf-16be", "unicodefffe": "utf-16be", "utf-16le": "utf-16le", "utf-16": "utf-16le", "ucs-2": "utf-16le", "unicode": "utf-16le",
  };

  class TextDecoder {
    #encoding; #fatal; #ignoreBOM; #rest = new Uint8Array(0); #begun = false;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      this.#encoding = LABELS[String(label).trim().toLowerCase()];
      if (this.#encoding === undefined) throw new RangeError(`encoding ${label} is not supported (utf-8, utf-16le and utf-16be are)`);
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() { return this.#encoding; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(input = new Uint8Array(0), { stream = false } = {}) {
      let bytes = internals.bytesOf(input);
      if (bytes === undefined) throw new TypeError("TextDecoder.decode needs an ArrayBuffer or a view of one");
      if (this.#rest.length > 0) {
        const joined = new Uint8Array(this.#rest.length + bytes.length);
        joined.set(this.#rest);
        joined.set(bytes, this.#rest.length);
        bytes = joined;
      }
      const decode = this.#encoding === "utf-8" ? native.decode : native.decodeUtf16;
      let [text, n_rest] = decode(bytes, this.#fatal, Boolean(stream), this.#encoding === "utf-16be");
      this.#rest = bytes.slice(bytes.length - n_rest);
      if (!this.#begun && !this.#ignoreBOM && text.charCodeAt(0) === 0xfeff) text = text.slice(1);
      this.#begun = stream && (this.#begun || text !== "");
      return text;
    }
  }
  internals.define({ TextEncoder, TextDecoder });
}
