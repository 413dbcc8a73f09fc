//! Small guests, as people write them.

/// What the first releases of Nex had as their example.
pub(crate) const CLASSIC: &str = "(subject, payload) => {
  console.log(subject);
  return { triggerOn: subject, payload: String.fromCharCode(...payload) };
}
";

pub(crate) const ECHO: &str = "(subject, payload) => payload\n";

pub(crate) const LOOP: &str = "(subject, payload) => { while (true) {} }\n";

/// Keeps what it allocates until there is no more; with `ok` as payload it is harmless.
pub(crate) const MEMORY_BOMB: &str = "(subject, payload) => {
  if (payload.text() === 'ok') return 'ok';
  const kept = [];
  while (true) kept.push(new Uint8Array(1 << 20).fill(1));
}
";

/// Works for as many milliseconds as the payload says.
pub(crate) const BUSY: &str = "(subject, payload) => {
  const end = Date.now() + Number(payload.text());
  while (Date.now() < end) {}
  return 'done';
}
";
