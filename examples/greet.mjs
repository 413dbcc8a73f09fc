// An ES module with an async handler: takes {"name": "…"}, answers with JSON.
export default async (subject, payload) => {
  const { name = "world" } = payload.length > 0 ? payload.json() : {};
  return { greeting: `Hello, ${name}!`, subject };
};
