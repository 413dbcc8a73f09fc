// crypto: random bytes, digests and HMAC.
//
// Owns: the class shapes and their checks. Never: does the work (src/crypto.rs and the host do).
(native, internals) => {
  const MAX_RANDOM = 65_536;
  const INTEGERS = ["Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array"];
  const BLOCKS = { "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128 };

  const hashName = (algorithm) => {
    const name = String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm).toUpperCase();
    if (!Object.hasOwn(BLOCKS, name)) throw new DOMException(`digest ${name} is not supported (SHA-1, SHA-256, SHA-384 and SHA-512 are)`, "NotSupportedError");
    return name;
  };
  const isHmac = (algorithm) => String(typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm).toUpperCase() === "HMAC";
  const bytes = (data) => {
    const view = internals.bytesOf(data);
    if (view === undefined) throw new TypeError("an ArrayBuffer or a view of one is needed");
    return view;
  };
  const exact = (view) => view.slice().buffer;

  class CryptoKey {
    constructor() { throw new TypeError("illegal constructor"); }
    get type() { return "secret"; }
  }

  // Keys are told by identity, so that nothing of them can be read.
  const keys = new WeakMap();
  Object.defineProperties(CryptoKey.prototype, {
    extractable: { get() { return keys.get(this).extractable; }, configurable: true },
    usages: { get() { return [...keys.get(this).usages]; }, configurable: true },
    algorithm: { get() { const { hash, secret } = keys.get(this); return { name: "HMAC", hash: { name: hash }, length: secret.length * 8 }; }, configurable: true },
  });
  const make = (secret, hash, extractable, usages) => {
    for (const usage of usages) if (usage !== "sign" && usage !== "verify") throw new SyntaxError(`HMAC keys are not for ${usage}`);
    if (usages.length === 0) throw new SyntaxError("a key needs a usage: sign, verify");
    const key = Object.create(CryptoKey.prototype);
    keys.set(key, { secret, hash, extractable: Boolean(extractable), usages: [...usages] });
    return key;
  };
  const keyFor = (algorithm, key, usage) => {
    if (!isHmac(algorithm)) throw new DOMException("only HMAC is supported", "NotSupportedError");
    const held = keys.get(key);
    if (held === undefined) throw new TypeError("a CryptoKey is needed");
    if (!held.usages.includes(usage)) throw new DOMException(`the key is not for ${usage}`, "InvalidAccessError");
    return held;
  };

  const subtle = {
    async digest(algorithm, data) { return exact(native.digest(hashName(algorithm), bytes(data))); },
    async importKey(format, data, algorithm, extractable, usages) {
      if (format !== "raw") throw new DOMException(`key format ${format} is not supported (raw is)`, "NotSupportedError");
      if (!isHmac(algorithm)) throw new DOMException("only HMAC is supported", "NotSupportedError");
      const secret = bytes(data).slice();
      if (secret.length === 0) throw new DOMException("the key is empty", "DataError");
      return make(secret, hashName(algorithm.hash), extractable, usages);
    },
    async sign(algorithm, key, data) {
      const { secret, hash } = keyFor(algorithm, key, "sign");
      return exact(native.hmac(hash, secret, bytes(data)));
    },
    async verify(algorithm, key, signature, data) {
      const { secret, hash } = keyFor(algorithm, key, "verify");
      const [given, wanted] = [bytes(signature), native.hmac(hash, secret, bytes(data))];
      if (given.length !== wanted.length) return false;
      let difference = 0; // Takes the same time wherever they differ.
      for (let i = 0; i < wanted.length; i++) difference |= given[i] ^ wanted[i];
      return difference === 0;
    },
  };

  const crypto = {
    subtle,
    getRandomValues(array) {
      internals.atCall("crypto.getRandomValues");
      if (!INTEGERS.includes(array?.[Symbol.toStringTag])) throw new DOMException("an array of integers is needed", "TypeMismatchError");
      if (array.byteLength > MAX_RANDOM) throw new DOMException(`${array.byteLength} bytes are more than ${MAX_RANDOM}`, "QuotaExceededError");
      internals.bytesOf(array).set(native.randomBytes(array.byteLength));
      return array;
    },
    randomUUID() {
      internals.atCall("crypto.randomUUID");
      const random = native.randomBytes(16);
      random[6] = (random[6] & 0x0f) | 0x40;
      random[8] = (random[8] & 0x3f) | 0x80;
      return random.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };
  internals.define({ crypto, CryptoKey });
}
