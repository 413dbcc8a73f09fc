// console.
//
// Owns: levels, counters, timers and groups. Never: formats values (see inspect.js).
(native, internals) => {
  const DEBUG = 0, INFO = 1, WARN = 2, ERROR = 3;
  let indent = "";
  const counts = new Map();
  const starts = new Map();

  const write = (level, text) => {
    const lines = indent === "" ? text : indent + text.replaceAll("\n", `\n${indent}`);
    native.log(level, lines.toWellFormed());
  };
  const at = (level) => (...values) => write(level, internals.format(...values));
  const elapsed = (label) => {
    const start = starts.get(`${label}`);
    if (start === undefined) return undefined;
    return `${label}: ${(native.now() - start).toFixed(3)}ms`;
  };
  const group = (...values) => {
    if (values.length > 0) write(INFO, internals.format(...values));
    indent += "  ";
  };

  const console = {
    debug: at(DEBUG),
    log: at(INFO),
    info: at(INFO),
    warn: at(WARN),
    error: at(ERROR),
    trace(...values) {
      const [, stack] = internals.report(new Error(internals.format(...values)));
      write(DEBUG, stack.replace(/^Error/, "Trace"));
    },
    dir: (value, options) => write(INFO, internals.inspect(value, options)),
    dirxml: at(INFO),
    table: at(INFO),
    assert(condition, ...values) {
      if (condition) return;
      if (typeof values[0] === "string") values[0] = `Assertion failed: ${values[0]}`;
      else values.unshift("Assertion failed");
      write(ERROR, internals.format(...values));
    },
    count(label = "default") {
      const n = (counts.get(`${label}`) ?? 0) + 1;
      counts.set(`${label}`, n);
      write(INFO, `${label}: ${n}`);
    },
    countReset: (label = "default") => void counts.delete(`${label}`),
    time: (label = "default") => void starts.set(`${label}`, native.now()),
    timeLog(label = "default", ...values) {
      const text = elapsed(label);
      if (text !== undefined) write(INFO, internals.format(text, ...values));
    },
    timeEnd(label = "default") {
      this.timeLog(label);
      starts.delete(`${label}`);
    },
    group,
    groupCollapsed: group,
    groupEnd: () => { indent = indent.slice(2); },
  };
  console.timeEnd = console.timeEnd.bind(console);

  internals.define({ console });
  internals.logAt = { debug: console.debug, info: console.info, warn: console.warn, error: console.error };
  // A call does not inherit the groups that the one before it left open.
  internals.resetConsole = () => { indent = ""; };
}
