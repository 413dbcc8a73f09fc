// structuredClone.
(native, internals) => {
  const refuse = (value) => { throw new DOMException(`${internals.inspect(value, { depth: 0 })} could not be cloned`, "DataCloneError"); };
  const TypedArray = Object.getPrototypeOf(Uint8Array);

  const clone = (value, seen) => {
    if (typeof value === "function" || typeof value === "symbol") refuse(value);
    if (typeof value !== "object" || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const copy = shell(value, seen);
    seen.set(value, copy);
    if (value instanceof Map) for (const [k, v] of value) copy.set(clone(k, seen), clone(v, seen));
    else if (value instanceof Set) for (const v of value) copy.add(clone(v, seen));
    else if (Array.isArray(value) || isPlain(value)) for (const key of Object.keys(value)) copy[key] = clone(value[key], seen);
    return copy;
  };

  const isPlain = (value) => Object.prototype.toString.call(value) === "[object Object]";

  const shell = (value, seen) => {
    if (Array.isArray(value)) return new Array(value.length);
    if (value instanceof Map) return new Map();
    if (value instanceof Set) return new Set();
    if (value instanceof Date) return new Date(value);
    if (value instanceof RegExp) return new RegExp(value.source, value.flags);
    if (value instanceof Error) return error(value, seen);
    if (value instanceof ArrayBuffer) return value.slice(0);
    if (value instanceof TypedArray) return new (globalThis[value[Symbol.toStringTag]])(clone(value.buffer, seen), value.byteOffset, value.length);
    if (value instanceof DataView) return new DataView(clone(value.buffer, seen), value.byteOffset, value.byteLength);
    for (const Boxed of [Number, String, Boolean, BigInt]) if (value instanceof Boxed) return Object(value.valueOf());
    if (!isPlain(value)) refuse(value);
    return {};
  };

  const error = (value, seen) => {
    const Known = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].find((Type) => Type.name === value.name) ?? Error;
    const copy = new Known(value.message);
    if (Object.hasOwn(value, "cause")) copy.cause = clone(value.cause, seen);
    internals.define({ stack: value.stack }, copy);
    return copy;
  };

  internals.define({ structuredClone: (value) => clone(value, new Map()) });
}
