// Writes down each tick, once in the namespace however many copies run. nex run heartbeat.mjs --on every:1s
export default async (subject, payload, { kv, trigger }) => {
  await kv.set("last", trigger.at);
};
