// What the other files stand on: defining globals, describing errors, the rule for the top level.
//
// Owns: `internals.define`, `describe`, `atCall`. Never: talks to the host.
(native, internals) => {
  // Classes of ours tell the log what is inside of them by a method of this name.
  internals.inspectSymbol = Symbol("nex.inspect");

  internals.define = (values, target = globalThis) => {
    for (const [name, value] of Object.entries(values)) {
      Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
    }
  };

  internals.bytesOf = (value) => {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return undefined;
  };

  // Frames of these files would only confuse: they are not the function's.
  const isOwnFrame = (line) => line.includes("nex:") || line.includes("(native)") || line.trim() === "at <anonymous>";

  const BUNDLE = "a function is one file: bundle it first, for example with `npx esbuild main.js --bundle --format=esm --outfile=bundle.js`";

  internals.describe = (thrown) => {
    if (!(thrown instanceof Error)) {
      const text = typeof thrown === "string" ? thrown : internals.inspect(thrown);
      return { message: `uncaught ${text}`, frames: "" };
    }
    const name = String(thrown.name);
    let message = String(thrown.message);
    if (message.startsWith("could not load module")) message += `; ${BUNDLE}`;
    const stack = typeof thrown.stack === "string" ? thrown.stack : "";
    const frames = stack.split("\n").filter((line) => /^\s+at /.test(line) && !isOwnFrame(line));
    return { message: message === "" ? name : `${name}: ${message}`, frames: frames.join("\n") };
  };

  const MAX_RELATED = 8;

  // An error, its causes, and what an AggregateError holds.
  const detailOf = (thrown, seen) => {
    const { message, frames } = internals.describe(thrown);
    let detail = frames ? `${message}\n${frames}` : message;
    if (!(thrown instanceof Error) || seen.size >= MAX_RELATED || seen.has(thrown)) return detail;
    seen.add(thrown);
    if (thrown.cause !== undefined) detail += `\ncaused by ${detailOf(thrown.cause, seen)}`;
    if (thrown instanceof AggregateError) {
      for (const error of [...thrown.errors].slice(0, MAX_RELATED)) detail += `\nwith ${detailOf(error, seen)}`;
    }
    return detail;
  };

  // Message and stack of an error, as they are logged.
  internals.report = (thrown) => [internals.describe(thrown).message.toWellFormed(), detailOf(thrown, new Set()).toWellFormed()];

  internals.atCall = (what) => {
    if (!native.isServing()) {
      throw new Error(`${what} is not available at the top level, which runs once, at deploy; use it inside of the function`);
    }
  };
}
