// Counts, in a key that all copies share. nex run counter.mjs --on count.up
export default async (subject, payload, { kv }) => {
  for (;;) {
    const entry = await kv.entry("n");
    const next = 1 + (entry === null ? 0 : Number(new TextDecoder().decode(entry.value)));
    try {
      if (entry === null) await kv.create("n", String(next));
      else await kv.update("n", String(next), entry.revision);
      return String(next);
    } catch (error) {
      if (error.code !== "Conflict") throw error; // Another copy was faster: look again.
    }
  }
};
