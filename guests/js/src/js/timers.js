// Timers, and promises of host operations.
//
// Owns: what is due next and what the host still owes. Never: waits (src/pump.rs does).
(native, internals) => {
  const MAX_DELAY = 2 ** 31 - 1;
  const timers = new Map();
  const queue = []; // By time; those of the same time in the order in which they were set.
  let lastId = 0;
  let n_background = 0; // Timers of signals, which are nobody's leftover.

  const tell = () => native.setNextDue(queue.length > 0 ? queue[0].due : Infinity, queue.length - n_background);

  const enqueue = (timer) => {
    let index = queue.length;
    while (index > 0 && queue[index - 1].due > timer.due) index--;
    queue.splice(index, 0, timer);
    if (timer.isBackground) n_background++;
    tell();
  };

  const forget = (timer) => {
    timers.delete(timer.id);
    const index = queue.indexOf(timer);
    if (index >= 0) {
      queue.splice(index, 1);
      if (timer.isBackground) n_background--;
    }
    tell();
  };

  const start = (what, callback, delay, args, repeats) => {
    internals.atCall(what);
    if (typeof callback !== "function") throw new TypeError(`${what} needs a function`);
    const number = Number(delay);
    const wait = number >= 0 && number <= MAX_DELAY ? number : 0;
    const timer = { id: ++lastId, callback, args, wait, repeats, due: native.now() + wait };
    timers.set(timer.id, timer);
    enqueue(timer);
    return timer.id;
  };

  internals.startBackground = (what, callback, delay) => {
    internals.atCall(what);
    const wait = Math.min(Math.max(0, Number(delay) || 0), MAX_DELAY);
    const timer = { id: ++lastId, callback, args: [], wait, repeats: false, isBackground: true, due: native.now() + wait };
    timers.set(timer.id, timer);
    enqueue(timer);
  };

  // What the signals of the call before wait for is nothing to this one.
  internals.dropBackground = () => {
    if (n_background > 0) for (const timer of queue.filter((timer) => timer.isBackground)) forget(timer);
  };

  const stop = (id) => {
    const timer = timers.get(Number(id));
    if (timer !== undefined) forget(timer);
  };

  // Runs the first timer whose time has come. One at a time: its promises settle before the next.
  internals.fire = () => {
    const timer = queue[0];
    if (timer === undefined || timer.due > native.now()) return;
    forget(timer);
    if (timer.repeats) {
      timer.due = native.now() + Math.max(1, timer.wait);
      timers.set(timer.id, timer);
      enqueue(timer);
    }
    timer.callback(...timer.args);
  };

  internals.define({
    setTimeout: (callback, delay, ...args) => start("setTimeout", callback, delay, args, false),
    setInterval: (callback, delay, ...args) => start("setInterval", callback, delay, args, true),
    clearTimeout: stop,
    clearInterval: stop,
  });

  // Host operations: started here, settled when the host says that they are done.
  const SLEEP = 1;
  const waiting = new Map();

  internals.operation = (what, code, argument) => {
    internals.atCall(what);
    const { promise, resolve, reject } = Promise.withResolvers();
    waiting.set(native.startOperation(code, argument), { resolve, reject });
    return promise;
  };

  internals.settle = (id, isError, bytes) => {
    const operation = waiting.get(id);
    waiting.delete(id);
    if (operation === undefined) return;
    if (isError) operation.reject(new Error(native.decode(bytes, false, false)[0]));
    else operation.resolve(bytes);
  };

  const scheduler = {
    async wait(delay) {
      const argument = new Uint8Array(8);
      new DataView(argument.buffer).setFloat64(0, Math.max(0, Number(delay) || 0), true);
      await internals.operation("scheduler.wait", SLEEP, argument);
    },
  };
  internals.define({ scheduler });

  const random = () => { internals.atCall("Math.random"); return native.random(); };
  internals.define({ random }, Math);
  const performance = { now: () => (native.isServing() ? native.now() - native.origin() : 0), get timeOrigin() { return Date.now() - performance.now(); } };
  internals.define({ performance });
}
